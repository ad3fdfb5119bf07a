package mounts

import (
	"slices"
	"testing"

	"github.com/ebb-nix/ebb/config"
)

func TestOrder(t *testing.T) {
	store := func(path string, entries ...string) config.Store {
		s := config.Store{Path: path}
		for _, e := range entries {
			s.Entries = append(s.Entries, config.Entry{Path: e})
		}
		return s
	}
	tests := []struct {
		name   string
		stores []config.Store
		want   []string
	}{
		{"none", nil, nil},
		{"one store in tree order", []config.Store{store("/p", "/b", "/a-b", "/a/b", "/a", "/a.b")}, []string{"/a", "/a/b", "/a-b", "/a.b", "/b"}},
		{"stores in document order", []config.Store{store("/z", "/m"), store("/a", "/b", "/z")}, []string{"/m", "/b", "/z"}},
		{
			"parent in a later store",
			[]config.Store{store("/p", "/a", "/home/ada/.cache/x", "/z"), store("/q", "/home", "/b"), store("/r", "/home/ada/.cache")},
			[]string{"/a", "/home", "/home/ada/.cache", "/home/ada/.cache/x", "/z", "/b"},
		},
		{"not a parent", []config.Store{store("/p", "/home-x/y"), store("/q", "/home")}, []string{"/home-x/y", "/home"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, it := range Order(test.stores) {
				got = append(got, it.Entry.Path)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestOrderKeepsStores(t *testing.T) {
	stores := []config.Store{
		{Path: "/p", Entries: []config.Entry{{Path: "/a/b"}}},
		{Path: "/q", Entries: []config.Entry{{Path: "/a"}}},
	}
	items := Order(stores)
	if len(items) != 2 || items[0].Source() != "/q/a" || items[1].Source() != "/p/a/b" {
		t.Errorf("%v", items)
	}
	if items[0].Entry != &stores[1].Entries[0] {
		t.Error("the entry is a copy")
	}
}
