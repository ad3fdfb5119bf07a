package config

import "sort"

// placed is an entry with its store, for the rules over all entries.
type placed struct {
	entry *Entry
	store *Store
}

func (p placed) place() string { return p.store.Place(p.entry) }

// byPath orders entries so that those inside another one come right behind it:
// a slash sorts before all else. Entries of one path stay in document order.
type byPath []placed

func (l byPath) Len() int           { return len(l) }
func (l byPath) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l byPath) Less(i, j int) bool { return pathLess(l[i].entry.Path, l[j].entry.Path) }

func pathLess(a, b string) bool {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] {
			return a[i] == '/' || b[i] != '/' && a[i] < b[i]
		}
	}
	return len(a) < len(b)
}

// checkStores looks at what entries and stores say together. Of two entries
// that are at odds the later, or the inner, one is refused.
func (d *decoder) checkStores(c *Config) {
	all := make(byPath, 0, c.CountEntries())
	for i := range c.Stores {
		store := &c.Stores[i]
		for j := range store.Entries {
			if e := &store.Entries[j]; e.Path != "" {
				d.checkAgainstStores(c, placed{e, store})
				all = append(all, placed{e, store})
			}
		}
	}
	if !sort.IsSorted(all) {
		sort.Stable(all)
	}
	d.checkNesting(all)
}

// checkAgainstStores refuses an entry that would hide a store, or that lies in
// one.
func (d *decoder) checkAgainstStores(c *Config, p placed) {
	for i := range c.Stores {
		if reason := atOddsWithStore(p.entry.Path, c.Stores[i].Path); reason != "" {
			d.refuseAt(p.place()+".path", "%q: %s", p.entry.Path, reason)
		}
	}
}

// checkNesting refuses a second entry of one path, an entry inside another one
// of the same store, which the outer one brings along anyhow, and an entry
// inside one that is no mounted directory.
func (d *decoder) checkNesting(all byPath) {
	var around []placed // the entries that the present one may lie in, outermost first
	for _, p := range all {
		for len(around) > 0 && !isIn(p, around[len(around)-1]) {
			around = around[:len(around)-1]
		}
		for _, outer := range around {
			if !d.checkNested(p, outer) {
				break // one word about it is enough
			}
		}
		around = append(around, p)
	}
}

func isIn(inner, outer placed) bool {
	return inner.entry.Path == outer.entry.Path || below(inner.entry.Path, outer.entry.Path)
}

func (d *decoder) checkNested(inner, outer placed) bool {
	path, where := inner.entry.Path, outer.place()
	reason := ""
	switch {
	case path == outer.entry.Path && inner.store == outer.store:
		reason = "stands there twice, first as " + where
	case path == outer.entry.Path:
		reason = "the store " + outer.store.Path + " has it, too (" + where + ")"
	case inner.store == outer.store:
		reason = "lies in " + outer.entry.Path + " (" + where + "), which brings it along"
	case !outer.entry.Directory:
		reason = "lies in the file " + outer.entry.Path + " (" + where + ")"
	case outer.entry.How == Symlink:
		reason = "lies behind the symbolic link " + outer.entry.Path + " (" + where + "), bind that one"
	default:
		return true
	}
	d.refuseAt(inner.place()+".path", "%q: %s", path, reason)
	return false
}
