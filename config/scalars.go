package config

import (
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/ebb-nix/ebb/internal/jsontext"
)

// absolutePath reads an absolute, clean path.
func (d *decoder) absolutePath(value any) string {
	s := d.text(value)
	if s == "" {
		if value == "" {
			d.refuse("%q: an empty path", s)
		}
		return ""
	}
	if !d.checkPath(s) {
		return ""
	}
	return s
}

// checkPath says what is wrong with an absolute path; names in it are what the
// kernel takes: no component is empty, ".", "..", or longer than 255 bytes.
func (d *decoder) checkPath(s string) bool {
	switch {
	case !strings.HasPrefix(s, "/"):
		d.refuse("%q: not an absolute path", s)
	case hasParentReference(s):
		d.refuse("%q: holds \"..\"", s)
	case path.Clean(s) != s:
		d.refuse("%q: not a clean path, write %q", s, path.Clean(s))
	default:
		return d.checkComponents(s)
	}
	return false
}

// subvolume reads a path below the top-level subvolume: relative and clean.
func (d *decoder) subvolume(value any) string {
	s := d.text(value)
	switch {
	case s == "" || s == ".":
		if value == s {
			d.refuse("%q: not the name of a subvolume", s)
		}
		return ""
	case strings.HasPrefix(s, "/"):
		d.refuse("%q: write it without the leading slash, it is below the top-level subvolume anyhow", s)
	case hasParentReference(s):
		d.refuse("%q: holds \"..\"", s)
	case path.Clean(s) != s:
		d.refuse("%q: not a clean path, write %q", s, path.Clean(s))
	case !d.checkComponents(s):
	default:
		return s
	}
	return ""
}

// pathMax leaves room below PATH_MAX (4096) for what is put in front: the
// store, and /sysroot in the initrd.
const pathMax = 3072

func (d *decoder) checkComponents(s string) bool {
	if len(s) > pathMax {
		d.refuse("a path of %d bytes is longer than %d", len(s), pathMax)
		return false
	}
	for rest, more := s, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		if len(name) > 255 {
			d.refuse("a name of %d bytes in the path is longer than 255", len(name))
			return false
		}
	}
	return true
}

func hasParentReference(s string) bool {
	for rest, more := s, true; more; {
		var name string
		if name, rest, more = strings.Cut(rest, "/"); name == ".." {
			return true
		}
	}
	return false
}

// mode reads permission bits as an octal string of three or four digits.
func (d *decoder) mode(value any) *uint32 {
	s := d.text(value)
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || len(s) < 3 || len(s) > 4 {
		if _, isText := value.(string); isText {
			d.refuse("%q: not an octal mode", s)
		}
		return nil
	}
	mode := uint32(n)
	return &mode
}

// nameOf reads the name of a user or a group. It may later stand in a colon
// separated file, so what would break out of its field is refused.
func (d *decoder) nameOf(value any) string {
	s := d.text(value)
	if len(s) > 255 || strings.ContainsAny(s, ":/,\n\t ") {
		d.refuse("%q: not a name of a user or group", s)
		return ""
	}
	if value == "" {
		d.refuse("%q: an empty name", s)
	}
	return s
}

// id reads a uid or gid. The largest number stands for "none" (chown(2)).
func (d *decoder) id(value any) *uint32 {
	n := uint32(d.number(value, math.MaxUint32-1))
	return &n
}

// bytes reads a size: an integer, or a string of digits and K, M, G or T,
// powers of 1024 as tmpfs(5) has them. Nothing is not a size: tmpfs takes 0
// for "no limit at all".
func (d *decoder) bytes(value any) uint64 {
	before := len(d.problems)
	n := d.bytesOrNone(value)
	if n == 0 && len(d.problems) == before {
		d.refuse("%s: must be more than nothing", shown(value))
	}
	return n
}

// bytesOrNone reads a size that may be 0.
func (d *decoder) bytesOrNone(value any) uint64 {
	if literal, ok := value.(jsontext.Number); ok {
		value = string(literal)
	}
	s, ok := value.(string)
	if !ok {
		d.refuse("%s: not a size", shown(value))
		return 0
	}
	digits, shift := splitUnit(s)
	n, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case err != nil:
		d.refuse("%q: not a size, write bytes or a number with K, M, G or T", s)
	case n > math.MaxInt64>>shift:
		d.refuse("%q: too large", s)
	default:
		return n << shift
	}
	return 0
}

// splitUnit takes the unit off a size: "2G" is "2" and a shift of 30 bits.
func splitUnit(s string) (digits string, shift uint) {
	if s == "" {
		return s, 0
	}
	unit := strings.IndexByte("KMGT", s[len(s)-1])
	if unit < 0 {
		return s, 0
	}
	return s[:len(s)-1], 10 * uint(unit+1)
}

// percent reads an integer from 1 to 100.
func (d *decoder) percent(value any) uint64 {
	n := d.number(value, 100)
	if n == 0 {
		if _, isNumber := value.(jsontext.Number); isNumber {
			d.refuse("must be from 1 to 100")
		}
	}
	return n
}
