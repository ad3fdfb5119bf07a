package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// progress is the line on standard error that says what is going on: one that
// changes on a terminal, and only the long steps elsewhere.
type progress struct {
	terminal bool
	began    time.Time
}

func newProgress() progress {
	_, err := unix.IoctlGetTermios(int(os.Stderr.Fd()), unix.TCGETS)
	return progress{terminal: err == nil, began: time.Now()}
}

// eraseLine is "go to the first column, erase to the end of the line".
const eraseLine = "\r\x1b[K"

// show replaces the line.
func (p progress) show(format string, args ...any) {
	if p.terminal {
		fmt.Fprintf(os.Stderr, eraseLine+format, args...)
	}
}

// step announces something long.
func (p progress) step(format string, args ...any) {
	p.clear()
	fmt.Fprintf(os.Stderr, "%5.0fs  %s\n", time.Since(p.began).Seconds(), fmt.Sprintf(format, args...))
}

func (p progress) clear() {
	if p.terminal {
		fmt.Fprint(os.Stderr, eraseLine)
	}
}
