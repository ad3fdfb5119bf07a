package faults

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// doomed are the archived roots that the commands of [TestDeletions] delete.
var doomed = []string{"@roots/000001", "@roots/000002"}

// TestDeletions sweeps over calls of the two commands that delete archived roots.
func TestDeletions(t *testing.T) {
	for name, arguments := range map[string][]string{"prune": {"prune"}, "roots-delete": {"roots", "--yes", "delete", "1", "2"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scenario{specs: append([]string{"subvolume @"}, blankTree...), boots: 3}
			d := newDisk(t)
			d.members = []member{fromBlank}
			m := newMachine(t, d, fmt.Sprintf(
				`{"version": 1, "root": {"kind": "btrfs", "device": %q, "keep": {"count": 1, "days": 0, "min_free_percent": 0}}}`, d.Device()))
			sweep := sweeper{
				command: func(t *testing.T) *tracer.Command {
					s.prepare(t, m)
					return m.ebb(arguments[0], arguments[1:]...)
				},
				judge:  m.judgeDeletion,
				sample: true,
			}
			sweep.run(t)
		})
	}
}

// judgeDeletion: what is to stay is whole; what is to go is whole under its
// number, or in the trash, or gone; and the next run leaves nothing of it.
func (m *machine) judgeDeletion(t *testing.T, o *outcome) {
	t.Helper()
	there := m.wantDoomed(t)
	m.staying(t)
	switch {
	case o.Killed:
	case o.fault != nil && strings.Contains(o.Output, " stays ") && strings.Contains(o.Output, o.fault.Errno.Error()):
		// It could not be looked at, or not be told from a pinned one, and stays, which is told.
	case o.Status == 0 && there > 0:
		t.Errorf("status 0, and %d subvolumes that are to go are there\n%s", there, o.Output)
	case o.Status != 0 && (o.fault == nil || !strings.Contains(o.Output, o.fault.Errno.Error())):
		t.Errorf("status %d without a reason: %s", o.Status, o.Output)
	}
	for _, which := range []string{"the next run", "the one after it"} {
		if r := run(t, m.ebb("prune")); r.Status != 0 {
			t.Errorf("%s: status %d\n%s", which, r.Status, r.Output)
		}
		if there := m.wantDoomed(t); there > 0 {
			t.Errorf("%s leaves %d subvolumes", which, there)
		}
	}
	names, err := os.ReadDir(m.Path("@roots/.trash"))
	if m.exists("@roots/.trash") && (err != nil || len(names) > 0) {
		t.Errorf("in the trash in the end: %v, %v", names, err)
	}
	m.staying(t)
}

// staying demands that the root, the blank and the newest archived root are
// where they were, and whole.
func (m *machine) staying(t *testing.T) {
	t.Helper()
	for _, place := range []string{"@roots/000003/root", "@"} {
		uuid := m.uuidOf(t, place)
		at := slices.IndexFunc(m.written, func(w writing) bool { return w.uuid == uuid })
		if at < 0 {
			t.Errorf("%s is not what it was", place)
			continue
		}
		m.holds(t, place, m.written[at].files)
	}
	m.isArchived(t, m.Path("@roots/000003"))
	m.holds(t, "@blank", map[string]string{"from-blank": "blank"})
}

func (d *disk) holds(t *testing.T, place string, files map[string]string) {
	t.Helper()
	for path, text := range files {
		if got, err := os.ReadFile(d.Path(place, path)); err != nil || string(got) != text {
			t.Errorf("%s/%s holds %.20q, %v", place, path, got, err)
		}
	}
}

// wantDoomed counts the subvolumes of roots that are to go. Under its number
// such a root is whole.
func (m *machine) wantDoomed(t *testing.T) (there int) {
	t.Helper()
	listing, err := btrfs.List(m.top)
	require(t, err)
	for n, dir := range doomed {
		if m.exists(dir) {
			m.isArchived(t, m.Path(dir))
			m.holds(t, dir+"/root", m.written[n].files)
		}
	}
	for _, s := range listing {
		path, err := listing.Path(s.ID)
		require(t, err)
		inTrash := strings.HasPrefix(path, "@roots/.trash/00000")
		if inTrash || slices.ContainsFunc(doomed, func(dir string) bool { return strings.HasPrefix(path, dir+"/") }) {
			there++
		}
	}
	return there
}

