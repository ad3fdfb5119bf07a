package stores

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestTrashAndRestore(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir persist", "dir persist/var 0750", "dir persist/var/old 0700", "file persist/var/old/f 0640 0:0 text")
	before := testenv.Fingerprint(t, dir)
	s := open(t, dir)
	if _, err := s.Trash("/var/old", true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Restore("/var/old", true); err == nil {
		t.Error("a dry run has moved it")
	}
	if changed := before.Diff(testenv.Fingerprint(t, dir)); changed != "" {
		t.Errorf("a dry run has changed\n%s", changed)
	}
	to, err := s.Trash("/var/old", false)
	if err != nil || to != filepath.Join(dir, "persist/.ebb/trash/2026-11-23/var/old") {
		t.Fatalf("%s, %v", to, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "persist/var/old")); err == nil {
		t.Error("it is still there")
	}
	// A user's way in is closed, whatever the modes below are.
	if status, err := os.Stat(filepath.Join(dir, "persist/.ebb/trash")); err != nil || status.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", status, err)
	}
	if err := os.Remove(filepath.Join(dir, "persist/var")); err != nil {
		t.Fatal(err)
	}
	if from, err := s.Restore("/var/old", false); err != nil || from != to {
		t.Fatalf("%s, %v", from, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "persist/var/old/f")); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := s.Restore("/var/old", false); err == nil {
		t.Error("restored twice")
	}
}

// The same path again on one day goes beside the first, and comes back first.
func TestTrashCollides(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir persist")
	s := open(t, dir)
	for _, kind := range []string{"file persist/a 0600 0:0 1", "dir persist/a", "file persist/a 0600 0:0 3"} {
		testenv.Tree(t, dir, kind)
		if strings.HasPrefix(kind, "dir") {
			testenv.Tree(t, dir, "file persist/a/b")
			if _, err := s.Trash("/a/b", false); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Trash("/a", false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Restore("/a", false); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "persist/a")); err != nil || string(text) != "3" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := s.Restore("/a", false); err == nil {
		t.Error("something was replaced")
	}
	if _, err := os.ReadFile(filepath.Join(dir, "persist/.ebb/trash/2026-11-23/a")); err != nil {
		t.Error(err)
	}
}

func TestTrashRefuses(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir persist", "dir persist/var", "dir persist/var/a", "dir persist/var/a/in", "dir persist/mine", "dir persist/mine/secrets",
		"dir outside", "file outside/f", "link persist/out "+dir+"/outside", "dir persist/x")
	s := open(t, dir, "/var/a")
	before := testenv.Fingerprint(t, dir)
	for rel, want := range map[string]string{
		"/var": "declared lies in it", "/var/a": "is declared", "/var/a/in": "is declared", "/mine": "lies in it", "/mine/secrets": "ignored",
		"/.ebb": "is declared", "/.ebb/ledger": "is declared", "/none": "no such file", "/out/f": "", "/x/../out/f": "",
	} {
		if to, err := s.Trash(rel, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v", rel, to, err)
		}
	}
	s.Doubt = "the clock shows 1970"
	if _, err := s.Trash("/x", false); err == nil || !strings.Contains(err.Error(), "1970") {
		t.Errorf("got %v", err)
	}
	if changed := before.Diff(testenv.Fingerprint(t, dir)); changed != "" {
		t.Errorf("changed\n%s", changed)
	}
	// A link is moved, not what it leads to; and is no way back.
	s.Doubt = ""
	if _, err := s.Trash("/out", false); err != nil {
		t.Error(err)
	}
	if _, err := s.Trash("/x", false); err != nil {
		t.Error(err)
	}
	testenv.Tree(t, dir, "link persist/x "+dir+"/outside", "dir persist/.ebb/trash/2026-11-23/x/y")
	if from, err := s.Restore("/x/y", false); err == nil {
		t.Errorf("restored %s through a link", from)
	}
}

