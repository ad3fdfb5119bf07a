package initrd

import (
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/keep"
	"github.com/ebb-nix/ebb/mounts"
)

// keepLock is held while live data is copied into a store, or the list of what
// was kept is changed.
const keepLock = ".keep.lock"

// withKept returns the stores with what "ebb keep" has put into them. A list
// that cannot be read, or an entry in it that cannot be, is told, and takes
// nothing else along.
func withKept(cfg *config.Config, rootFd int) (stores []config.Store, notes []string) {
	kept, problems := keep.List(rootFd, cfg.Stores)
	stores, atOdds := cfg.WithKept(kept)
	for _, p := range append(problems, atOdds...) {
		notes = append(notes, "kept entries: "+p.String())
	}
	return stores, notes
}

// LockKeep keeps other copies of live data away until unlock is called.
func (h *Host) LockKeep() (unlock func(), err error) { return h.lock(keepLock) }

// AddEntries enters into the record of this boot what came into place since.
func (h *Host) AddEntries(results []mounts.EntryResult) error {
	if len(results) == 0 {
		return nil
	}
	return h.addToRecord(func(r *Record) {
		for _, e := range results {
			r.Live = append(dropEntry(r.Live, e.Path), e)
		}
	})
}

func dropEntry(entries []mounts.EntryResult, path string) (rest []mounts.EntryResult) {
	for i := range entries {
		if entries[i].Path != path {
			rest = append(rest, entries[i])
		}
	}
	return rest
}
