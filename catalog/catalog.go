// Package catalog knows what well-known paths hold, and whether they should
// survive a reboot.
//
// What it knows is in catalog.json, one entry a line, which the NixOS module
// reads, too (nixos-module/presets.nix). docs/keeping.md describes its fields.
package catalog

import (
	_ "embed" // for catalog.json

	"github.com/ebb-nix/ebb/internal/format"

	"github.com/ebb-nix/ebb/internal/jsontext"
)

// Only Load refers to the data: a program that does without it, or reads it from
// a file, does not carry it.
//
//go:embed catalog.json
var embedded string

// Version is the version of the document that this package reads.
const Version = "1"

// Class says whether something should survive a reboot.
type Class string

// The classes.
const (
	Must   Class = "must"   // work, identity or secrets are lost without it
	Should Class = "should" // it is missed
	No     Class = "no"     // it is made again, or comes from the configuration
)

// Entry is what the catalog knows of a path and all that lies below it.
type Entry struct {
	// Name is the name of the entry, and does not change. What stands before
	// a slash is the name of the preset that it is a part of.
	Name string
	// Path is absolute, or begins with ~/ for the home of any user. Its names
	// may have the wildcards of path.Match; ** stands for any number of names.
	Path string
	// File tells files from directories.
	File bool
	// What says what it is, in a few words.
	What string
	// Class says whether it should survive a reboot.
	Class Class
	// Why says what happens when it does not, or why it need not.
	Why string
	// Cache says that it can be deleted at any time.
	Cache bool
	// User owns it, and Group, both root where they are empty; below ~/ the
	// user whose home it is.
	User  string
	Group string
	// Mode is the usual mode, in octal: 0755 where it is empty, 0644 for a
	// file; below ~/ 0700 and 0600.
	Mode string
	// How is how it should be kept, as in the config: bind where it is empty;
	// sync where a program replaces the file by renaming another one over it.
	How string
	// Subvolume says that it is best a btrfs subvolume of its own.
	Subvolume bool
	// Always says that every NixOS machine has it.
	Always bool
	// Options are the NixOS options of which any brings it, when it is true or
	// not empty.
	Options []string
	// At is the NixOS option that says where it lies.
	At string
	// Source says where this is known from, where it is not obvious.
	Source string
}

// Kept says whether it should survive a reboot.
func (e *Entry) Kept() bool { return e.Class != No }

// Catalog is a set of entries that paths can be looked up in.
type Catalog struct {
	entries []Entry
	root    node // of absolute paths
	homes   node // of those below a home
}

// Load reads the catalog that is part of the program.
func Load() (*Catalog, error) { return Parse(embedded) }

// Parse reads a catalog, which shares memory with the text. It refuses fields
// it does not know, and paths that no lookup could find.
func Parse(text string) (*Catalog, error) {
	const depth = 4 // the document, the entries, an entry, its options
	value, err := jsontext.Parse(text, depth)
	if err != nil {
		return nil, format.Errorf("read catalog: %w", err)
	}
	list, err := entriesOf(value)
	if err != nil {
		return nil, format.Errorf("read catalog: %w", err)
	}
	c := &Catalog{entries: make([]Entry, len(list))}
	for i := range c.entries {
		e := &c.entries[i]
		err := e.read(list[i])
		if err == nil {
			err = c.add(e)
		}
		if err != nil {
			return nil, format.Errorf("read catalog: entry %d %q: %w", i, e.Name, err)
		}
	}
	return c, nil
}

func (c *Catalog) add(e *Entry) error {
	switch e.Class {
	case Must, Should, No:
	default:
		return format.Errorf("class %q: not must, should or no", e.Class)
	}
	top, below, err := split(e.Path)
	if err != nil {
		return err
	}
	n := &c.root
	if top == home {
		n = &c.homes
	}
	return n.add(below, e)
}

// Entries gives all entries, in the order of the document. They are not to be
// changed.
func (c *Catalog) Entries() []Entry { return c.entries }

// Lookup gives the entry that knows most about a clean, absolute path: the one
// that is nearest to it, and names it rather than matches it. It is nil for a
// path that the catalog does not know. The homes of users are /root, the
// directories in /home, and those that are given.
func (c *Catalog) Lookup(path string, homes ...string) *Entry {
	var best match
	if path == "" || path[0] != '/' {
		return nil
	}
	c.root.find(path[1:], 1, &best)
	if below, depth := splitHome(path, homes); depth > 0 {
		c.homes.find(below, depth+1, &best)
	}
	return best.entry
}
