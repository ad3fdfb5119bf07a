package config

import (
	"maps"
	"path"
	"slices"
)

// placed is an entry with its store, for the rules over all entries.
type placed struct {
	entry *Entry
	store *Store
}

// checkStores looks at what entries and stores say together. Of two entries
// that are at odds the later one in the document is refused.
func (d *decoder) checkStores(c *Config) {
	at := map[string]placed{}
	for i := range c.Stores {
		store := &c.Stores[i]
		for j := range store.Entries {
			e := &store.Entries[j]
			if e.Path == "" {
				continue
			}
			d.checkAgainstStores(c, e)
			if first, taken := at[e.Path]; taken {
				d.refuseSamePath(e, store, first)
				continue
			}
			at[e.Path] = placed{e, store}
		}
	}
	d.checkNesting(at)
}

// checkAgainstStores refuses an entry that would hide a store, or that lies in
// one.
func (d *decoder) checkAgainstStores(c *Config, e *Entry) {
	for _, store := range c.Stores {
		switch {
		case e.Path == store.Path:
			d.refuse(join(e.Place, "path"), "%q: is a store", e.Path)
		case below(store.Path, e.Path):
			d.refuse(join(e.Place, "path"), "%q: would hide the store %s", e.Path, store.Path)
		case below(e.Path, store.Path):
			d.refuse(join(e.Place, "path"), "%q: lies in the store %s", e.Path, store.Path)
		}
	}
}

func (d *decoder) refuseSamePath(e *Entry, store *Store, first placed) {
	if first.store == store {
		d.refuse(join(e.Place, "path"), "%q: stands there twice, first as %s", e.Path, first.entry.Place)
		return
	}
	d.refuse(join(e.Place, "path"), "%q: the store %s has it, too (%s)", e.Path, first.store.Path, first.entry.Place)
}

// checkNesting refuses an entry inside another one of the same store, which
// the outer one brings along anyhow, and an entry inside one that is no
// mounted directory.
func (d *decoder) checkNesting(at map[string]placed) {
	for _, p := range slices.Sorted(maps.Keys(at)) {
		inner := at[p]
		for dir := path.Dir(p); dir != "/" && dir != "."; dir = path.Dir(dir) {
			if outer, nested := at[dir]; nested && !d.checkNested(inner, outer) {
				break // one word about it is enough
			}
		}
	}
}

func (d *decoder) checkNested(inner, outer placed) bool {
	place := join(inner.entry.Place, "path")
	switch {
	case inner.store == outer.store:
		d.refuse(place, "%q: lies in %s (%s), which brings it along", inner.entry.Path, outer.entry.Path, outer.entry.Place)
	case !outer.entry.Directory:
		d.refuse(place, "%q: lies in the file %s (%s)", inner.entry.Path, outer.entry.Path, outer.entry.Place)
	case outer.entry.How == Symlink:
		d.refuse(place, "%q: lies behind the symbolic link %s (%s), bind that one", inner.entry.Path, outer.entry.Path, outer.entry.Place)
	default:
		return true
	}
	return false
}
