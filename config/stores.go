package config

import "github.com/ebb-nix/ebb/internal/jsontext"

func (d *decoder) stores(value any) (stores []Store) {
	d.object(value, func(path string, v any) bool {
		stores = append(stores, d.store(path, v))
		return true
	})
	return stores
}

func (d *decoder) store(path string, value any) Store {
	s := Store{Path: path}
	if d.checkPath(path) && path == "/" {
		d.refuse("the root itself cannot be a store")
	}
	d.object(value, func(name string, v any) bool {
		switch name {
		case "directories":
			d.entries(v, &s, true)
		case "files":
			d.entries(v, &s, false)
		case "mounted":
			s.Mounted = d.flag(v)
		default:
			return false
		}
		return true
	})
	return s
}

func (d *decoder) entries(value any, s *Store, directories bool) {
	elements, _ := value.([]any)
	most := maxEntries
	if d.kept {
		most = maxKept
	}
	if len(elements) > most {
		d.refuse("more than %d entries", most)
		return
	}
	s.Entries = append(make([]Entry, 0, len(s.Entries)+len(elements)), s.Entries...)
	d.list(value, func(v any) {
		before := len(d.problems)
		e := Entry{Directory: directories, How: Bind, index: d.path[len(d.path)-1].index}
		if o := d.object(v, func(name string, v any) bool { return d.entryMember(&e, name, v) }); o != nil {
			d.checkEntry(&e, o)
		}
		if !d.kept || len(d.problems) == before {
			s.Entries = append(s.Entries, e)
		}
	})
}

func (d *decoder) entryMember(e *Entry, name string, v any) bool {
	switch name {
	case "path":
		e.Path = d.absolutePath(v)
	case "how":
		e.How = oneOf(d, v, Bind, Symlink, Sync)
	case "mode":
		e.Mode = d.mode(v)
	case "parent":
		e.Parent = d.parent(v)
	case "options":
		e.Options = d.entryOptions(v)
	case "hidden":
		e.Hidden = d.flag(v)
	case "trash":
		e.Trash = d.flag(v)
	case "subvolume":
		e.Subvolume = d.flag(v)
	case "nodatacow":
		e.NoDataCOW = d.flag(v)
	case "required":
		e.Required = d.flag(v)
		return !d.kept
	case "kept":
		e.Kept = d.text(v)
		return d.kept
	default:
		return d.ownerMember(&e.Owner, name, v)
	}
	return true
}

func (d *decoder) ownerMember(o *Owner, name string, v any) bool {
	switch name {
	case "user":
		o.User = d.nameOf(v)
	case "group":
		o.Group = d.nameOf(v)
	case "uid":
		o.UID = d.id(v)
	case "gid":
		o.GID = d.id(v)
	default:
		return false
	}
	return true
}

func (d *decoder) parent(value any) (p Parent) {
	d.object(value, func(name string, v any) bool {
		if name == "mode" {
			p.Mode = d.mode(v)
			return true
		}
		return d.ownerMember(&p.Owner, name, v)
	})
	return p
}

// checkEntry looks at what one entry says on its own.
func (d *decoder) checkEntry(e *Entry, o *jsontext.Object) {
	switch {
	case !o.Has("path"):
		d.refuseIn("path", "is missing")
	case e.Path != "" && !d.checkTarget(e.Path):
		e.Path = "" // nothing more is to be said about it
	}
	if d.kept && e.Kept == "" {
		d.refuseIn("kept", "is missing")
	}
	if e.Directory && e.How == Sync {
		d.refuseIn("how", "\"sync\": is for files only, a directory can be bound")
	}
	if !e.Directory && e.Subvolume {
		d.refuseIn("subvolume", "a file cannot be a subvolume")
	}
	if e.How != Bind && len(e.Options) > 0 {
		d.refuseIn("options", "need how \"bind\": nothing is mounted for %q", e.How)
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

func (d *decoder) checkTarget(target string) bool {
	if target == "/" {
		d.refuseIn("path", "%q: the root itself cannot be an entry", target)
		return false
	}
	for _, f := range forbidden {
		if target == f.path || below(target, f.path) {
			d.refuseIn("path", "%q: lies on %s: %s", target, f.path, f.reason)
			return false
		}
	}
	return true
}
