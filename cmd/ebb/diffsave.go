package main

import (
	"errors"
	"path"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/jsontext"
	"github.com/ebb-nix/ebb/internal/sys"
)

// savedReports is how many reports a store holds.
const savedReports = 5

// saveReport writes the report to the first store, .ebb/diff/TIME.json, where it
// can be read after the next boot, and removes the oldest.
func (d *difference) saveReport() error {
	if len(d.cfg.Stores) == 0 {
		return errors.New("save report: the config has no store")
	}
	text, err := jsontext.Append(nil, d.document(), "  ")
	if err != nil {
		return err
	}
	dir, err := sys.OpenDirectory(path.Join(d.root, d.cfg.Stores[0].Path))
	for _, name := range []string{".ebb", "diff"} {
		if err != nil {
			break
		}
		around := dir
		if err = sys.MakeDirectory(around, name, 0o700); err == nil || errors.Is(err, unix.EEXIST) {
			dir, err = sys.OpenComponent(around, name, unix.O_RDONLY|unix.O_DIRECTORY)
		}
		unix.Close(around)
	}
	if err == nil {
		defer unix.Close(dir)
		name := time.Now().UTC().Format("20060102T150405Z") + ".json"
		err = errors.Join(sys.ReplaceFile(dir, name, append(text, '\n'), 0o600), removeOldReports(dir))
	}
	if err != nil {
		return format.Errorf("save report in %q: %w", d.cfg.Stores[0].Path, err)
	}
	return nil
}

func removeOldReports(dir int) error {
	names, err := sys.ReadNames(dir)
	saved := names[:0]
	for _, name := range names {
		if strings.HasSuffix(name, "Z.json") {
			saved = append(saved, name)
		}
	}
	sort.Slice(saved, func(a, b int) bool { return saved[a] < saved[b] })
	for n := 0; n+savedReports < len(saved); n++ {
		err = errors.Join(err, sys.Remove(dir, saved[n]))
	}
	return err
}