func TestGrace(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir persist", "dir persist/.ebb 0700", "dir persist/.ebb/trash 0700", "dir outside", "file outside/f",
		"dir persist/.ebb/trash/2026-10-01", "file persist/.ebb/trash/2026-10-01/f", "link persist/.ebb/trash/2026-10-01/out "+dir+"/outside",
		"dir persist/.ebb/trash/2026-10-24", "dir persist/.ebb/trash/2026-10-25", "dir persist/.ebb/trash/2026-11-23.02",
		"dir persist/.ebb/trash/2030-01-01", "dir persist/.ebb/trash/notes", "link persist/.ebb/trash/2026-01-01 "+dir+"/outside")
	// Put there an hour later on that day than it is now.
	at := now.AddDate(0, 0, -30).Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "persist/.ebb/trash/2026-10-24"), at, at); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	goes := func(days uint64) (names []string) {
		t.Helper()
		list, err := s.Trashed(days)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			if d.Goes {
				names = append(names, d.name)
			}
		}
		return names
	}
	if got := strings.Join(goes(30), " "); got != "2026-01-01 2026-10-01" {
		t.Errorf("goes: %s", got)
	}
	s.Now = now.Add(2 * time.Hour)
	if got := strings.Join(goes(30), " "); got != "2026-01-01 2026-10-01 2026-10-24" {
		t.Errorf("two hours later: %s", got)
	}
	s.Doubt = "the clock has jumped"
	if got := goes(30); got != nil {
		t.Errorf("with a clock in doubt: %s", got)
	}
	s.Doubt = ""
	outside := testenv.Fingerprint(t, filepath.Join(dir, "outside"))
	list, err := s.Trashed(30)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if !d.Goes {
			continue
		}
		if err := s.Delete(d); (err == nil) != (d.name != "2026-01-01") {
			t.Errorf("%s: %v", d.name, err)
		}
	}
	if changed := outside.Diff(testenv.Fingerprint(t, filepath.Join(dir, "outside"))); changed != "" {
		t.Errorf("outside:\n%s", changed)
	}
	if _, err := os.Lstat(filepath.Join(dir, "persist/.ebb/trash/2026-10-01")); err == nil {
		t.Error("it is still there")
	}
}

// Subvolumes that lay in what was put into the trash go along with it, also
// read-only ones; another subvolume is another file system for a rename.
func TestTrashSubvolumes(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume persist", "dir persist/docker", "subvolume persist/docker/1", "file persist/docker/1/f",
		"subvolume persist/docker/1/in", "file persist/docker/1/in/f", "subvolume persist/whole", "subvolume persist/entry", "file persist/entry/old", "subvolume persist/sealed")
	for _, name := range []string{"persist/docker/1/in", "persist/docker/1", "persist/sealed"} {
		if err := btrfs.SetReadOnly(f.Open(name), true); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, f.Dir, "/entry/new")
	for rel, want := range map[string]string{"/docker": "", "/whole": "", "/entry/old": "another", "/sealed": "read-only"} {
		_, err := s.Trash(rel, false)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(strings.ReplaceAll(err.Error(), "in another", "another"), want) {
			t.Errorf("%s: %v", rel, err)
		}
	}
	s.Now = now.AddDate(0, 0, 31)
	list, err := s.Trashed(30)
	if err != nil || len(list) != 1 || !list[0].Goes {
		t.Fatalf("%v, %v", list, err)
	}
	if err := unix.Mount(f.Path("persist/.ebb/trash/2026-11-23/whole"), f.Path("persist/entry"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	used, err := openWith(f.Dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	used.Now = s.Now
	if list, err := used.Trashed(30); err != nil || list[0].Goes {
		t.Errorf("what is mounted would go: %+v, %v", list[0], err)
	}
	used.Close()
	if err := unix.Unmount(f.Path("persist/entry"), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(list[0]); err != nil {
		t.Fatal(err)
	}
	listing, err := btrfs.List(f.Open())
	if err != nil || len(listing) != 4 {
		t.Errorf("left: %v, %v", listing, err)
	}
}
