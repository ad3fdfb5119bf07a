package mounts

import (
	"path"
	"sort"

	"github.com/ebb-nix/ebb/config"
)

// Item is an entry together with the store that it comes from.
type Item struct {
	Store *config.Store
	Entry *config.Entry
}

// Source returns where the data of the entry lies, as seen from the root.
func (i Item) Source() string { return i.Store.Source(i.Entry) }

// Order returns the entries of all stores in the order they have to be brought
// into place: an entry comes after every entry above it, of whatever store.
// Otherwise stores keep the order of the document, and within one store the
// entries are sorted as a walk of the tree meets them.
func Order(stores []config.Store) []Item {
	if len(stores) == 1 {
		return inTreeOrder(&stores[0]) // in which nothing comes before what it lies in
	}
	count := 0
	for i := range stores {
		count += len(stores[i].Entries)
	}
	o := orderer{
		byPath: make(map[string]Item, count),
		placed: make(map[string]bool, count),
		order:  make([]Item, 0, count),
	}
	for i := range stores {
		for j := range stores[i].Entries {
			e := &stores[i].Entries[j]
			o.byPath[e.Path] = Item{&stores[i], e}
		}
	}
	for i := range stores {
		for _, it := range inTreeOrder(&stores[i]) {
			o.place(it)
		}
	}
	return o.order
}

type orderer struct {
	byPath map[string]Item
	placed map[string]bool
	order  []Item
}

// place appends the item, and before it the items above it.
func (o *orderer) place(it Item) {
	if o.placed[it.Entry.Path] {
		return
	}
	// Marked before the parents are looked at; a path above another is
	// shorter, so this cannot run in a circle.
	o.placed[it.Entry.Path] = true
	for dir := path.Dir(it.Entry.Path); len(dir) > 1; dir = path.Dir(dir) {
		if parent, found := o.byPath[dir]; found {
			o.place(parent)
			break
		}
	}
	o.order = append(o.order, it)
}

func inTreeOrder(s *config.Store) []Item {
	items := make([]Item, len(s.Entries))
	for i := range s.Entries {
		items[i] = Item{s, &s.Entries[i]}
	}
	sort.Stable(treeOrder(items))
	return items
}

// treeOrder sorts as a walk of the tree does. Package sort rather than slices,
// which would link a sort of its own for this type alone, 12 KiB.
type treeOrder []Item

func (t treeOrder) Len() int           { return len(t) }
func (t treeOrder) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t treeOrder) Less(i, j int) bool { return comparePaths(t[i].Entry.Path, t[j].Entry.Path) < 0 }

// comparePaths orders clean paths as a walk of the tree does: what lies below
// a directory follows it directly, so "/a/b" comes before "/a-b".
func comparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return int(walkRank(a[i])) - int(walkRank(b[i]))
		}
	}
	return len(a) - len(b)
}

// walkRank ranks the slash below every other byte; NUL is in no path.
func walkRank(c byte) byte {
	if c == '/' {
		return 0
	}
	return c
}
