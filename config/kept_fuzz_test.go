package config

import (
	"strings"
	"testing"
)

// FuzzParseKept: the list lies in a store, where anybody may have written it. What
// gets through is as clean as a config, and never at odds with one.
func FuzzParseKept(f *testing.F) {
	f.Add([]byte(`{"version": 1, "directories": [{"path": "/var/lib/x", "kept": "2026-11-23T05:00:00Z"}], "files": [{"path": "/etc/f", "how": "sync"}]}`))
	f.Add([]byte(`{"version": 1, "directories": [{"path": "/var"}, {"path": "/var/lib/declared/below"}, {"path": "/persist"}, {"path": "/var"}]}`))
	f.Add([]byte(`{"version": 1, "files": [{"path": "/var/lib/declared"}, {"path": "/a/../b", "required": true}]}`))
	declared := Config{Stores: []Store{
		{Path: "/persist", Entries: []Entry{{Path: "/var/lib/declared", Directory: true, How: Bind}}},
		{Path: "/other", Entries: []Entry{{Path: "/etc/declared", How: Symlink}}},
	}}
	f.Fuzz(func(t *testing.T, data []byte) {
		kept, _ := ParseKept(data, "/persist")
		for _, e := range kept {
			if !strings.HasPrefix(e.Path, "/") || strings.HasSuffix(e.Path, "/") || strings.Contains(e.Path, "//") ||
				strings.Contains(e.Path+"/", "/../") || strings.ContainsRune(e.Path, 0) || e.Required {
				t.Errorf("entry %+v got through", e)
			}
		}
		stores, _ := declared.WithKept([][]Entry{kept, nil})
		if len(declared.Stores[0].Entries) != 1 || len(stores) != 2 || len(stores[1].Entries) != 1 {
			t.Fatalf("the config was changed: %+v, %+v", declared.Stores, stores)
		}
		paths := map[string]bool{}
		for _, s := range stores {
			for _, e := range s.Entries {
				if paths[e.Path] || e.Path == s.Path || below(e.Path, s.Path) {
					t.Errorf("entry %q got through", e.Path)
				}
				paths[e.Path] = true
			}
		}
	})
}
