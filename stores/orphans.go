package stores

import (
	"sort"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/walk"
)

// Orphan is something in a store that is declared nowhere: a file, or a
// directory that nothing declared lies in.
type Orphan struct {
	Path  string `json:"path"`
	Type  string `json:"type"`
	Files uint64 `json:"files"` // as in walk.Usage
	Bytes uint64 `json:"bytes"`
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
	var usage []walk.Usage
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
			list, usage = append(list, o), append(usage, walk.Usage{})
			mark = uint64(len(list))
		}
		// What is gone by now counts nothing.
		if status, err := w.Stat(name); err == nil {
			o := list[mark-1]
			if o.Type == "" {
				o.Type = status.TypeName()
			}
			usage[mark-1].Count(&status)
			o.Files, o.Bytes = usage[mark-1].Files, usage[mark-1].Bytes
		}
		return true, mark, nil
	}}
	err := w.Tree(s.fd, 0)
	sort.Slice(list, func(i, j int) bool {
		return list[i].Bytes > list[j].Bytes || list[i].Bytes == list[j].Bytes && list[i].Path < list[j].Path
	})
	return list, err
}
