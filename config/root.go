package config

import (
	"strings"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/jsontext"
)

// kindFields says which members of "root" belong to which kind.
var kindFields = map[Kind][]string{
	KindBtrfs: {"device", "options", "subvolume", "blank", "archive", "also", "keep"},
	KindTmpfs: {"options", "size", "mode", "inodes"},
	KindNone:  {},
}

func (d *decoder) root(value any) Root {
	r := Root{
		OnFailure: Continue,
		Subvolume: "@", Blank: "@blank", Archive: "@roots",
		Keep: Keep{Count: 5, Days: 30, MinFreePercent: 10},
		Mode: 0o755,
	}
	o := d.object(value, func(name string, v any) bool { return d.rootMember(&r, name, v) })
	if o != nil {
		d.checkKind(&r, o)
	}
	return r
}

func (d *decoder) rootMember(r *Root, name string, v any) bool {
	switch name {
	case "kind":
		r.Kind = oneOf(d, v, KindBtrfs, KindTmpfs, KindNone)
	case "on_failure":
		r.OnFailure = oneOf(d, v, Continue, Emergency)
	case "options":
		r.Options = d.mountOptions(v)
	case "device":
		r.Device = d.device(v)
	case "subvolume":
		r.Subvolume = d.subvolume(v)
	case "blank":
		r.Blank = d.subvolume(v)
	case "archive":
		r.Archive = d.subvolume(v)
	case "also":
		r.Also = d.also(v)
	case "keep":
		r.Keep = d.keep(v, r.Keep)
	case "size":
		r.Size = d.size(v)
	case "mode":
		r.Mode = d.rootMode(v)
	case "inodes":
		r.Inodes = d.bytes(v)
	default:
		return false
	}
	return true
}

// checkKind refuses what does not belong to the kind, clears its defaults, and
// looks at what belongs together.
func (d *decoder) checkKind(r *Root, o *jsontext.Object) {
	if !o.Has("kind") {
		d.refuseIn("kind", "is missing, write one of btrfs, tmpfs, none")
	}
	allowed, known := kindFields[r.Kind]
	if !known {
		return
	}
	for _, m := range o.Members {
		if isKindField(m.Name) && !contains(allowed, m.Name) {
			d.refuseIn(m.Name, "does not belong to a root of kind %s", r.Kind)
		}
	}
	switch r.Kind {
	case KindBtrfs:
		if !o.Has("device") {
			d.refuseIn("device", "is missing")
		}
		d.checkSubvolumes(r)
		d.checkSubvolumeOptions(r)
		r.Mode = 0
	default:
		r.Subvolume, r.Blank, r.Archive, r.Keep = "", "", "", Keep{}
		if r.Kind == KindNone {
			r.Mode = 0
		}
	}
}

