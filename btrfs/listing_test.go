package btrfs

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// family is: 5 > 256 > (257 > 260, 258), 5 > 259.
func family() Listing {
	return Listing{
		{ID: 5},
		{ID: 256, ParentID: 5, Name: "@"},
		{ID: 257, ParentID: 256, Name: "machines", Directory: "var/lib"},
		{ID: 258, ParentID: 256, Name: "portables", Directory: "var/lib"},
		{ID: 259, ParentID: 5, Name: "root", Directory: "@roots/000041"},
		{ID: 260, ParentID: 257, Name: "deep"},
	}
}

func TestListingPath(t *testing.T) {
	tests := []struct {
		id   uint64
		want string
	}{
		{5, "."},
		{256, "@"},
		{257, "@/var/lib/machines"},
		{259, "@roots/000041/root"},
		{260, "@/var/lib/machines/deep"},
	}
	for _, test := range tests {
		if got, err := family().Path(test.id); err != nil || got != test.want {
			t.Errorf("%d: %q, %v; want %q", test.id, got, err, test.want)
		}
	}
	if _, err := family().Path(999); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown id: %v", err)
	}
	lost := family()
	lost[2].directoryErr = unix.ENAMETOOLONG
	if _, err := lost.Path(260); !errors.Is(err, unix.ENAMETOOLONG) {
		t.Errorf("directory without a path: %v", err)
	}
}

func TestListingIsBelow(t *testing.T) {
	tests := []struct {
		id, ancestor uint64
		want         bool
	}{
		{260, 257, true},
		{260, 256, true},
		{260, 5, true},
		{259, 5, true},
		{259, 256, false},
		{256, 260, false},
		{257, 258, false},
		{257, 257, false},
		{5, 5, false},
		{5, 256, false},
		{999, 5, false},
		{256, 999, false},
		{256, 0, false},
		{5, 0, false},
	}
	for _, test := range tests {
		if got := family().IsBelow(test.id, test.ancestor); got != test.want {
			t.Errorf("%d below %d: %v, want %v", test.id, test.ancestor, got, test.want)
		}
	}
}

func TestListingDescendants(t *testing.T) {
	tests := []struct {
		id   uint64
		want []uint64
	}{
		{5, []uint64{260, 257, 258, 256, 259}},
		{256, []uint64{260, 257, 258}},
		{257, []uint64{260}},
		{260, nil},
	}
	for _, test := range tests {
		got, err := family().Descendants(test.id)
		if err != nil || !slices.Equal(ids(got), test.want) {
			t.Errorf("%d: %v, %v; want %v", test.id, ids(got), err, test.want)
		}
	}
	if _, err := family().Descendants(999); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown id: %v", err)
	}
}

func ids(subvolumes []Subvolume) []uint64 {
	var result []uint64
	for _, subvolume := range subvolumes {
		result = append(result, subvolume.ID)
	}
	return result
}

func TestListingLoops(t *testing.T) {
	loops := map[string]Listing{
		"self":  {{ID: 5}, {ID: 256, ParentID: 256, Name: "a"}},
		"two":   {{ID: 5}, {ID: 256, ParentID: 257, Name: "a"}, {ID: 257, ParentID: 256, Name: "b"}},
		"three": {{ID: 256, ParentID: 257, Name: "a"}, {ID: 257, ParentID: 258, Name: "b"}, {ID: 258, ParentID: 256, Name: "c"}},
	}
	for name, listing := range loops {
		if _, err := listing.Path(256); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: path: %v", name, err)
		}
		if _, err := listing.Descendants(256); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: descendants: %v", name, err)
		}
		if listing.IsBelow(256, TopLevelID) || listing.IsBelow(256, 256) {
			t.Errorf("%s: 256 is below", name)
		}
	}
	double := Listing{{ID: 5}, {ID: 256, ParentID: 5, Name: "a"}, {ID: 256, ParentID: 256, Name: "a"}}
	if got, err := double.Descendants(5); !errors.Is(err, ErrCorrupt) {
		t.Errorf("id twice: %v, %v", ids(got), err)
	}
	// A loop elsewhere is no obstacle.
	listing := append(family(), Subvolume{ID: 300, ParentID: 300, Name: "loop"})
	if got, err := listing.Descendants(256); err != nil || len(got) != 3 {
		t.Errorf("loop elsewhere: %v, %v", ids(got), err)
	}
}

func TestListingDeepNesting(t *testing.T) {
	const depth = 20000
	listing := Listing{{ID: 5}}
	for i := range uint64(depth) {
		parent := uint64(TopLevelID)
		if i > 0 {
			parent = 255 + i
		}
		listing = append(listing, Subvolume{ID: 256 + i, ParentID: parent, Name: "s"})
	}
	got, err := listing.Descendants(TopLevelID)
	if err != nil || len(got) != depth || got[0].ID != 255+depth {
		t.Errorf("%d descendants, %v", len(got), err)
	}
	if path, err := listing.Path(255 + depth); err != nil || strings.Count(path, "/") != depth-1 {
		t.Errorf("path of %d bytes, %v", len(path), err)
	}
	if !listing.IsBelow(255+depth, TopLevelID) {
		t.Error("the deepest is not below the top level")
	}
}

func TestCollector(t *testing.T) {
	good := func(c *collector) error {
		return errors.Join(
			c.add(itemKey{5, typeRootItem, 0}, rootItemBytes(9, 0, 1, UUID{1})),
			c.add(itemKey{7, typeRootItem, 0}, nil), // the checksum tree
			c.add(itemKey{256, 1, 0}, nil),          // an inode of the free space cache
			c.add(itemKey{256, typeRootItem, 0}, rootItemBytes(9, 0, 1, UUID{2})),
			c.add(itemKey{256, typeRootBackReference, 5}, rootReferenceBytes(256, "a")),
			c.add(itemKey{257, typeRootItem, 0}, rootItemBytes(9, 0, 1, UUID{3})), // deleted, not committed
			c.add(itemKey{258, typeRootItem, 0}, rootItemBytes(9, 0, 0, UUID{4})), // deleted
			c.add(itemKey{1<<64 - 8, typeRootItem, 0}, nil),                       // the relocation tree
		)
	}
	found := newCollector()
	if err := good(found); err != nil {
		t.Fatal(err)
	}
	if got := ids(found.listing()); !slices.Equal(got, []uint64{5, 256}) {
		t.Errorf("listed %v", got)
	}
	bad := map[string]struct {
		key  itemKey
		data []byte
	}{
		"short root item":       {itemKey{300, typeRootItem, 0}, nil},
		"short reference":       {itemKey{300, typeRootBackReference, 5}, nil},
		"second parent":         {itemKey{256, typeRootBackReference, 257}, rootReferenceBytes(256, "b")},
		"parent of top level":   {itemKey{5, typeRootBackReference, 256}, rootReferenceBytes(256, "b")},
		"parent is another":     {itemKey{300, typeRootBackReference, 7}, rootReferenceBytes(256, "b")},
		"parent is zero":        {itemKey{300, typeRootBackReference, 0}, rootReferenceBytes(256, "b")},
		"parent beyond the end": {itemKey{300, typeRootBackReference, 1<<64 - 8}, rootReferenceBytes(256, "b")},
	}
	for name, item := range bad {
		if err := found.add(item.key, item.data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
