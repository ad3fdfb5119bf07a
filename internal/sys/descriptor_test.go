package sys

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenPath(path, unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 4)
	if n, err := f.ReadAt(buf, 3); n != 4 || err != nil || string(buf) != "3456" {
		t.Errorf("%d, %v, %q", n, err, buf)
	}
	if n, err := f.ReadAt(buf, 8); n != 2 || err != io.EOF {
		t.Errorf("beyond the end: %d, %v", n, err)
	}
	if all, err := io.ReadAll(f); err != nil || string(all) != "0123456789" {
		t.Errorf("%q, %v", all, err)
	}
	if n, err := f.Write([]byte("ab")); n != 2 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	if f.IsTerminal() {
		t.Error("a file is no terminal")
	}
	if got, err := PathOf(int(f)); err != nil || got != path {
		t.Errorf("path: %q, %v", got, err)
	}
	if flags, err := unix.FcntlInt(uintptr(f), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags: %d, %v", flags, err)
	}
}

func TestFileErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := OpenPath(missing, unix.O_RDONLY); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
	if err := Exists(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("exists: %v", err)
	}
	if err := Exists(filepath.Dir(missing)); err != nil {
		t.Errorf("exists: %v", err)
	}
	closed := File(1 << 20)
	if _, err := closed.Write([]byte("x")); !errors.Is(err, unix.EBADF) {
		t.Errorf("write: %v", err)
	}
	if _, err := closed.Read(make([]byte, 1)); !errors.Is(err, unix.EBADF) {
		t.Errorf("read: %v", err)
	}
}

func TestReadNames(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for i := range 1000 { // more than one call gives
		name := string(rune('a'+i%26)) + filepath.Base(dir) + string(rune('0'+i%10)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		want = append(want, name)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	got, err := ReadNames(fd)
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, slices.Compact(want)) {
		t.Errorf("%d names, %v; want %d", len(got), err, len(want))
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if got, err := Resolve(filepath.Join(dir, "link")); err != nil || got != dir {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Resolve(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

// A pipe that is full is waited for, but not for ever.
func TestFileThatDoesNotBlock(t *testing.T) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	w := File(ends[1])
	big := make([]byte, 1<<20) // more than a pipe holds
	if n, err := w.Write(big); n == 0 || n == len(big) || !errors.Is(err, unix.EAGAIN) {
		t.Errorf("nobody reads: %d, %v", n, err)
	}
	read := make(chan int64)
	go func() {
		_ = unix.SetNonblock(ends[0], false)
		n, _ := io.Copy(io.Discard, File(ends[0]))
		read <- n
	}()
	if n, err := w.Write(big); n != len(big) || err != nil {
		t.Errorf("somebody reads: %d, %v", n, err)
	}
	w.Close()
	if n := <-read; n <= int64(len(big)) {
		t.Errorf("%d bytes were read", n)
	}
}
