package mounts

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/sys"
)

// attributes are the owner and the mode of something that is about to be made.
type attributes struct {
	uid, gid uint32
	mode     uint32 // permissions
	pending  string // what it is to become, see pendingXattr; "" for what it is
}

func attributesOf(s *sys.Status) attributes {
	return attributes{uid: s.UID, gid: s.GID, mode: s.Permissions()}
}

// String gives the attributes as a message shows them: "0:0 0755".
func (a attributes) String() string { return string(a.appendTo(nil)) }

func (a *attributes) appendTo(text []byte) []byte {
	text = append(strconv.AppendUint(text, uint64(a.uid), 10), ':')
	text = append(strconv.AppendUint(text, uint64(a.gid), 10), ' ')
	for digits := uint32(0o1000); digits > max(a.mode, 1); digits >>= 3 { // four of them at least
		text = append(text, '0')
	}
	text = strconv.AppendUint(text, uint64(a.mode), 8)
	if a.pending != "" {
		text = append(append(append(text, " until "...), a.pending...), " is known"...)
	}
	return text
}

// knownModes are the permissions of directories that must not be open to all,
// or must be, whoever makes them: systemd's private directories
// (systemd.exec(5), DynamicUser=), and those for temporary files (file-hierarchy(7)).
var knownModes = []struct {
	path string
	mode uint32
}{
	{"/root", 0o700},
	{"/tmp", 0o1777},
	{"/var/tmp", 0o1777},
	{"/var/cache/private", 0o700},
	{"/var/lib/private", 0o700},
	{"/var/log/private", 0o700},
}

// systemDirectories are root's on every system, whoever has an entry in them:
// what an entry says of its parents begins below. systemd, for one, takes
// /var/log for unsafe when /var is a user's (systemd-tmpfiles(8), "unsafe path
// transition").
var systemDirectories = []string{
	"/bin", "/boot", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/nix", "/opt", "/root", "/sbin", "/srv", "/tmp", "/usr",
	"/usr/local", "/var", "/var/cache", "/var/db", "/var/empty", "/var/lib", "/var/log", "/var/spool", "/var/tmp",
}

// knownMode returns the permissions that a directory has on every system, if
// there are such.
func knownMode(path string) (uint32, bool) {
	for _, k := range knownModes {
		if k.path == path {
			return k.mode, true
		}
	}
	if isHome(path) {
		return 0o700, true
	}
	return 0, false
}

// isHome reports whether path is the home directory of a user.
func isHome(path string) bool {
	home, below := splitHome(path)
	return home != "" && !below
}

// splitHome returns the home directory that path is or lies below: /root or
// /home/NAME; "" when there is none.
func splitHome(path string) (home string, below bool) {
	if path == "/root" || strings.HasPrefix(path, "/root/") {
		return "/root", path != "/root"
	}
	name, isBelowHome := strings.CutPrefix(path, "/home/")
	if !isBelowHome || name == "" {
		return "", false
	}
	name, _, below = strings.Cut(name, "/")
	return "/home/" + name, below
}

// defaultMode is the mode of an entry that is made and says nothing of its
// mode: what lies in a home directory is nobody else's business.
func defaultMode(path string, directory bool) uint32 {
	if mode, known := knownMode(path); known && directory {
		return mode
	}
	_, belowHome := splitHome(path)
	switch {
	case belowHome && directory:
		return 0o700
	case belowHome:
		return 0o600
	case directory:
		return 0o755
	}
	return 0o644
}

// entryAttributes are those of the source of an entry that has to be made.
// home is the home directory that it lies in, nil when there is none yet.
func entryAttributes(e *config.Entry, n *names, home *sys.Status) attributes {
	mode := defaultMode(e.Path, e.Directory)
	if e.Mode != nil {
		mode = *e.Mode
	}
	if _, belowHome := splitHome(e.Path); belowHome && e.Owner == (config.Owner{}) {
		return homeAttributes(e, mode, e.Directory, n, home)
	}
	return n.attributes(e.Owner, mode, e.Directory)
}

// parentAttributes are those of a directory above an entry that has to be
// made and that the other side does not have, either.
func parentAttributes(path string, e *config.Entry, n *names, home *sys.Status) attributes {
	mode, known := knownMode(path)
	if !known {
		mode = 0o755
	}
	if slices.Contains(systemDirectories, path) {
		return attributes{mode: mode}
	}
	if e.Parent.Mode != nil {
		mode = *e.Parent.Mode
	}
	if e.Parent.Owner != (config.Owner{}) {
		return n.attributes(e.Parent.Owner, mode, true)
	}
	if inHome, _ := splitHome(path); inHome != "" {
		return homeAttributes(e, mode, true, n, home)
	}
	return attributes{mode: mode}
}

// homeAttributes are for what belongs to the owner of a home directory.
func homeAttributes(e *config.Entry, mode uint32, directory bool, n *names, home *sys.Status) attributes {
	if home != nil {
		return attributes{uid: home.UID, gid: home.GID, mode: mode}
	}
	path, _ := splitHome(e.Path)
	if path == "/root" {
		return attributes{mode: mode}
	}
	return n.attributes(homeOwner(path, e), mode, directory)
}

// homeOwner says whose a home directory is that has to be made above an entry:
// the entry's owner when it has the name of the home, else the user of that
// name.
func homeOwner(path string, e *config.Entry) config.Owner {
	user := strings.TrimPrefix(path, "/home/")
	if e.Owner.User == user || e.Owner.User == "" && e.Owner.UID != nil {
		return e.Owner
	}
	return config.Owner{User: user}
}
