package roots

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// restore begins a restore to the live root.
func (d *disk) restore() *Restore {
	return &Restore{
		Top: d.Open("."), Archive: "@roots", Target: d.Open("@"),
		Members: []Member{{"home", "/home"}, {"root", "/"}},
	}
}

func TestRestore(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "file etc/only-old 0640 0:42 first", "file srv/data/a 0600 33:33 one")
	d.archive(2, "dir srv 0711 7:7", "dir srv/data 0750 33:33", "file srv/data/a 0600 33:33 two", "subvolume srv/data/sub", "file srv/data/sub/x 0644 0:0 nested")
	testenv.Tree(t, d.Dir, "subvolume @roots/000002/home", "dir @roots/000002/home/anna 0700 1000:100", "file @roots/000002/home/anna/mail 0600 1000:100 dear")
	for _, test := range []struct {
		path    string
		from    uint64 // asked for
		found   uint64
		file    string
		content string
		mode    uint32
		uid     uint32
	}{
		{"/etc/only-old", 0, 1, "@/etc/only-old", "first", 0o640, 0},
		{"/srv/data", 0, 2, "@/srv/data/a", "two", 0o600, 33},
		{"/home/anna/mail", 0, 2, "@/home/anna/mail", "dear", 0o600, 1000},
	} {
		r := d.restore()
		r.From = test.from
		r.DryRun = true
		before := testenv.Fingerprint(t, d.Path("@"))
		if got, err := r.Path(test.path); err != nil || got.From != test.found {
			t.Errorf("%s: dry: %+v, %v", test.path, got, err)
		}
		if after := testenv.Fingerprint(t, d.Path("@")); !maps.Equal(after, before) {
			t.Errorf("%s: the dry run changed something", test.path)
		}
		r.DryRun = false
		if got, err := r.Path(test.path); err != nil || got.From != test.found {
			t.Fatalf("%s: %+v, %v", test.path, got, err)
		}
		var st unix.Stat_t
		content, err := os.ReadFile(d.Path(test.file))
		if err != nil || string(content) != test.content || unix.Stat(d.Path(test.file), &st) != nil || st.Mode&0o7777 != test.mode || st.Uid != test.uid {
			t.Errorf("%s: %q, mode %o, uid %d, %v", test.file, content, st.Mode&0o7777, st.Uid, err)
		}
		// Again: what is there is not touched, and with force it is kept.
		if _, err := r.Path(test.path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: again: %v", test.path, err)
		}
		r.Force = true
		got, err := r.Path(test.path)
		if err != nil || got.Backup == "" {
			t.Fatalf("%s: with force: %+v, %v", test.path, got, err)
		}
		if _, err := os.Stat(d.Path("@", got.Backup)); err != nil {
			t.Errorf("%s: the backup: %v", test.path, err)
		}
	}
	for dir, want := range map[string]uint32{"@/srv": 0o711, "@/srv/data": 0o750, "@/home": 0o755, "@/home/anna": 0o700} {
		var st unix.Stat_t
		if err := unix.Stat(d.Path(dir), &st); err != nil || st.Mode&0o7777 != want {
			t.Errorf("%s: mode %o, want %o (%v)", dir, st.Mode&0o7777, want, err)
		}
	}
	if content, err := os.ReadFile(d.Path("@/srv/data/sub/x")); err != nil || string(content) != "nested" {
		t.Errorf("from a nested subvolume: %q, %v", content, err)
	}
	r := d.restore()
	r.From = 1
	r.Flat, r.Target = true, d.Open("@persist")
	if got, err := r.Path("/srv/data"); err != nil || got.Target != "data" {
		t.Errorf("%+v, %v", got, err)
	}
	if content, err := os.ReadFile(d.Path("@persist/data/a")); err != nil || string(content) != "one" {
		t.Errorf("into a directory: %q, %v", content, err)
	}
}

