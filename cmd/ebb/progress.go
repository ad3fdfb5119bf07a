package main

import (
	"time"

	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

const clearLine = "\r\x1b[K"

// progress shows on a terminal how far a copy is. A signal ends it, and this
// process: what is left has a temporary name, and the next run removes it.
func progress() func(path string, s *copytree.Stats) error {
	on, next := sys.Stderr.IsTerminal(), time.Now().Add(time.Second/2)
	return func(path string, s *copytree.Stats) error {
		if on && time.Now().After(next) {
			next = time.Now().Add(time.Second / 5)
			format.Fprintf(sys.Stderr, clearLine+"%s: %d files, %s", showText(path), s.Files, formatSize(s.Copied+s.Shared))
		}
		return nil
	}
}

// clearProgress makes room for what is printed next.
func clearProgress() {
	if sys.Stderr.IsTerminal() {
		format.Fprint(sys.Stderr, clearLine)
	}
}
