package btrfs

import (
	"strings"

	"github.com/ebb-nix/ebb/internal/format"
)

// maxNameLength is BTRFS_SUBVOL_NAME_MAX and BTRFS_NAME_LEN, in bytes.
const maxNameLength = 255

// checkName refuses what is not one component of a path. The kernel refuses
// most of these as well, but with an EINVAL that says nothing, and a name with
// a NUL would be cut short silently.
func checkName(name string) error {
	switch {
	case name == "":
		return format.Errorf("%w: empty", ErrBadName)
	case name == ".", name == "..":
		return format.Errorf("%w: %q is not a name", ErrBadName, name)
	case len(name) > maxNameLength:
		return format.Errorf("%w: %d bytes, at most %d are allowed", ErrBadName, len(name), maxNameLength)
	case strings.ContainsRune(name, '/'):
		return format.Errorf("%w: %q has a slash", ErrBadName, name)
	case strings.ContainsRune(name, 0):
		return format.Errorf("%w: %q has a NUL byte", ErrBadName, name)
	}
	return nil
}
