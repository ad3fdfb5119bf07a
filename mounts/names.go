package mounts

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/jsontext"
	"github.com/ebb-nix/ebb/internal/sys"
)

// namesLimit bounds what is read of a file of names, in bytes; a passwd of
// 100,000 users has 10 MB.
const namesLimit = 32 << 20

// names turns names of users and groups into numbers. The files are read when
// the first name is asked for: where every source exists, none is.
type names struct {
	read   func() (users, groups map[string]uint32)
	users  map[string]uint32
	groups map[string]uint32
}

// attributes are those of owner. When a name has no number yet, the thing is
// made for root alone, and what it is to become is noted for [Root.Finish]:
// a guess might give somebody's data to somebody else.
func (n *names) attributes(owner config.Owner, mode uint32, directory bool) attributes {
	uid, knownUser := n.user(owner)
	gid, knownGroup := n.group(owner)
	if knownUser && knownGroup {
		return attributes{uid: uid, gid: gid, mode: mode}
	}
	private := uint32(0o600)
	if directory {
		private = 0o700
	}
	return attributes{mode: private, pending: formatPending(owner, mode)}
}

func (n *names) user(o config.Owner) (uint32, bool) {
	if o.UID != nil {
		return *o.UID, true
	}
	if o.User == "" || o.User == "root" {
		return 0, true
	}
	n.load()
	uid, found := n.users[o.User]
	return uid, found
}

func (n *names) group(o config.Owner) (uint32, bool) {
	if o.GID != nil {
		return *o.GID, true
	}
	if o.Group == "" || o.Group == "root" {
		return 0, true
	}
	n.load()
	gid, found := n.groups[o.Group]
	return gid, found
}

func (n *names) load() {
	if n.users == nil {
		n.users, n.groups = n.read()
	}
}

// formatPending notes an owner and a mode: "user:group:0755". A number that
// the config has stands in place of the name.
func formatPending(o config.Owner, mode uint32) string {
	return format.Sprintf("%s:%s:%04o", nameOrNumber(o.User, o.UID), nameOrNumber(o.Group, o.GID), mode)
}

func nameOrNumber(name string, number *uint32) string {
	if number != nil {
		return strconv.FormatUint(uint64(*number), 10)
	}
	return name
}

// parsePending reads what formatPending wrote.
func parsePending(text string) (config.Owner, uint32, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return config.Owner{}, 0, format.Errorf("%q: not user:group:mode", text)
	}
	mode, err := strconv.ParseUint(parts[2], 8, 12)
	if err != nil {
		return config.Owner{}, 0, format.Errorf("%q: mode: %w", text, err)
	}
	var o config.Owner
	o.User, o.UID = splitNumber(parts[0])
	o.Group, o.GID = splitNumber(parts[1])
	return o, uint32(mode), nil
}

// splitNumber tells a number from a name; names never begin with a digit.
func splitNumber(text string) (string, *uint32) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return text, nil
	}
	number := uint32(n)
	return "", &number
}

// readNames reads the files that know names, later ones only for names that
// the earlier ones do not have: the maps that NixOS keeps in each store, and
// the passwd and group of the root. A file that is not there, not a regular
// file, or not in its format, is left out: then a name stays unknown, and its
// entry pending.
func readNames(stores []int, readRoot func(rel string) []byte) (users, groups map[string]uint32) {
	users, groups = map[string]uint32{}, map[string]uint32{}
	for _, store := range stores {
		addMissing(users, parseMap(readBeneath(store, "var/lib/nixos/uid-map")))
		addMissing(groups, parseMap(readBeneath(store, "var/lib/nixos/gid-map")))
	}
	addMissing(users, parsePasswd(readRoot("etc/passwd")))
	addMissing(groups, parsePasswd(readRoot("etc/group")))
	return users, groups
}

func addMissing(to, from map[string]uint32) {
	for name, number := range from {
		if _, taken := to[name]; !taken {
			to[name] = number
		}
	}
}

// readBeneath returns the contents of a regular file, nil when there is no
// such file or it lies behind a link.
func readBeneath(dirFd int, rel string) []byte {
	dir, name := rel[:strings.LastIndexByte(rel, '/')], rel[strings.LastIndexByte(rel, '/')+1:]
	fd, err := sys.OpenBeneath(dirFd, dir, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	data, err := sys.ReadFile(fd, name, namesLimit)
	if err != nil {
		return nil
	}
	return data
}

// parseMap reads /var/lib/nixos/uid-map or gid-map: a JSON object of names and
// numbers (nixpkgs, update-users-groups.pl). One bad number spoils the file.
func parseMap(data []byte) map[string]uint32 {
	var numbers map[string]uint32
	if len(data) == 0 || jsontext.Unmarshal(data, &numbers) != nil {
		return nil
	}
	return numbers
}

// parsePasswd reads names and the numbers in the third field, from a
// passwd(5) or group(5). Bad lines are left out; of two lines with one name
// the first counts, as in nss.
func parsePasswd(data []byte) map[string]uint32 {
	numbers := map[string]uint32{}
	for line := range strings.SplitSeq(string(data), "\n") {
		name, rest, _ := strings.Cut(line, ":")
		_, rest, _ = strings.Cut(rest, ":")
		field, _, complete := strings.Cut(rest, ":")
		number, err := strconv.ParseUint(field, 10, 32)
		if err != nil || !complete || name == "" || name[0] == '#' || number == 1<<32-1 {
			continue
		}
		if _, taken := numbers[name]; !taken {
			numbers[name] = uint32(number)
		}
	}
	return numbers
}
