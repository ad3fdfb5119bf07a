package copytree

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// changes are what somebody does to a tree that has been copied, in its
// directory, and what the comparison says of it then.
var changes = []struct {
	name   string
	change func(dir string) error
	want   Differences
}{
	{"nothing", func(string) error { return nil }, Differences{}},
	{"a file touched", func(dir string) error { return touch(filepath.Join(dir, "long")) }, Differences{}},
	{
		"one byte, size and time as before", func(dir string) error { return overwrite(filepath.Join(dir, "long"), 200_000) },
		Differences{Changed: 1, Bytes: 300_000, Paths: []string{"long"}},
	},
	{
		"a file that has grown", func(dir string) error { return os.WriteFile(filepath.Join(dir, "empty"), []byte("1234"), 0) },
		Differences{Changed: 1, Bytes: 4, Paths: []string{"empty"}},
	},
	{
		"a mode", func(dir string) error { return os.Chmod(filepath.Join(dir, "long"), 0o604) },
		Differences{Changed: 1, Bytes: 300_000, Paths: []string{"long"}},
	},
	{
		"an owner", func(dir string) error { return os.Lchown(filepath.Join(dir, "l"), 7, 8) },
		Differences{Changed: 1, Bytes: 16, Paths: []string{"l"}},
	},
	{
		"a link that leads elsewhere", func(dir string) error { return replace(filepath.Join(dir, "dangling"), "anywhere") },
		Differences{Changed: 1, Bytes: 8, Paths: []string{"dangling"}},
	},
	{
		"a file that became a link", func(dir string) error { return replace(filepath.Join(dir, "empty"), "/etc/shadow") },
		Differences{Changed: 1, Bytes: 11, Paths: []string{"empty"}},
	},
	{"a file that became a directory", func(dir string) error {
		return errors.Join(os.Remove(filepath.Join(dir, "empty")), os.MkdirAll(filepath.Join(dir, "empty/in"), 0o700))
	}, Differences{Changed: 1, Paths: []string{"empty"}}},
	{"a directory that became a file", func(dir string) error {
		return errors.Join(os.RemoveAll(filepath.Join(dir, "other")), os.WriteFile(filepath.Join(dir, "other"), []byte("12"), 0o600))
	}, Differences{Changed: 1, Bytes: 2, Paths: []string{"other"}}},
	{
		"the mode of a FIFO", func(dir string) error { return os.Chmod(filepath.Join(dir, "sub/p"), 0o600) },
		Differences{Changed: 1, Paths: []string{"sub/p"}},
	},
	{
		"the mode of a directory", func(dir string) error { return os.Chmod(filepath.Join(dir, "other"), 0o711) },
		Differences{Changed: 1, Paths: []string{"other/"}},
	},
	{
		"a name more", func(dir string) error { return os.WriteFile(filepath.Join(dir, "sub/new"), []byte("123"), 0o600) },
		Differences{Only: 1, Bytes: 3, Paths: []string{"sub/new"}},
	},
	{
		"a file less", func(dir string) error { return os.Remove(filepath.Join(dir, "long")) },
		Differences{Gone: 1, Paths: []string{"long"}},
	},
	{
		"a directory less", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "other")) },
		Differences{Gone: 1, Paths: []string{"other"}},
	},
}

func touch(path string) error { return os.Chtimes(path, time.Unix(1, 0), time.Unix(2, 3)) }

// overwrite changes one byte and sets the time of modification back.
func overwrite(path string, at int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt([]byte("!"), at)
	return errors.Join(err, file.Close(), os.Chtimes(path, info.ModTime(), info.ModTime()))
}

func replace(path, link string) error { return errors.Join(os.Remove(path), os.Symlink(link, path)) }

// A comparison sees each change and makes none; an update makes the copy what a
// new one would be, and then there is no difference.
func TestUpdate(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	options := Options{SetID: true, Devices: true}
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			testenv.Tree(t, dir, append(slices.Clone(everything), "file d/long", "dir d/other 0755", "file d/other/f 0600 0:0 x")...)
			source, target := filepath.Join(dir, "d"), filepath.Join(dir, "copy")
			require(t, unix.Lremovexattr(source, "trusted.ebb.owner"))
			require(t, os.WriteFile(filepath.Join(source, "long"), bytes.Repeat([]byte("abc"), 100_000), 0))
			_, err := copyOf(t, dir, "d", "copy", options)
			require(t, err)
			require(t, c.change(source))
			before := testenv.Fingerprint(t, target)
			from, to := testenv.OpenDir(t, source), testenv.OpenDir(t, target)
			got, err := Compare(from, to, options)
			require(t, err)
			wantDifferences(t, "compare", got, c.want)
			if diff := before.Diff(testenv.Fingerprint(t, target)); diff != "" {
				t.Errorf("the comparison has changed the copy:\n%s", diff)
			}
			got, _, err = Update(from, to, options)
			require(t, err)
			if c.want.Any() && !got.Any() {
				t.Errorf("update: %+v, want %+v", got, c.want)
			}
			if diff := testenv.Fingerprint(t, source).Diff(testenv.Fingerprint(t, target)); diff != "" {
				t.Errorf("the copy differs:\n%s", diff)
			}
			requireSameFile(t, dir, "copy/f", "copy/sub/h2")
			got, err = Compare(from, to, options)
			require(t, err)
			wantDifferences(t, "compare after the update", got, Differences{})
		})
	}
}

func wantDifferences(t *testing.T, what string, got, want Differences) {
	t.Helper()
	if got.Changed != want.Changed || got.Only != want.Only || got.Gone != want.Gone || got.Bytes != want.Bytes || !slices.Equal(got.Paths, want.Paths) {
		t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

func require(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Holes that both have are not read: a user's file of holes may be as large as the
// file system takes.
func TestCompareHoles(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := unix.Mount("test", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		testenv.Tree(t, dir, "file f 0644 0:0 begin")
		if err := os.Truncate(filepath.Join(dir, "f"), 1<<60); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, "f"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	compare := func() Differences {
		from, to := testenv.OpenDir(t, a), testenv.OpenDir(t, b)
		d, err := Compare(from, to, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := compare(); d.Any() {
		t.Errorf("%+v", d)
	}
	if err := overwrite(filepath.Join(b, "f"), 1<<59); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(b, "f"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if d := compare(); d.Changed != 1 {
		t.Errorf("%+v", d)
	}
}