// All that a tree has comes back, and data is shared rather than copied.
func TestRestoreEverything(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "dir data 2750 7:8", "file data/a 0640 9:10 text", "link data/way /etc/shadow", "fifo data/pipe 0620 1:2", "subvolume data/sealed", "file data/sealed/x 0600 3:4 y")
	d.setReadOnly("@roots/000001/root", false)
	from := d.Path("@roots/000001/root/data")
	acl := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\x0b\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff" // u::rw,u:11:r,g::r,m::r,o::-
	large := make([]byte, 4<<20)
	_, _ = rand.Read(large)
	at := time.Unix(1e9, 123456789)
	hole, err := os.Create(from + "/hole")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Link(from+"/a", from+"/b"),
		unix.Setxattr(from+"/a", "user.note", []byte("n"), 0),
		unix.Setxattr(from+"/a", "system.posix_acl_access", []byte(acl), 0),
		unix.Setxattr(from, "system.posix_acl_default", []byte(acl), 0),
		os.WriteFile(from+"/large", large, 0o600),
		hole.Truncate(1 << 60), // almost all that btrfs can have
		hole.Close(),
		os.Chtimes(from+"/a", at, at),
		os.Chtimes(from+"/sealed", at, at),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d.setReadOnly("@roots/000001/root/data/sealed", true)
	d.setReadOnly("@roots/000001/root", true)
	if err := os.Chtimes(d.Path("@"), at, at); err != nil {
		t.Fatal(err)
	}
	got, err := d.restore().Path("/data")
	if err != nil {
		t.Fatal(err)
	}
	if got.Stats.Shared < 4<<20 || got.Stats.Copied > 1<<20 {
		t.Errorf("%+v", got.Stats)
	}
	to := d.Path("@/data")
	for _, name := range []string{"hole", "large"} { // the first cannot be read to its end
		var was, is unix.Stat_t
		if unix.Stat(from+"/"+name, &was) != nil || unix.Stat(to+"/"+name, &is) != nil || was.Size != is.Size || was.Blocks != is.Blocks || was.Mtim != is.Mtim {
			t.Errorf("%s: %+v, %+v", name, was, is)
		}
	}
	if one, err := os.ReadFile(to + "/large"); err != nil || !bytes.Equal(one, large) {
		t.Errorf("large: %v", err)
	}
	for _, dir := range []string{from, to} {
		d.setReadOnly("@roots/000001/root", false)
		if err := os.Remove(dir + "/hole"); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
	}
	// The subvolume has become a directory, with all that it had.
	changed := strings.Split(testenv.Fingerprint(t, from).Diff(testenv.Fingerprint(t, to)), "\n")
	if len(changed) != 3 || strings.Replace(changed[0][2:], "subvolume", "dir", 1) != changed[1][2:] {
		t.Errorf("not the same:\n%s", strings.Join(changed, "\n"))
	}
	var a, b unix.Stat_t
	if unix.Stat(to+"/a", &a) != nil || unix.Stat(to+"/b", &b) != nil || a.Ino != b.Ino {
		t.Error("the hard link is another file")
	}
	var sub unix.Stat_t
	if unix.Stat(to+"/sealed", &sub) != nil || sub.Ino == 256 {
		t.Error("the subvolume is no directory")
	}
}

func TestRestoreRefuses(t *testing.T) {
	d := newDisk(t)
	testenv.Tree(t, d.Dir, "dir outside", "file outside/secret 0600 0:0 secret", "link @/var ../outside", "link @/etc/x /outside")
	d.archive(1, "link out /etc", "fifo pipe 0600", "file var/log 0644 0:0 log", "file etc/x/y 0644 0:0 y", "file plain 0644 0:0 plain")
	before := testenv.Fingerprint(t, d.Path("outside"))
	for path, want := range map[string]string{
		"/out":        "symbolic link",
		"/out/passwd": "out",
		"/pipe":       "neither",
		"/none":       "no archived root has it",
		"/var/log":    "var",
		"/etc/x/y":    "etc/x",
		"etc":         "absolute",
		"/":           "not all of the root",
		"/a/../plain": "clean",
		"/plain/":     "clean",
	} {
		if got, err := d.restore().Path(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", path, got, err, want)
		}
	}
	r := d.restore()
	r.From = 9
	if _, err := r.Path("/plain"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a root that is not there: %v", err)
	}
	if after := testenv.Fingerprint(t, d.Path("outside")); !maps.Equal(after, before) {
		t.Error("something outside was changed")
	}
}

