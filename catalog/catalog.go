// Package catalog knows what well-known paths hold, and whether they should
// survive a reboot.
//
// What it knows is in catalog.json, one entry a line, which the NixOS module
// reads, too (nixos-module/presets.nix). docs/keeping.md describes its fields.
package catalog

import (
	"bytes"
	_ "embed" // for catalog.json
	"encoding/json"
	"fmt"
	"io"
)

// Only Load refers to the data: a program that does without it, or reads it from
// a file, does not carry it.
//
//go:embed catalog.json
var embedded []byte

// Version is the version of the document that this package reads.
const Version = 1

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
	Name string `json:"name"`
	// Path is absolute, or begins with ~/ for the home of any user. Its names
	// may have the wildcards of path.Match; ** stands for any number of names.
	Path string `json:"path"`
	// File tells files from directories.
	File bool `json:"file"`
	// What says what it is, in a few words.
	What string `json:"what"`
	// Class says whether it should survive a reboot.
	Class Class `json:"class"`
	// Why says what happens when it does not, or why it need not.
	Why string `json:"why"`
	// Cache says that it can be deleted at any time.
	Cache bool `json:"cache"`
	// User owns it, and Group, both root where they are empty; below ~/ the
	// user whose home it is.
	User  string `json:"user"`
	Group string `json:"group"`
	// Mode is the usual mode, in octal: 0755 where it is empty, 0644 for a
	// file; below ~/ 0700 and 0600.
	Mode string `json:"mode"`
	// How is how it should be kept, as in the config: bind where it is empty;
	// sync where a program replaces the file by renaming another one over it.
	How string `json:"how"`
	// Subvolume says that it is best a btrfs subvolume of its own.
	Subvolume bool `json:"subvolume"`
	// Always says that every NixOS machine has it.
	Always bool `json:"always"`
	// Options are the NixOS options of which any brings it, when it is true or
	// not empty.
	Options []string `json:"options"`
	// At is the NixOS option that says where it lies.
	At string `json:"at"`
	// Source says where this is known from, where it is not obvious.
	Source string `json:"source"`
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

// Parse reads a catalog. It refuses fields it does not know, and paths that
// no lookup could find.
func Parse(data []byte) (*Catalog, error) {
	var document struct {
		Version int     `json:"version"`
		Entries []Entry `json:"entries"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&document); err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("read catalog: more than one document")
	}
	if document.Version != Version {
		return nil, fmt.Errorf("read catalog: version %d, not %d", document.Version, Version)
	}
	c := &Catalog{entries: document.Entries}
	for i := range c.entries {
		if err := c.add(&c.entries[i]); err != nil {
			return nil, fmt.Errorf("read catalog: entry %q: %w", c.entries[i].Name, err)
		}
	}
	return c, nil
}

func (c *Catalog) add(e *Entry) error {
	switch e.Class {
	case Must, Should, No:
	default:
		return fmt.Errorf("class %q: not must, should or no", e.Class)
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