// archivedTree is what [TestRestore] brings back: a directory of a user's, whose
// parents are not there any more, and a file that another one stands in place of.
var archivedTree = []string{
	"dir @/home/ada 0700 1000:100", "dir @/home/ada/docs 0750 1000:100", "file @/home/ada/docs/a 0640 1000:100 one",
	"dir @/home/ada/docs/deep 0700 1000:100", "file @/home/ada/docs/deep/b 0600 1000:100 two", "file @/etc/name 0604 7:8 old",
}

// TestRestore sweeps over calls of "ebb restore".
func TestRestore(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	d.members = []member{fromBlank}
	m := newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, d.Device()))
	var archive testenv.Inventory
	command := func() *tracer.Command { return m.ebb("restore", "--force", "/home/ada/docs", "/etc/name") }
	sweep := sweeper{
		command: func(t *testing.T) *tracer.Command {
			m.clear(t)
			testenv.Tree(t, m.Dir, append(append([]string{"subvolume @"}, blankTree...), archivedTree...)...)
			m.boot()
			m.wantFresh(t, m.rollback(t), "the boot before")
			testenv.Tree(t, m.Dir, "file @/etc/name 0644 0:0 new")
			require(t, unix.Mount(m.Device(), m.path("sysroot"), "btrfs", 0, "subvol=@"))
			archive = testenv.Fingerprint(t, m.Path("@roots"))
			m.boot()
			return command()
		},
		judge: func(t *testing.T, o *outcome) {
			m.wantRestored(t, o)
			if r := run(t, command()); r.Status != 0 {
				t.Errorf("the next run: status %d\n%s", r.Status, r.Output)
			}
			m.wantRestored(t, &outcome{Result: &tracer.Result{}})
			for path, text := range testenv.Fingerprint(t, m.Path("@")) {
				if isTemporary(path) {
					t.Errorf("%s is left behind: %s", path, text)
				}
			}
			if diff := archive.Diff(testenv.Fingerprint(t, m.Path("@roots"))); diff != "" {
				t.Errorf("the archive has changed:\n%s", diff)
			}
		},
		sample: true,
	}
	sweep.run(t)
}

// wantRestored: what stands under the name of something archived is that,
// whole, or what was there before, which is never lost; the parents are as they
// were.
func (m *machine) wantRestored(t *testing.T, o *outcome) {
	t.Helper()
	here := testenv.Fingerprint(t, m.Path("@"))
	was := testenv.Fingerprint(t, m.Path("@roots/000001/root"))
	missing := 0
	if _, isThere := here["home/ada/docs"]; !isThere {
		missing++
	}
	for path, text := range was {
		if !strings.HasPrefix(path, "home/ada/docs") {
			continue
		}
		got, isThere := here[path]
		got = strings.TrimSuffix(got, ` `+copytree.UnfinishedXattr+`=""`) // it may stay: the copy has its name
		if missing == 0 && (!isThere || got != text) {
			t.Errorf("%s is %q, was %q", path, got, text)
		}
	}
	for _, parent := range []string{"home", "home/ada"} {
		got, isThere := here[parent]
		if want := times.ReplaceAllString(was[parent], ""); isThere && times.ReplaceAllString(got, "") != want {
			t.Errorf("%s is %s, was %s", parent, got, want)
		}
	}
	missing += m.wantReplaced(t, o, here["etc/name"], was["etc/name"])
	switch {
	case o.Killed:
	case o.Status == 0 && missing > 0:
		t.Errorf("status 0, and %d of 2 are restored\n%s", 2-missing, o.Output)
	case o.Status != 0 && (o.fault == nil || !strings.Contains(o.Output, o.fault.Errno.Error())):
		t.Errorf("status %d without a reason: %s", o.Status, o.Output)
	}
}

// wantReplaced: the file that is in the way is in its place or under the name of
// a backup, and only between the two moments of a kill has neither the place.
func (m *machine) wantReplaced(t *testing.T, o *outcome, here, archived string) (missing int) {
	t.Helper()
	isNew := strings.Contains(here, " 0644 0:0 ")
	if !isNew {
		m.holds(t, "@/etc", map[string]string{"name.before-restore-1": "new"})
	}
	if here == "" && !o.Killed {
		t.Errorf("nothing is at /etc/name\n%s", o.Output)
	}
	if here != "" && !isNew && here != archived {
		t.Errorf("/etc/name is %s, was %s", here, archived)
	}
	if here != archived {
		missing++
	}
	return missing
}
