package sys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hostileTree is a directory with everything in it that must not be followed.
func hostileTree(t *testing.T) (fd int, dir string) {
	t.Helper()
	top := t.TempDir()
	dir = filepath.Join(top, "root")
	for _, d := range []string{"outside", "root/a/b"} {
		if err := os.MkdirAll(filepath.Join(top, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"link": "../outside", "absolute": "/etc", "dangling": "nowhere", "loop": "loop", "magic": "/proc/self/root", "a/up": "..",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"outside/secret", "root/file", "root/a/b/deep"} {
		if err := os.WriteFile(filepath.Join(top, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	fd, err := OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd, dir
}

func TestOpenBeneath(t *testing.T) {
	fd, _ := hostileTree(t)
	for _, test := range []struct {
		rel  string
		want error // nil: opens
	}{
		{".", nil},
		{"a", nil},
		{"a/b", nil},
		{"link", unix.ENOTDIR},
		{"link/secret", unix.ENOTDIR},
		{"absolute/passwd", unix.ENOTDIR},
		{"magic/etc", unix.ENOTDIR},
		{"a/up/a", unix.ENOTDIR},
		{"dangling", unix.ENOTDIR},
		{"loop", unix.ENOTDIR},
		{"file", unix.ENOTDIR},
		{"file/x", unix.ENOTDIR},
		{"nothing", unix.ENOENT},
		{"fifo", unix.ENOTDIR},
	} {
		got, err := OpenBeneath(fd, test.rel, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK)
		if got >= 0 {
			unix.Close(got)
		}
		// The kernel says ELOOP or ENOTDIR for a link where a directory has to be.
		if errors.Is(err, unix.ELOOP) {
			err = unix.ENOTDIR
		}
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%q: got %v, want %v", test.rel, err, test.want)
		}
	}
	for _, rel := range []string{"", "..", "a/..", "../outside", "/etc", "a/", "link/", "a//b", "a/./b", "a\x00", strings.Repeat("n", 256)} {
		if got, err := OpenBeneath(fd, rel, unix.O_RDONLY); err == nil {
			unix.Close(got)
			t.Errorf("%q was opened", rel)
		}
	}
}

// An O_PATH descriptor of a link or a FIFO is what a caller has to look at.
func TestOpenComponentWithPathOpensTheLinkItself(t *testing.T) {
	fd, _ := hostileTree(t)
	for name, want := range map[string]string{"link": "symbolic link", "fifo": "FIFO", "file": "regular file", "a": "directory"} {
		got, err := OpenComponent(fd, name, unix.O_PATH)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		st, err := Stat(got)
		unix.Close(got)
		if err != nil || st.TypeName() != want {
			t.Errorf("%s: a %s, %v, want a %s", name, st.TypeName(), err, want)
		}
	}
}

func TestCreateComponentTakesNothingThatIsThere(t *testing.T) {
	fd, dir := hostileTree(t)
	for _, name := range []string{"file", "link", "dangling", "fifo", "a"} {
		if got, err := CreateComponent(fd, name, unix.O_WRONLY, 0o600); !errors.Is(err, unix.EEXIST) {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	got, err := CreateComponent(fd, "new", unix.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(got)
	if _, err := os.Stat(filepath.Join(dir, "new")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a dangling link was followed")
	}
}

func TestReadFile(t *testing.T) {
	fd, dir := hostileTree(t)
	if data, err := ReadFile(fd, "file", 100); err != nil || string(data) != "root/file" {
		t.Errorf("got %q, %v", data, err)
	}
	if _, err := ReadFile(fd, "file", 3); err == nil {
		t.Error("a file beyond the limit was read")
	}
	done := make(chan bool)
	go func() {
		for _, name := range []string{"fifo", "link", "a", "nothing"} {
			if _, err := ReadFile(fd, name, 100); err == nil {
				t.Errorf("%s was read", name)
			}
			if _, err := ReadPath(filepath.Join(dir, name), 100); err == nil {
				t.Errorf("%s was read by its path", name)
			}
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("reading hangs")
	}
}

func TestWriteFileReplaces(t *testing.T) {
	fd, dir := hostileTree(t)
	// What a killed run has left, and a link in the place of the file.
	if err := os.Symlink("../outside/secret", filepath.Join(dir, TemporaryName("link"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "link", "new"} {
		for _, text := range []string{"first", "second"} {
			if err := WriteFile(fd, name, []byte(text), 0o640); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			data, err := ReadFile(fd, name, 100)
			if err != nil || string(data) != text {
				t.Errorf("%s: got %q, %v", name, data, err)
			}
		}
	}
	secret, err := os.ReadFile(filepath.Join(dir, "../outside/secret"))
	if err != nil || string(secret) != "outside/secret" {
		t.Errorf("the file behind the link is %q, %v", secret, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestTemporaryNameFits(t *testing.T) {
	for _, name := range []string{"a", strings.Repeat("n", 255)} {
		if err := CheckName(TemporaryName(name)); err != nil {
			t.Error(err)
		}
	}
}

func TestRemoveTwice(t *testing.T) {
	fd, dir := hostileTree(t)
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "link", "fifo", "empty"} {
		for range 2 {
			if err := Remove(fd, name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	if err := Remove(fd, "a"); !errors.Is(err, unix.ENOTEMPTY) {
		t.Errorf("a directory that is not empty: %v", err)
	}
}

func TestRename(t *testing.T) {
	fd, dir := hostileTree(t)
	if err := RenameNoReplace(fd, "file", fd, "a"); !errors.Is(err, unix.EEXIST) {
		t.Errorf("onto what is there: %v", err)
	}
	if err := RenameExchange(fd, "file", fd, "a"); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(dir, "file")); err != nil || !st.IsDir() {
		t.Errorf("not exchanged: %v", err)
	}
	if err := RenameExchange(fd, "file", fd, "nothing"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("with nothing: %v", err)
	}
	if err := Rename(fd, "a", fd, "../a"); err == nil {
		t.Error("out of the directory")
	}
}

func TestSymlink(t *testing.T) {
	fd, _ := hostileTree(t)
	if err := MakeSymlink("/persist/x", fd, "new"); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSymlink(fd, "new"); err != nil || got != "/persist/x" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := ReadSymlink(fd, "file"); err == nil {
		t.Error("read a file as a link")
	}
}
