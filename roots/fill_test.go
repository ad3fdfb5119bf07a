package roots

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// fillable is a disk with an entry that is empty and mounted, and an archived root
// that has data for it.
func fillable(t *testing.T) *disk {
	d := newDisk(t)
	d.archive(1, "dir srv/data 2750 33:34", "xattr srv/data user.note n", "file srv/data/a 0600 33:33 one", "file srv/data/.hidden/b 0644 5:6 two",
		"link srv/data/way /etc/shadow", "file etc/conf 0640 7:8 text")
	testenv.Tree(t, d.Dir, "dir @/srv/data 0755 0:0", "dir @persist/srv/data 0755 0:0", "file @/etc/conf 0644 0:0", "file @persist/etc/conf 0644 0:0")
	for _, p := range []string{"srv/data", "etc/conf"} {
		target := d.Path("@", p)
		if err := unix.Mount(d.Path("@persist", p), target, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(target, unix.MNT_DETACH) })
	}
	return d
}

func (d *disk) requireFilled(path string) {
	d.t.Helper()
	want := testenv.Fingerprint(d.t, d.Path("@roots/000001/root", path))
	for _, side := range []string{"@", "@persist"} {
		if diff := want.Diff(testenv.Fingerprint(d.t, d.Path(side, path))); diff != "" {
			d.t.Errorf("%s/%s:\n%s", side, path, diff)
		}
	}
}

// An entry that is empty is filled where it is: what is mounted stays mounted, and
// the store has it.
func TestRestoreIntoEmptyEntry(t *testing.T) {
	for _, way := range []string{"live", "store"} {
		d := fillable(t)
		for _, path := range []string{"/srv/data", "/etc/conf"} {
			r := d.restore()
			r.SetID = true
			if way == "store" {
				r.Target = d.Open("@persist")
			}
			r.DryRun = true
			if got, err := r.Path(path); err != nil || got.Size == nil {
				t.Errorf("dry: %+v, %v", got, err)
			}
			r.DryRun = false
			got, err := r.Path(path)
			if err != nil || got.Stats.Files == 0 || got.Backup != "" {
				t.Fatalf("%s %s: %+v, %v", way, path, got, err)
			}
			d.requireFilled(path)
			for _, force := range []bool{false, true} {
				r := d.restore()
				r.Force, r.Store = force, way == "store"
				if r.Store {
					r.Target = d.Open("@persist")
				}
				if _, err := r.Path(path); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "and not empty") {
					t.Errorf("%s again, with force %v: %v", path, force, err)
				}
			}
			d.requireFilled(path)
		}
	}
}

// Ended at any time, it leaves the entry as it was, and the next one is whole.
func TestRestoreIntoEmptyEntryInterrupted(t *testing.T) {
	d := fillable(t)
	for _, path := range []string{"/srv/data", "/etc/conf"} {
		before := slices.Sorted(maps.Keys(testenv.Fingerprint(t, d.Path("@persist"))))
		stop, calls, ended := errors.New("stop"), 0, false
		for at := 1; !ended; at++ {
			r := d.restore()
			r.SetID = true
			calls = 0
			r.Progress = func(string, *copytree.Stats) error {
				if calls++; calls == at {
					return stop
				}
				return nil
			}
			_, err := r.Path(path)
			if ended = err == nil; ended {
				continue
			}
			if !errors.Is(err, stop) {
				t.Fatal(err)
			}
			if left := slices.Sorted(maps.Keys(testenv.Fingerprint(t, d.Path("@persist")))); !slices.Equal(left, before) {
				t.Fatalf("%s: stopped at call %d, it left %v", path, at, left)
			}
			if text, err := os.ReadFile(d.Path("@persist/etc/conf")); path == "/etc/conf" && (err != nil || len(text) > 0) {
				t.Fatalf("stopped at call %d: %q, %v", at, text, err)
			}
		}
		d.requireFilled(path)
	}
}

// A run that was killed while it moved up what it had copied is gone on with by
// the next; until then the note says that it is not whole. What somebody has put
// there meanwhile stays, and keeps it from being done.
func TestRestoreIntoHalfFilledEntry(t *testing.T) {
	d := fillable(t)
	staged := "@persist/srv/data/" + sys.TemporaryName("data")
	r := d.restore()
	r.SetID = true
	// One that was killed while it copied: that goes.
	testenv.Tree(t, d.Dir, "file "+staged+"/half 0600 0:0 half")
	testenv.Tree(t, d.Dir, "file @persist/srv/data/a 0600 0:0 mine")
	if _, err := r.Path("/srv/data"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("filled, although there is something: %v", err)
	}
	if err := os.Remove(d.Path("@persist/srv/data/a")); err != nil {
		t.Fatal(err)
	}
	// One that had copied it all, and moved the first.
	r.Flat, r.Target = true, d.Open("@persist")
	if err := os.RemoveAll(d.Path(staged)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Path("/srv/data"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(d.Path("@persist/data"), d.Path(staged)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(d.Path(staged, "way"), d.Path("@persist/srv/data/way")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{staged, "@persist/srv/data"} {
		if err := copytree.WriteLeft(d.Open(path), 1); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Tree(t, d.Dir, "file @persist/srv/data/a 0600 0:0 mine")
	r = d.restore()
	r.SetID = true
	if _, err := r.Path("/srv/data"); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "when it is run again") {
		t.Errorf("over what is there: %v", err)
	}
	if text, err := os.ReadFile(d.Path("@persist/srv/data/a")); err != nil || string(text) != "mine" || copytree.ReadLeft(d.Open("@persist/srv/data")) != 1 {
		t.Errorf("%q, %v, or the note is gone", text, err)
	}
	if err := os.Remove(d.Path("@persist/srv/data/a")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Path("/srv/data"); err != nil {
		t.Fatal(err)
	}
	d.requireFilled("/srv/data")
}

// A file of somebody else's may be open by him, and have another name: neither is
// filled with what was not his.
func TestRestoreIntoFileOfOthers(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "file etc/secret 0600 0:0 secret", "file etc/linked 0600 0:0 secret")
	testenv.Tree(t, d.Dir, "file @/etc/secret 0644 1000:100", "file @/etc/linked 0644 0:0")
	if err := os.Link(d.Path("@/etc/linked"), d.Path("@/etc/name")); err != nil {
		t.Fatal(err)
	}
	for path, reason := range map[string]string{"/etc/secret": "belongs to user 1000", "/etc/linked": "another name"} {
		if _, err := d.restore().Path(path); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", path, err)
		}
		if st, err := os.Stat(d.Path("@", path)); err != nil || st.Size() != 0 {
			t.Errorf("%s: %v, %v", path, st, err)
		}
	}
}

// A run that is killed after all was moved up leaves what the next one knows it by.
func TestRestoreEndsWhatWasMovedUp(t *testing.T) {
	d := fillable(t)
	to, from := d.Open("@persist/srv/data"), sys.TemporaryName("data")
	testenv.Tree(t, d.Dir, "file @persist/srv/data/a 0600 33:33 one", "file @persist/srv/data/.hidden/b 0644 5:6 two", "link @persist/srv/data/way /etc/shadow", "dir @persist/srv/data/"+from)
	temporary := d.Open("@persist/srv/data/" + from)
	if err := errors.Join(copytree.WriteLeft(to, 1), copytree.WriteLeft(temporary, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.restore().Path("/srv/data"); err != nil {
		t.Fatal(err)
	}
	if copytree.ReadLeft(to) != 0 {
		t.Error("the note is still there")
	}
	if _, err := os.Lstat(d.Path("@persist/srv/data", from)); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
