package btrfs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCheckName(t *testing.T) {
	good := []string{"a", "@", ".next", "...", "-", "a b", "\xff", "ä", strings.Repeat("x", 255)}
	for _, name := range good {
		if err := checkName(name); err != nil {
			t.Errorf("%q is refused: %v", name, err)
		}
	}
	bad := []string{"", ".", "..", "/", "a/b", "a/", "/a", "a\x00b", "\x00", strings.Repeat("x", 256)}
	for _, name := range bad {
		if err := checkName(name); !errors.Is(err, ErrBadName) {
			t.Errorf("%q: %v, want ErrBadName", name, err)
		}
	}
}

func TestUUID(t *testing.T) {
	const text = "01234567-89ab-cdef-0123-456789abcdef"
	want := UUID{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
	for _, input := range []string{text, strings.ToUpper(text)} {
		var got UUID
		if err := got.ParseText(input); err != nil || got != want {
			t.Errorf("%q: %v, %v", input, got, err)
		}
	}
	if marshaled, err := want.MarshalText(); err != nil || string(marshaled) != text {
		t.Errorf("marshaled: %q, %v", marshaled, err)
	}
	if want.IsZero() || !(UUID{}).IsZero() {
		t.Error("IsZero is wrong")
	}
	bad := []string{
		"", "0", text + "0", text[1:], "{" + text[1:35] + "}", strings.ReplaceAll(text, "-", ""),
		"g1234567-89ab-cdef-0123-456789abcdef", "012345678-9ab-cdef-0123-456789abcdef",
		"01234567-89ab-cdef-0123-45678-abcdef",
	}
	for _, input := range bad {
		got := want
		if err := got.ParseText(input); err == nil || got != want {
			t.Errorf("%q is accepted as %v", input, got)
		}
	}
}

func FuzzParseUUID(f *testing.F) {
	f.Add("01234567-89ab-cdef-0123-456789abcdef")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		uuid, err := ParseUUID(text)
		if err == nil && uuid.String() != strings.ToLower(text) {
			t.Errorf("%q became %v", text, uuid)
		}
	})
}

func TestErrorText(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{
			failName(opCreate, "a\n", unix.EROFS),
			`create subvolume "a\n": read-only file system (the file system or the subvolume around it is read-only)`,
		},
		{failName(opCreate, "a", unix.EEXIST), `create subvolume "a": file exists`},
		{
			failName(opSnapshot, "a", unix.ETXTBSY),
			`create snapshot "a": text file busy (the source holds an active swap file)`,
		},
		{
			failName(opSnapshot, "a", unix.EXDEV),
			`create snapshot "a": invalid cross-device link (source and snapshot must be on the same file system)`,
		},
		{
			failID(opDelete, 257, unix.ENOTEMPTY),
			`delete subvolume 257: directory not empty (it has other subvolumes inside)`,
		},
		{
			failID(opDelete, 257, unix.EPERM),
			`delete subvolume 257: operation not permitted (it is the default subvolume, is being sent, ` +
				`holds an active swap file, or the caller may not)`,
		},
		{
			failID(opDelete, 257, unix.ENOTTY),
			`delete subvolume 257: inappropriate ioctl for device (deletion by id needs Linux 5.7)`,
		},
		{failName(opReadOnly, "", ErrNotSubvolume), `make subvolume read-only: not a btrfs subvolume`},
		{
			failName(opListing, "", failID(opSearch, 1, unix.EPERM)),
			`list subvolumes: search tree 1: operation not permitted (needs CAP_SYS_ADMIN in the initial user namespace)`,
		},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestErrorIs(t *testing.T) {
	tests := []struct {
		err, target error
		want        bool
	}{
		{failID(opDelete, 257, unix.ENOTEMPTY), unix.ENOTEMPTY, true},
		{failID(opDelete, 257, unix.ENOTEMPTY), ErrNotFound, false},
		{failID(opDelete, 257, unix.ENOENT), ErrNotFound, true},
		{failID(opDelete, 257, unix.ESTALE), ErrNotFound, true},
		{fmt.Errorf("wrapped: %w", failID(opDelete, 257, unix.ENOENT)), ErrNotFound, true},
		{failName(opInfo, "", unix.ENOENT), ErrNotFound, true},
		{failName(opCreate, "a", unix.ENOENT), ErrNotFound, false},
		{failName(opGetFlags, "", ErrNotBtrfs), ErrNotBtrfs, true},
		{failName(opGetFlags, "", ErrNotBtrfs), ErrNotSubvolume, false},
	}
	for _, test := range tests {
		if got := errors.Is(test.err, test.target); got != test.want {
			t.Errorf("%v is %v: %v, want %v", test.err, test.target, got, test.want)
		}
	}
}
