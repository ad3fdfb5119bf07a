package btrfs

import (
	"strconv"

	"github.com/ebb-nix/ebb/internal/format"
)

// UUID identifies a subvolume or a file system. The zero UUID means "none".
type UUID [16]byte

// uuidTextLength is the length of 8-4-4-4-12 hexadecimal digits with dashes.
const uuidTextLength = 36

// ParseUUID parses the 36 character form that [UUID.String] returns; upper
// case digits are accepted as well, braces and other forms are not.
func ParseUUID(text string) (UUID, error) {
	var uuid UUID
	if len(text) != uuidTextLength || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return UUID{}, format.Errorf("parse UUID %q: want 8-4-4-4-12 hexadecimal digits", text)
	}
	digits := text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:]
	for i := range uuid {
		b, err := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
		if err != nil {
			return UUID{}, format.Errorf("parse UUID %q: %w", text, err)
		}
		uuid[i] = byte(b)
	}
	return uuid, nil
}

// IsZero reports whether u is the zero UUID, which stands for none.
func (u UUID) IsZero() bool { return u == UUID{} }

// String returns u in the form 01234567-89ab-cdef-0123-456789abcdef, as
// btrfs-progs, blkid and /dev/disk/by-uuid have it.
func (u UUID) String() string {
	return format.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// MarshalText implements [encoding.TextMarshaler].
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// ParseText reads what MarshalText writes, for package jsontext.
func (u *UUID) ParseText(text string) error {
	parsed, err := ParseUUID(text)
	if err != nil {
		return err
	}
	*u = parsed
	return nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (u *UUID) UnmarshalText(text []byte) error { return u.ParseText(string(text)) }
