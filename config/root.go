package config

import (
	"fmt"
	"path"
	"strings"
)

// kindFields says which members of "root" belong to which kind.
var kindFields = map[Kind][]string{
	KindBtrfs: {"device", "options", "subvolume", "blank", "archive", "also", "keep"},
	KindTmpfs: {"options", "size", "mode", "inodes"},
	KindNone:  {},
}

func (d *decoder) root(at string, value any) Root {
	r := Root{
		OnFailure: Continue,
		Subvolume: "@", Blank: "@blank", Archive: "@roots",
		Keep: Keep{Count: 5, Days: 30, MinFreePercent: 10},
		Mode: 0o755,
	}
	present := d.object(at, value, fields{
		"kind":       func(at string, v any) { r.Kind = oneOf(d, at, v, KindBtrfs, KindTmpfs, KindNone) },
		"on_failure": func(at string, v any) { r.OnFailure = oneOf(d, at, v, Continue, Emergency) },
		"options":    func(at string, v any) { r.Options = d.mountOptions(at, v) },
		"device":     func(at string, v any) { r.Device = d.device(at, v) },
		"subvolume":  func(at string, v any) { r.Subvolume = d.subvolume(at, v) },
		"blank":      func(at string, v any) { r.Blank = d.subvolume(at, v) },
		"archive":    func(at string, v any) { r.Archive = d.subvolume(at, v) },
		"also":       func(at string, v any) { r.Also = d.also(at, v) },
		"keep":       func(at string, v any) { d.keep(at, v, &r.Keep) },
		"size":       func(at string, v any) { r.Size = d.size(at, v) },
		"mode":       func(at string, v any) { r.Mode = d.rootMode(at, v) },
		"inodes":     func(at string, v any) { r.Inodes = d.bytes(at, v) },
	})
	if present == nil {
		return r
	}
	d.checkKind(at, &r, present)
	return r
}

// checkKind refuses what does not belong to the kind, clears its defaults, and
// looks at what belongs together.
func (d *decoder) checkKind(at string, r *Root, present map[string]bool) {
	if !present["kind"] {
		d.refuse(join(at, "kind"), "is missing, write one of btrfs, tmpfs, none")
	}
	allowed, known := kindFields[r.Kind]
	if !known {
		return
	}
	for _, kind := range []Kind{KindBtrfs, KindTmpfs} {
		for _, name := range kindFields[kind] {
			if present[name] && !contains(allowed, name) {
				d.refuse(join(at, name), "does not belong to a root of kind %s", r.Kind)
				present[name] = false // one word about it is enough
			}
		}
	}
	switch r.Kind {
	case KindBtrfs:
		if !present["device"] {
			d.refuse(join(at, "device"), "is missing")
		}
		d.checkSubvolumes(at, r)
		d.checkSubvolumeOptions(join(at, "options"), r)
		r.Mode = 0
	default:
		r.Subvolume, r.Blank, r.Archive, r.Keep = "", "", "", Keep{}
		if r.Kind == KindNone {
			r.Mode = 0
		}
	}
}

func contains(list []string, name string) bool {
	for _, item := range list {
		if item == name {
			return true
		}
	}
	return false
}

// device reads the block device, named as in fileSystems."/".device.
func (d *decoder) device(at string, value any) string {
	s := d.path(at, value)
	switch {
	case s == "":
	case s == "/dev/root":
		d.refuse(at, "%q: a systemd initrd has no such device, name the real one", s)
	case !strings.HasPrefix(s, "/dev/"):
		d.refuse(at, "%q: not below /dev", s)
	}
	return s
}

// rootMode reads the mode of a tmpfs root. Without the owner's bits PID 1
// itself could not live in it.
func (d *decoder) rootMode(at string, value any) uint32 {
	mode := d.mode(at, value)
	if mode == nil {
		return 0o755
	}
	if *mode&0o700 != 0o700 {
		d.refuse(at, "%#o: the owner needs rwx on the root", *mode)
	}
	return *mode
}

func (d *decoder) keep(at string, value any, k *Keep) {
	d.object(at, value, fields{
		"count":            func(at string, v any) { k.Count = d.number(at, v, 1_000_000) },
		"days":             func(at string, v any) { k.Days = d.number(at, v, 1_000_000) },
		"min_free_percent": func(at string, v any) { k.MinFreePercent = d.number(at, v, 100) },
	})
}

