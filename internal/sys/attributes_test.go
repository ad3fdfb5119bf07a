package sys

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func openFile(t *testing.T, flags int) (int, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd, path
}

func TestXattrs(t *testing.T) {
	fd, _ := openFile(t, unix.O_RDWR)
	if names, err := ListXattrs(fd); err != nil || len(names) > 0 {
		t.Errorf("names of a new file: %q (%v)", names, err)
	}
	// Longer than the first buffer, shorter than what ext4 takes.
	values := map[string][]byte{"user.a": []byte("1"), "user.long": bytes.Repeat([]byte("x"), 2000), "user.empty": {}}
	for name, value := range values {
		if err := SetXattr(fd, name, value); err != nil {
			t.Fatal(err)
		}
	}
	names, err := ListXattrs(fd)
	slices.Sort(names)
	if err != nil || !slices.Equal(names, []string{"user.a", "user.empty", "user.long"}) {
		t.Errorf("names %q (%v)", names, err)
	}
	for name, want := range values {
		if got, err := GetXattr(fd, name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes (%v), want %d", name, len(got), err, len(want))
		}
	}
	if err := RemoveXattr(fd, "user.a"); err != nil {
		t.Error(err)
	}
	if _, err := GetXattr(fd, "user.a"); !errors.Is(err, unix.ENODATA) {
		t.Errorf("removed: %v", err)
	}
}

func TestReopen(t *testing.T) {
	path, name := openFile(t, unix.O_PATH)
	if err := os.Rename(name, name+".moved"); err != nil {
		t.Fatal(err)
	}
	fd, err := Reopen(path, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "reopened")
	defer f.Close()
	buf := make([]byte, 4)
	if n, err := f.Read(buf); err != nil || string(buf[:n]) != "text" {
		t.Errorf("read %q (%v)", buf[:n], err)
	}
	if err := ChangeMode(path, 0o640); !errors.Is(err, unix.EBADF) {
		t.Errorf("chmod of an O_PATH descriptor: %v", err)
	}
	if err := ChangeMode(fd, 0o640); err != nil {
		t.Error(err)
	}
	if err := ChangeOwner(path, uint32(os.Getuid()), uint32(os.Getgid())); err != nil {
		t.Error(err)
	}
	if status, err := Stat(path); err != nil || status.Permissions() != 0o640 {
		t.Errorf("%+v (%v)", status, err)
	}
}
