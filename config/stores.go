package config

func (d *decoder) stores(at string, value any) (stores []Store) {
	o, ok := value.(*object)
	if !ok {
		d.refuse(at, "%s: not an object", shown(value))
		return nil
	}
	for _, key := range o.repeated {
		d.refuse(join(at, key), "stands there twice")
	}
	for _, m := range o.members {
		stores = append(stores, d.store(join(at, m.key), m.key, m.value))
	}
	return stores
}

func (d *decoder) store(at, storePath string, value any) Store {
	s := Store{Path: storePath}
	if d.checkPath(at, storePath) && storePath == "/" {
		d.refuse(at, "the root itself cannot be a store")
	}
	d.object(at, value, fields{
		"directories": func(at string, v any) { d.entries(at, v, &s, true) },
		"files":       func(at string, v any) { d.entries(at, v, &s, false) },
	})
	return s
}

func (d *decoder) entries(at string, value any, s *Store, directories bool) {
	d.list(at, value, func(at string, v any) {
		if len(s.Entries) >= maxEntries {
			if len(s.Entries) == maxEntries {
				d.refuse(at, "more than %d entries", maxEntries)
				s.Entries = append(s.Entries, Entry{})
			}
			return
		}
		s.Entries = append(s.Entries, d.entry(at, v, directories))
	})
}

func (d *decoder) entry(at string, value any, directory bool) Entry {
	e := Entry{Directory: directory, How: Bind, Place: at}
	present := d.object(at, value, fields{
		"path":      func(at string, v any) { e.Path = d.path(at, v) },
		"how":       func(at string, v any) { e.How = oneOf(d, at, v, Bind, Symlink, Sync) },
		"user":      func(at string, v any) { e.Owner.User = d.nameOf(at, v) },
		"group":     func(at string, v any) { e.Owner.Group = d.nameOf(at, v) },
		"uid":       func(at string, v any) { e.Owner.UID = d.id(at, v) },
		"gid":       func(at string, v any) { e.Owner.GID = d.id(at, v) },
		"mode":      func(at string, v any) { e.Mode = d.mode(at, v) },
		"parent":    func(at string, v any) { e.Parent = d.parent(at, v) },
		"options":   func(at string, v any) { e.Options = d.entryOptions(at, v) },
		"hidden":    func(at string, v any) { e.Hidden = d.flag(at, v) },
		"trash":     func(at string, v any) { e.Trash = d.flag(at, v) },
		"subvolume": func(at string, v any) { e.Subvolume = d.flag(at, v) },
		"nodatacow": func(at string, v any) { e.NoDataCOW = d.flag(at, v) },
		"required":  func(at string, v any) { e.Required = d.flag(at, v) },
	})
	if present != nil {
		d.checkEntry(at, &e, present)
	}
	return e
}

func (d *decoder) parent(at string, value any) (p Parent) {
	d.object(at, value, fields{
		"user":  func(at string, v any) { p.Owner.User = d.nameOf(at, v) },
		"group": func(at string, v any) { p.Owner.Group = d.nameOf(at, v) },
		"uid":   func(at string, v any) { p.Owner.UID = d.id(at, v) },
		"gid":   func(at string, v any) { p.Owner.GID = d.id(at, v) },
		"mode":  func(at string, v any) { p.Mode = d.mode(at, v) },
	})
	return p
}

// checkEntry looks at what one entry says on its own.
func (d *decoder) checkEntry(at string, e *Entry, present map[string]bool) {
	switch {
	case !present["path"]:
		d.refuse(join(at, "path"), "is missing")
	case e.Path != "" && !d.checkTarget(join(at, "path"), e.Path):
		e.Path = "" // nothing more is to be said about it
	}
	if e.Directory && e.How == Sync {
		d.refuse(join(at, "how"), "\"sync\": is for files only, a directory can be bound")
	}
	if !e.Directory && e.Subvolume {
		d.refuse(join(at, "subvolume"), "a file cannot be a subvolume")
	}
	if e.How != Bind && len(e.Options) > 0 {
		d.refuse(join(at, "options"), "need how \"bind\": nothing is mounted for %q", e.How)
	}
}

// forbidden are the places that no entry may hide or lie in, and why.
var forbidden = []struct{ path, reason string }{
	{"/nix/store", "the store is not ebb's to change"},
	{"/proc", "the kernel's own file system is mounted there"},
	{"/sys", "the kernel's own file system is mounted there"},
	{"/dev", "the kernel's own file system is mounted there"},
	{"/run", "it never outlives a boot"},
}

func (d *decoder) checkTarget(at, target string) bool {
	if target == "/" {
		d.refuse(at, "%q: the root itself cannot be an entry", target)
		return false
	}
	for _, f := range forbidden {
		if target == f.path || below(target, f.path) {
			d.refuse(at, "%q: lies on %s: %s", target, f.path, f.reason)
			return false
		}
	}
	return true
}