// size reads the size of a tmpfs: bytes, a share of RAM, or the smaller of both.
func (d *decoder) size(at string, value any) (s Size) {
	if o, ok := value.(*object); ok {
		present := d.object(at, o, fields{
			"bytes":       func(at string, v any) { s.Bytes = d.bytes(at, v) },
			"ram_percent": func(at string, v any) { s.RAMPercent = d.percent(at, v) },
		})
		if len(present) == 0 {
			d.refuse(at, "needs bytes, ram_percent or both")
		}
		return s
	}
	text, isText := value.(string)
	share, isShare := strings.CutSuffix(text, "%")
	if !isText || !isShare {
		s.Bytes = d.bytes(at, value)
		return s
	}
	for n := uint64(1); n <= 100; n++ {
		if share == fmt.Sprint(n) {
			s.RAMPercent = n
			return s
		}
	}
	d.refuse(at, "%q: not a share from 1%% to 100%%", text)
	return s
}

// reservedNames are taken in the directory of an archived root.
var reservedNames = []string{"root", "meta.json"}

func (d *decoder) also(at string, value any) (list []Also) {
	seen := map[string]bool{}
	d.list(at, value, func(at string, v any) {
		var a Also
		present := d.object(at, v, fields{
			"name":      func(at string, v any) { a.Name = d.archiveName(at, v) },
			"subvolume": func(at string, v any) { a.Subvolume = d.subvolume(at, v) },
			"blank":     func(at string, v any) { a.Blank = d.subvolume(at, v) },
		})
		for _, name := range []string{"name", "subvolume"} {
			if present != nil && !present[name] {
				d.refuse(join(at, name), "is missing")
			}
		}
		if seen[a.Name] && a.Name != "" {
			d.refuse(join(at, "name"), "%q: taken by another one", a.Name)
		}
		seen[a.Name] = true
		list = append(list, a)
	})
	return list
}

// archiveName reads the name of a subvolume inside an archived root.
func (d *decoder) archiveName(at string, value any) string {
	s := d.text(at, value)
	plain := s != "" && len(s) <= 64 && s[0] != '.'
	for _, c := range []byte(s) {
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-", c) >= 0)
	}
	switch {
	case !plain:
		d.refuse(at, "%q: not a plain name of letters, digits, dot, dash and underscore", s)
	case contains(reservedNames, s):
		d.refuse(at, "%q: is taken in the archive", s)
	default:
		return s
	}
	return ""
}

// checkSubvolumes refuses names that lie in each other: what lies below the
// root would be archived along with it, the archive first of all. Two blanks
// may be the same one.
func (d *decoder) checkSubvolumes(at string, r *Root) {
	type named struct {
		place, name string
		blank       bool
	}
	all := []named{
		{join(at, "subvolume"), r.Subvolume, false},
		{join(at, "blank"), r.Blank, true},
		{join(at, "archive"), r.Archive, false},
	}
	for i, a := range r.Also {
		place := fmt.Sprintf("%s[%d]", join(at, "also"), i)
		all = append(all, named{join(place, "subvolume"), a.Subvolume, false}, named{join(place, "blank"), a.Blank, true})
	}
	for i, a := range all {
		for _, b := range all[:i] {
			switch {
			case a.name == "" || b.name == "":
			case a.name == b.name && !(a.blank && b.blank):
				d.refuse(a.place, "%q: is the same as %s", a.name, b.place)
			case below(a.name, b.name):
				d.refuse(a.place, "%q: lies in %s (%q)", a.name, b.place, b.name)
			case below(b.name, a.name):
				d.refuse(b.place, "%q: lies in %s (%q)", b.name, a.place, a.name)
			}
		}
	}
}

// below reports whether the clean path p lies strictly below dir.
func below(p, dir string) bool {
	return strings.HasPrefix(p, dir+"/") || (dir == "/" && p != "/" && path.IsAbs(p))
}

// checkSubvolumeOptions refuses mount options that name another subvolume than
// the one that is rolled back: the machine would run on a root that is never
// fresh.
func (d *decoder) checkSubvolumeOptions(at string, r *Root) {
	for i, option := range r.Options {
		place := fmt.Sprintf("%s[%d]", at, i)
		name, isName := strings.CutPrefix(option, "subvol=")
		switch {
		case strings.HasPrefix(option, "subvolid="):
			d.refuse(place, "%q: the id of the root changes at each boot, write subvol=%s", option, r.Subvolume)
		case isName && strings.TrimPrefix(name, "/") != r.Subvolume:
			d.refuse(place, "%q: the root that is rolled back is %q", option, r.Subvolume)
		}
	}
}