func TestRestoreSetID(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "file su 4755 0:0 x")
	for _, keep := range []bool{false, true} {
		r := d.restore()
		r.SetID, r.Force = keep, true
		if _, err := r.Path("/su"); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(d.Path("@/su"), &st); err != nil || st.Mode&unix.S_ISUID != 0 != keep {
			t.Errorf("asked for %v: mode %o, %v", keep, st.Mode, err)
		}
	}
}

// TestRestoreInterrupted ends a restore at each of the times at which it tells
// how far it is: nothing is left of it, and the next one is whole.
func TestRestoreInterrupted(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "dir srv", "file srv/data/a 0600 33:33 one", "file srv/data/b 0600 33:33 two")
	names := func() []string { return slices.Sorted(maps.Keys(testenv.Fingerprint(t, d.Path("@")))) }
	before := names()
	stop := errors.New("stop")
	calls, ended := 0, false
	for at := 1; !ended; at++ {
		r := d.restore()
		calls = 0
		r.Progress = func(path string, s *copytree.Stats) error {
			if path != "/srv" {
				t.Errorf("progress of %q", path)
			}
			if calls++; calls == at {
				return stop
			}
			return nil
		}
		_, err := r.Path("/srv")
		if ended = err == nil; !ended && !errors.Is(err, stop) {
			t.Fatal(err)
		}
		if left := names(); !ended && !slices.Equal(left, before) {
			t.Fatalf("stopped at call %d, it left %v", at, left)
		}
	}
	if content, err := os.ReadFile(d.Path("@/srv/data/b")); err != nil || string(content) != "two" || calls < 3 {
		t.Errorf("%q, %v, after %d calls", content, err, calls)
	}
}

// In a directory of theirs users can give one of root's the name under which a copy
// is prepared, or that of a parent which is made: it stays, and the hint says what to
// do. What an interrupted run has left there goes.
func TestRestoreKeepsWhatIsNotItsOwn(t *testing.T) {
	for _, test := range []struct{ name, at, restored string }{
		{"the copy", "@/srv/ada/" + sys.TemporaryName("docs"), "/srv/ada/docs"},
		{"the copy in an empty directory", "@/srv/ada/empty/" + sys.TemporaryName("empty"), "/srv/ada/empty"},
		{"a parent", "@/srv/ada/" + sys.TemporaryName("docs"), "/srv/ada/docs/a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDisk(t)
			d.archive(1, "dir srv 0755 0:0", "dir srv/ada 0755 1000:100", "dir srv/ada/docs 0755 1000:100",
				"file srv/ada/docs/a 0644 1000:100 archived", "dir srv/ada/empty 0755 1000:100", "file srv/ada/empty/a 0644 1000:100 archived")
			testenv.Tree(t, d.Dir, "dir @/srv 0755 0:0", "dir @/srv/ada 0755 1000:100", "dir @/srv/ada/empty 0755 1000:100", "file "+test.at+"/of/root 0600 0:0 canary")
			for range 2 {
				if _, err := d.restore().Path(test.restored); err == nil || !strings.Contains(err.Error(), ".ebb-new\" was not left by ebb, remove it") {
					t.Errorf("restored: %v", err)
				}
				if text, err := os.ReadFile(d.Path(test.at, "of/root")); err != nil || string(text) != "canary" {
					t.Fatalf("what was there is %q, %v", text, err)
				}
			}
			// Parents have nothing in them as long as they have that name.
			if test.name == "a parent" {
				if err := os.RemoveAll(d.Path(test.at, "of")); err != nil {
					t.Fatal(err)
				}
			} else if err := sys.SetXattr(d.Open(test.at), copytree.UnfinishedXattr, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := d.restore().Path(test.restored); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(d.Path(test.at)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what was left is still there: %v", err)
			}
			if _, err := unix.Lgetxattr(d.Path("@", test.restored), copytree.UnfinishedXattr, nil); !errors.Is(err, unix.ENODATA) {
				t.Errorf("the mark is still there: %v", err)
			}
		})
	}
}
