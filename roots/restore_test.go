package roots

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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