// isKindField reports whether a member of "root" belongs to some kind only.
func isKindField(name string) bool {
	for _, list := range kindFields {
		if contains(list, name) {
			return true
		}
	}
	return false
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
func (d *decoder) device(value any) string {
	s := d.absolutePath(value)
	switch {
	case s == "":
	case s == "/dev/root":
		d.refuse("%q: a systemd initrd has no such device, name the real one", s)
	case !strings.HasPrefix(s, "/dev/"):
		d.refuse("%q: not below /dev", s)
	}
	return s
}

// rootMode reads the mode of a tmpfs root. Without the owner's bits PID 1
// itself could not live in it.
func (d *decoder) rootMode(value any) uint32 {
	mode := d.mode(value)
	if mode == nil {
		return 0o755
	}
	if *mode&0o700 != 0o700 {
		d.refuse("%#o: the owner needs rwx on the root", *mode)
	}
	return *mode
}

func (d *decoder) keep(value any, k Keep) Keep {
	d.object(value, func(name string, v any) bool {
		switch name {
		case "count":
			k.Count = d.number(v, 1_000_000)
		case "days":
			k.Days = d.number(v, 1_000_000)
		case "min_free_percent":
			k.MinFreePercent = d.number(v, 100)
		default:
			return false
		}
		return true
	})
	return k
}

// size reads the size of a tmpfs: bytes, a share of RAM, or the smaller of both.
func (d *decoder) size(value any) (s Size) {
	if o, ok := value.(*jsontext.Object); ok {
		d.object(o, func(name string, v any) bool {
			switch name {
			case "bytes":
				s.Bytes = d.bytes(v)
			case "ram_percent":
				s.RAMPercent = d.percent(v)
			default:
				return false
			}
			return true
		})
		if len(o.Members) == 0 {
			d.refuse("needs bytes, ram_percent or both")
		}
		return s
	}
	text, isText := value.(string)
	share, isShare := strings.CutSuffix(text, "%")
	if !isText || !isShare {
		s.Bytes = d.bytes(value)
		return s
	}
	for n := uint64(1); n <= 100; n++ {
		if share == format.Sprint(n) {
			s.RAMPercent = n
			return s
		}
	}
	d.refuse("%q: not a share from 1%% to 100%%", text)
	return s
}

// reservedNames are taken in the directory of an archived root.
var reservedNames = []string{"root", "meta.json"}

func (d *decoder) also(value any) (list []Also) {
	d.list(value, func(v any) {
		var a Also
		o := d.object(v, func(name string, v any) bool {
			switch name {
			case "name":
				a.Name = d.archiveName(v)
			case "subvolume":
				a.Subvolume = d.subvolume(v)
			case "blank":
				a.Blank = d.subvolume(v)
			default:
				return false
			}
			return true
		})
		for _, name := range []string{"name", "subvolume"} {
			if o != nil && !o.Has(name) {
				d.refuseIn(name, "is missing")
			}
		}
		for _, other := range list {
			if a.Name != "" && a.Name == other.Name {
				d.refuseIn("name", "%q: taken by another one", a.Name)
			}
		}
		list = append(list, a)
	})
	return list
}

// archiveName reads the name of a subvolume inside an archived root.
func (d *decoder) archiveName(value any) string {
	s := d.text(value)
	plain := s != "" && len(s) <= 64 && s[0] != '.'
	for _, c := range []byte(s) {
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-", c) >= 0)
	}
	switch {
	case !plain:
		d.refuse("%q: not a plain name of letters, digits, dot, dash and underscore", s)
	case contains(reservedNames, s):
		d.refuse("%q: is taken in the archive", s)
	default:
		return s
	}
	return ""
}

// checkSubvolumes refuses names that lie in each other: what lies below the
// root would be archived along with it, the archive first of all. Two blanks
// may be the same one.
func (d *decoder) checkSubvolumes(r *Root) {
	type named struct {
		place, name string
		blank       bool
	}
	all := []named{
		{d.place("subvolume"), r.Subvolume, false},
		{d.place("blank"), r.Blank, true},
		{d.place("archive"), r.Archive, false},
	}
	for i, a := range r.Also {
		place := format.Sprintf("%s[%d].", d.place("also"), i)
		all = append(all, named{place + "subvolume", a.Subvolume, false}, named{place + "blank", a.Blank, true})
	}
	for i, a := range all {
		for _, b := range all[:i] {
			switch {
			case a.name == "" || b.name == "":
			case a.name == b.name && !(a.blank && b.blank):
				d.refuseAt(a.place, "%q: is the same as %s", a.name, b.place)
			case below(a.name, b.name):
				d.refuseAt(a.place, "%q: lies in %s (%q)", a.name, b.place, b.name)
			case below(b.name, a.name):
				d.refuseAt(b.place, "%q: lies in %s (%q)", b.name, a.place, a.name)
			}
		}
	}
}

// below reports whether the clean path p lies strictly below dir.
func below(p, dir string) bool {
	if dir == "/" {
		return len(p) > 1 && p[0] == '/'
	}
	return len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir
}

// checkSubvolumeOptions refuses mount options that name another subvolume than
// the one that is rolled back: the machine would run on a root that is never
// fresh.
func (d *decoder) checkSubvolumeOptions(r *Root) {
	for i, option := range r.Options {
		place := format.Sprintf("%s[%d]", d.place("options"), i)
		name, isName := strings.CutPrefix(option, "subvol=")
		switch {
		case strings.HasPrefix(option, "subvolid="):
			d.refuseAt(place, "%q: the id of the root changes at each boot, write subvol=%s", option, r.Subvolume)
		case isName && strings.TrimPrefix(name, "/") != r.Subvolume:
			d.refuseAt(place, "%q: the root that is rolled back is %q", option, r.Subvolume)
		}
	}
}
