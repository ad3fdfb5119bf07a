package config

// Limits of a document. A config is written by a program; anything near these
// is a mistake or an attack, and is refused before it costs memory.
const (
	MaxBytes   = 16 << 20 // of the document
	maxEntries = 100_000
)

// Parse reads a config document. On any fault it returns [Problems], all of
// them, and no config.
func Parse(data []byte) (*Config, error) {
	d := &decoder{}
	if len(data) > MaxBytes {
		d.refuse("", "the document is longer than %d bytes", MaxBytes)
		return nil, d.problems
	}
	document, err := parseDocument(data)
	if err != nil {
		d.refuse("", "%v", err)
		return nil, d.problems
	}
	c := d.config(document)
	d.checkStores(c)
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return c, nil
}

// config reads the whole document. A document of another version is refused
// for that alone: what else looks wrong in it may be right in its version.
func (d *decoder) config(document any) *Config {
	c := &Config{Adopt: Adopt{Files: 50_000, CopiedBytes: 1 << 30}}
	if !d.checkVersion(document) {
		return c
	}
	present := d.object("", document, fields{
		"version": func(string, any) {},
		"root":    func(at string, v any) { c.Root = d.root(at, v) },
		"stores":  func(at string, v any) { c.Stores = d.stores(at, v) },
		"adopt":   func(at string, v any) { d.adopt(at, v, &c.Adopt) },
	})
	if present != nil && !present["root"] {
		d.refuse("root", "is missing")
	}
	return c
}

func (d *decoder) checkVersion(document any) bool {
	o, ok := document.(*object)
	if !ok {
		d.refuse("", "%s: not an object", shown(document))
		return false
	}
	for _, m := range o.members {
		if m.key != "version" {
			continue
		}
		before := len(d.problems)
		version := d.number(m.key, m.value, 1<<31)
		if len(d.problems) > before {
			return false
		}
		if version != Version {
			d.refuse(m.key, "%d: this ebb reads version %d only", version, Version)
			return false
		}
		return true
	}
	d.refuse("version", "is missing, write %d", Version)
	return true
}

func (d *decoder) adopt(at string, value any, a *Adopt) {
	d.object(at, value, fields{
		"files":        func(at string, v any) { a.Files = d.number(at, v, 1<<40) },
		"copied_bytes": func(at string, v any) { a.CopiedBytes = d.bytes(at, v) },
	})
}
