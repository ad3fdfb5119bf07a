package stores

import (
	"sort"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/walk"
)

// Orphan is something in a store that is declared nowhere: a file, or a
// directory that nothing declared lies in.
type Orphan struct {
	Path  string `json:"path"`
	Type  string `json:"type"`
	Files uint64 `json:"files"` // everything but directories
	Bytes uint64 `json:"bytes"` // on the disk, as du(1) counts them
	// DeclaredUntil is the last boot in which it was declared, nil when the
	// ledger knows of none.
	DeclaredUntil *time.Time `json:"declared_until,omitempty"`
	// Mounted is where it is in use as long as this boot lasts.
	Mounted string `json:"mounted,omitempty"`
}

// Orphans returns what is declared nowhere, the largest first. What could not
// be looked at is in the error.
func (s *Store) Orphans() ([]*Orphan, error) {
	list := []*Orphan{}
	seen := map[[2]uint64]bool{} // inodes with several names
	w := walk.Walk{Visit: func(w *walk.Walk, name string, kind uint8) (enter bool, mark uint64, err error) {
		if mark = w.Mark(); mark == 0 {
			rel := "/" + w.Path(name)
			if s.declared[rel] || s.above[rel] && kind == unix.DT_DIR {
				return s.above[rel] && !s.declared[rel], 0, nil
			}
			o := &Orphan{Path: s.Path + rel, Mounted: s.Mounted(rel)}
			if last := s.declaredUntil(rel); !last.IsZero() {
				o.DeclaredUntil = &last
			}
			list = append(list, o)
			mark = uint64(len(list))
		}
		// What is gone by now counts nothing.
		if status, err := w.Stat(name); err == nil {
			list[mark-1].count(&status, seen)
		}
		return true, mark, nil
	}}
	err := w.Tree(s.fd, 0)
	sort.Slice(list, func(i, j int) bool {
		return list[i].Bytes > list[j].Bytes || list[i].Bytes == list[j].Bytes && list[i].Path < list[j].Path
	})
	return list, err
}

func (o *Orphan) count(status *sys.Status, seen map[[2]uint64]bool) {
	if o.Type == "" {
		o.Type = status.TypeName()
	}
	if status.IsDirectory() {
		return
	}
	o.Files++
	inode := [2]uint64{status.Device, status.Inode}
	if !seen[inode] {
		o.Bytes += status.Blocks * 512
	}
	if status.Nlink > 1 {
		seen[inode] = true
	}
}
