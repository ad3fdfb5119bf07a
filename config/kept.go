package config

import "github.com/ebb-nix/ebb/internal/format"

// KeptVersion is the only version of the format of the list of entries that
// "ebb keep" has made.
const KeptVersion = Version

// Limits of the list.
const (
	KeptMaxBytes = 1 << 20
	maxKept      = 1000
)

// ParseKept reads the list of what "ebb keep" has put into a store:
//
//	{"version": 1, "directories": [{"path": "/var/lib/x", "kept": "2026-11-23T05:00:00Z"}], "files": []}
//
// Its entries are those of a config, and as strictly read, with two
// differences: each says when it was kept, and none can be required. An entry
// that is refused is left out and takes none of the others along.
func ParseKept(data []byte, store string) ([]Entry, Problems) {
	d := &decoder{kept: true}
	document, ok := d.parse(data, KeptMaxBytes)
	// A list is written by ebb itself, so one without a version is damaged.
	if !ok || !d.checkVersion(document) || len(d.problems) > 0 {
		return nil, d.problems
	}
	s := Store{Path: store}
	d.object(document, func(name string, v any) bool {
		switch name {
		case "version": // has been read
		case "directories":
			d.entries(v, &s, true)
		case "files":
			d.entries(v, &s, false)
		default:
			return false
		}
		return true
	})
	return s.Entries, d.problems
}

// WithKept returns the stores with kept entries behind those that are
// declared; kept has a list for each store. What is declared by now, itself or
// by a directory of the same store above it, is left out silently. What is at
// odds with what is declared is left out, too, and the problems say why.
func (c *Config) WithKept(kept [][]Entry) ([]Store, Problems) {
	stores := append([]Store(nil), c.Stores...)
	var problems Problems
	for i := range kept {
		s := &stores[i]
		s.Entries = s.Entries[:len(s.Entries):len(s.Entries)] // so that append copies
		for j := range kept[i] {
			e := &kept[i][j]
			switch outer, reason := KeptBy(stores, s.Path, e); {
			case reason != "":
				problems = append(problems, Problem{Place: s.Path + KeptPath, Reason: format.Sprintf("%q: %s", e.Path, reason)})
			case outer == nil:
				s.Entries = append(s.Entries, *e)
			}
		}
	}
	return stores, problems
}

// KeptPath is where the list is, below a store.
const KeptPath = "/.ebb/kept.json"

// KeptBy returns the entry that already brings e of the given store along: one
// of the same path, or a directory above it. Where the stores do not admit e at
// all it gives the reason, as the rules over a whole config have it.
func KeptBy(stores []Store, store string, e *Entry) (by *Entry, reason string) {
	for i := range stores {
		if reason := atOddsWithStore(e.Path, stores[i].Path); reason != "" {
			return nil, reason
		}
	}
	for i := range stores {
		for j := range stores[i].Entries {
			o := &stores[i].Entries[j]
			above := below(e.Path, o.Path)
			switch {
			case e.Path == o.Path && stores[i].Path == store, above && stores[i].Path == store && o.Directory && o.How == Bind:
				by = o // go on: another store's may lie between the two
			case e.Path == o.Path:
				return nil, "the store " + stores[i].Path + " has it, too"
			case above && !o.Directory:
				return nil, "lies in the file " + o.Path
			case above && o.How == Symlink:
				return nil, "lies behind the symbolic link " + o.Path + ", bind that one"
			case below(o.Path, e.Path) && (!e.Directory || e.How == Symlink):
				return nil, "the entry " + o.Path + " lies in it"
			}
		}
	}
	return by, ""
}

func atOddsWithStore(path, store string) string {
	switch {
	case path == store:
		return "is a store"
	case below(store, path):
		return "would hide the store " + store
	case below(path, store):
		return "lies in the store " + store
	}
	return ""
}
