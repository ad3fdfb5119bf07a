package config

import "github.com/ebb-nix/ebb/internal/jsontext"

// Limits of a document. A config is written by a program; anything near these
// is a mistake or an attack, and is refused before it costs memory.
const (
	MaxBytes   = 16 << 20 // of the document
	maxEntries = 100_000
	maxDepth   = 16 // of nesting; the format itself needs seven
)

// Parse reads a config document. On any fault it returns [Problems], all of
// them, and no config.
func Parse(data []byte) (*Config, error) {
	d := &decoder{}
	document, ok := d.parse(data, MaxBytes)
	if !ok {
		return nil, d.problems
	}
	c := d.config(document)
	d.checkStores(c)
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return c, nil
}

// parse reads the text of a document.
func (d *decoder) parse(data []byte, largest int) (any, bool) {
	if len(data) > largest {
		d.refuse("the document is longer than %d bytes", largest)
		return nil, false
	}
	document, err := jsontext.Parse(string(data), maxDepth)
	if err != nil {
		d.refuse("%v", err)
	}
	return document, err == nil
}

// config reads the whole document. A document of another version is refused
// for that alone: what else looks wrong in it may be right in its version. One
// that does not say its version is read as if it were of this one.
func (d *decoder) config(document any) *Config {
	c := &Config{Adopt: Adopt{Files: 50_000, CopiedBytes: 1 << 30}}
	if !d.checkVersion(document) {
		return c
	}
	o := d.object(document, func(name string, v any) bool {
		switch name {
		case "version": // has been read
		case "root":
			c.Root = d.root(v)
		case "stores":
			c.Stores = d.stores(v)
		case "adopt":
			c.Adopt = d.adopt(v, c.Adopt)
		default:
			return false
		}
		return true
	})
	if !o.Has("root") {
		d.refuseIn("root", "is missing")
	}
	return c
}

// checkVersion reports whether the rest of the document is to be read.
func (d *decoder) checkVersion(document any) bool {
	o, ok := document.(*jsontext.Object)
	if !ok {
		d.refuse("%s: not an object", shown(document))
		return false
	}
	for _, m := range o.Members {
		if m.Name != "version" {
			continue
		}
		d.path = append(d.path, step{name: m.Name})
		version := d.number(m.Value, 1<<31)
		if len(d.problems) == 0 && version != Version {
			d.refuse("%d: this ebb reads version %d only", version, Version)
		}
		d.path = d.path[:0]
		_, isNumber := m.Value.(jsontext.Number)
		return len(d.problems) == 0 || !isNumber
	}
	d.refuseIn("version", "is missing, write %d", Version)
	return true
}

func (d *decoder) adopt(value any, a Adopt) Adopt {
	d.object(value, func(name string, v any) bool {
		switch name {
		case "files":
			a.Files = max(1, d.number(v, 1<<40)) // of 0 and 1 the same is beyond: a directory with anything in it
		case "copied_bytes":
			a.CopiedBytes = max(1, d.bytesOrNone(v))
		default:
			return false
		}
		return true
	})
	return a
}
