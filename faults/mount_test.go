package faults

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/mounts"
)

// mountEntries are entries of every kind, with sources that are there, that
// have to be made, and that the old root has the data of.
const mountEntries = `
	"directories": [
		{"path": "/var/log", "mode": "0755"},
		{"path": "/var/new", "uid": 1000, "gid": 100, "mode": "0750"},
		{"path": "/var/adopted"},
		{"path": "/srv/ro", "options": ["ro", "noexec", "x-what.ever"], "hidden": true, "trash": true},
		{"path": "/var/sub", "subvolume": true, "uid": 7, "mode": "0711"},
		{"path": "/var/nocow", "nodatacow": true},
		{"path": "/home/ada/docs", "user": "ada", "group": "users", "mode": "0700"},
		{"path": "/home/bob/docs", "uid": 1001, "gid": 100, "parent": {"uid": 1001, "gid": 100, "mode": "0700"}}
	],
	"files": [
		{"path": "/etc/name"},
		{"path": "/etc/new", "uid": 5, "mode": "0640"},
		{"path": "/etc/adopted"},
		{"path": "/etc/link", "how": "symlink"},
		{"path": "/etc/machine-id", "how": "sync"},
		{"path": "/etc/sync-adopted", "how": "sync"},
		{"path": "/etc/waiting", "how": "sync"}
	]`

var (
	storeTree = []string{
		"subvolume @persist", "dir @persist/var/log", "file @persist/var/log/wtmp 0664 0:43 logged",
		"dir @persist/srv/ro", "file @persist/srv/ro/data 0644 9:9 served", "dir @persist/etc",
		"file @persist/etc/name 0644 0:0 kept", "file @persist/etc/link 0600 3:3 secret", "file @persist/etc/machine-id 0444 0:0 0123",
	}
	oldTree = []string{
		"dir @/var/adopted/below 0711 12:13", "file @/var/adopted/below/data 0640 12:13 adopted", "link @/var/adopted/link below/data",
		"hardlink @/var/adopted/again @/var/adopted/below/data", "file @/etc/adopted 0604 14:15 adopted", "file @/etc/sync-adopted 0644 0:0 adopted",
	}
	// blankStore is where the store is mounted in a fresh root.
	blankStore = []string{"subvolume @blank", "dir @blank/persist", "dir @blank/etc"}
	// storeData are the entries whose sources are there before, with what they
	// are looked at by.
	storeData = []string{"var/log", "srv/ro", "etc/name", "etc/link", "etc/machine-id"}
)

// mounting is a machine that has rolled back and is about to bring its entries
// in.
type mounting struct {
	*machine
	mountsBefore []string
	dataBefore   map[string]testenv.Inventory
	// whole is the store as a run that met nothing leaves it.
	whole testenv.Inventory
	// told are entries that begin empty although there is data, which the
	// record says: adoption has failed.
	told []string
	// mayLeave: the fault was a kill or has met a call on a staging directory.
	// Then an empty one may stay, for good if its source is there.
	mayLeave bool
	// around is an initrd, nil when it runs as by hand.
	around *stage1
}

func newMounting(t *testing.T) *mounting {
	t.Helper()
	d := newDisk(t)
	d.members = []member{{"root", "@", []string{"etc", "persist"}}}
	return &mounting{machine: newMachine(t, d, fmt.Sprintf(
		`{"version": 1, "root": {"kind": "btrfs", "device": %q}, "stores": {"/persist": {%s}}}`, d.Device(), mountEntries))}
}

// prepare makes the disk anew, and boots up to the point where the entries are
// to be brought in.
func (m *mounting) prepare(t *testing.T) *tracer.Command {
	t.Helper()
	if m.around != nil {
		m.around.surround(t, m.machine)
	}
	m.clear(t)
	testenv.Tree(t, m.Dir, slices.Concat([]string{"subvolume @"}, blankStore, storeTree, oldTree)...)
	m.boot()
	if r := m.rollback(t); r.Status != 0 {
		t.Fatalf("rollback: %s", r.Output)
	}
	m.mountRoot(t)
	m.dataBefore, m.told = m.data(t), nil
	return m.ebb("mount")
}

// mountRoot does what systemd does between the rollback and the entries.
func (m *mounting) mountRoot(t *testing.T) {
	t.Helper()
	require(t, unix.Mount("tmpfs", "/run", "tmpfs", 0, "")) // for utab
	require(t, unix.Mount(m.Device(), m.path("sysroot"), "btrfs", 0, "subvol=@"))
	require(t, unix.Mount(m.Device(), m.path("sysroot/persist"), "btrfs", 0, "subvol=@persist"))
	m.mountsBefore = m.mounts(t)
}

func (m *mounting) unmountRoot(t *testing.T) {
	t.Helper()
	require(t, unix.Unmount(m.path("sysroot"), unix.MNT_DETACH))
	require(t, unix.Unmount("/run", unix.MNT_DETACH))
}

func (m *mounting) data(t *testing.T) map[string]testenv.Inventory {
	t.Helper()
	data := map[string]testenv.Inventory{}
	for _, path := range storeData {
		data[path] = testenv.Fingerprint(t, m.Path("@persist", path))
	}
	return data
}

var times = regexp.MustCompile(` mtime=\S+`)

// store is all that is in the store, without the times.
func (m *mounting) store(t *testing.T) testenv.Inventory {
	t.Helper()
	inventory := testenv.Fingerprint(t, m.Path("@persist"))
	for path, text := range inventory {
		inventory[path] = times.ReplaceAllString(text, "")
	}
	return inventory
}

// entryMounts returns the places below the root that entries are mounted on,
// and demands that nothing else has changed in the mount table.
func (m *mounting) entryMounts(t *testing.T) (places []string) {
	t.Helper()
	var rest []string
	for _, line := range m.mounts(t) {
		fields := strings.Fields(line)
		place, below := strings.CutPrefix(fields[1], m.path("sysroot")+"/")
		if below && place != "persist" && fields[0] == "/@persist/"+place {
			places = append(places, "/"+place)
			continue
		}
		rest = append(rest, line)
	}
	if !slices.Equal(rest, m.mountsBefore) {
		t.Errorf("mounts beside those of the entries:\n%s", lines(rest, m.mountsBefore))
	}
	slices.Sort(places)
	return places
}

// judge looks at a run that has met a fault, and at what comes after it.
func (m *mounting) judge(t *testing.T, o *outcome) {
	t.Helper()
	places := m.entryMounts(t)
	for path, before := range m.dataBefore {
		if diff := before.Diff(testenv.Fingerprint(t, m.Path("@persist", path))); diff != "" {
			t.Errorf("the data of %s has changed:\n%s", path, diff)
		}
	}
	m.judgeEntries(t, o, places)
	if o.fault == nil {
		m.whole = m.store(t)
		m.wantAll(t, places)
		return
	}
	m.mayLeave = o.Killed || strings.Contains(o.call.Text, ".ebb-new")
	m.nothingHalf(t, o)
	if o.Killed && o.fault.Action == tracer.KillBefore {
		m.judgeNextBoot(t)
		return
	}
	// In the same boot: by hand, or because the unit is started again.
	if r := run(t, m.ebb("mount")); r.Status != 0 {
		t.Errorf("the second run: %d\n%s", r.Status, r.Output)
	}
	places = m.entryMounts(t)
	m.wantAll(t, places)
	m.wantStore(t)
	if !o.isThorough() {
		return
	}
	before := m.store(t)
	if r := run(t, m.ebb("mount")); r.Status != 0 || !slices.Equal(places, m.entryMounts(t)) || before.Diff(m.store(t)) != "" {
		t.Errorf("a third run does something: %d\n%s", r.Status, r.Output)
	}
}

// judgeNextBoot: power was cut where the run was killed. What had been done to
// the store is good or gone, whatever is missing is made.
func (m *mounting) judgeNextBoot(t *testing.T) {
	t.Helper()
	m.unmountRoot(t)
	m.boot()
	if r := m.rollback(t); r.Status != 0 {
		t.Fatalf("the rollback of the next boot: %s", r.Output)
	}
	m.mountRoot(t)
	if r := run(t, m.ebb("mount")); r.Status != 0 {
		t.Errorf("the next boot: %d\n%s", r.Status, r.Output)
	}
	m.wantAll(t, m.entryMounts(t))
	m.wantStore(t)
}

// wantAll demands that every entry is in place, each once.
func (m *mounting) wantAll(t *testing.T, places []string) {
	t.Helper()
	want := []string{
		"/etc/adopted", "/etc/name", "/etc/new", "/home/ada/docs", "/home/bob/docs", "/srv/ro", "/var/adopted", "/var/log",
		"/var/new", "/var/nocow", "/var/sub",
	}
	if !slices.Equal(places, want) {
		t.Errorf("mounted:\n%s", lines(places, want))
	}
	for path, text := range map[string]string{
		"/etc/name": "kept", "/etc/adopted": "adopted", "/etc/machine-id": "0123", "/etc/sync-adopted": "adopted",
		"/var/adopted/link": "adopted", "/var/log/wtmp": "logged",
	} {
		if m.isTold(strings.TrimPrefix(path, "/")) {
			continue
		}
		if got, err := os.ReadFile(m.path("sysroot" + path)); err != nil || string(got) != text {
			t.Errorf("%s holds %q, %v", path, got, err)
		}
	}
	if got, err := os.Readlink(m.path("sysroot/etc/link")); err != nil || got != "/persist/etc/link" {
		t.Errorf("/etc/link leads to %q, %v", got, err)
	}
	if err := os.WriteFile(m.path("sysroot/srv/ro/new"), nil, 0o600); err == nil {
		t.Error("/srv/ro is not read-only")
	}
}

// judgeEntries holds what the record and the exit status say of each entry
// against what is there.
func (m *mounting) judgeEntries(t *testing.T, o *outcome, places []string) {
	t.Helper()
	record := m.record(t)
	if record == nil || record.Mount == nil {
		if !o.Killed && (o.Status == 0 || !strings.Contains(o.Output, o.fault.Errno.Error())) {
			t.Errorf("status %d, and there is no record", o.Status)
		}
		return
	}
	missing := 0
	for _, e := range record.Mount.Entries {
		// A subvolume that cannot be had is a plain directory, and a note.
		if e.Adoption != "" || len(e.Notes) > 0 {
			m.told = append(m.told, e.Path)
		}
		isIn := m.isInPlace(e, places)
		if e.OK() && !isIn {
			t.Errorf("%s is said to be %s, and is not in place", e.Path, e.State)
		}
		if !e.OK() {
			missing++
			if e.Reason == "" || !o.Killed && !strings.Contains(o.Output, e.Path) {
				t.Errorf("%s is not in place, without a word", e.Path)
			}
		}
	}
	if o.Killed {
		return
	}
	if isDone := record.Mount.State == initrd.StateDone; isDone != (missing == 0 && len(record.Mount.Entries) > 0) {
		t.Errorf("%d entries are missing, the record says %q (%s)", missing, record.Mount.State, record.Mount.Reason)
	}
	if o.Status == 0 && missing > 0 {
		t.Errorf("%d entries are missing, status 0", missing)
	}
	if o.fault != nil && o.fault.Errno == unix.EINTR && o.Status != 0 {
		t.Errorf("an interrupted call: status %d", o.Status)
	}
}

func (m *mounting) isInPlace(e mounts.EntryResult, places []string) bool {
	switch e.How {
	case "symlink":
		_, err := os.Readlink(m.path("sysroot" + e.Path))
		return err == nil
	case "sync":
		here, err := os.ReadFile(m.path("sysroot" + e.Path))
		there, err2 := os.ReadFile(m.Path("@persist" + e.Path))
		return e.State == mounts.Waiting || err == nil && err2 == nil && string(here) == string(there)
	}
	return slices.Contains(places, e.Path)
}

// nothingHalf: what stands under the name of a source is whole: as after a run
// without a fault, down to owner and mode.
func (m *mounting) nothingHalf(t *testing.T, o *outcome) {
	t.Helper()
	for path, got := range m.store(t) {
		if isTemporary(path) {
			if !o.Killed && !strings.Contains(o.call.Text, ".ebb-new") && !strings.Contains(o.call.Name, "unlink") {
				t.Errorf("%s is left behind", path)
			}
			continue
		}
		if want := m.whole[path]; got != want && !m.isTold(path) {
			t.Errorf("%s is half made:\n  is %s\nwant %s", path, got, want)
		}
	}
	for path := range m.whole {
		// An adopted directory is there with all that is in it, or not at all.
		if strings.HasPrefix(path, "var/adopted/") && !m.isTold(path) {
			_, err := os.Lstat(m.Path("@persist/var/adopted"))
			_, errBelow := os.Lstat(m.Path("@persist", path))
			if err == nil && errBelow != nil {
				t.Errorf("%s is missing in an adopted directory", path)
			}
		}
	}
}

// isTold reports whether path, in the store, belongs to an entry that the
// record tells of.
func (m *mounting) isTold(path string) bool {
	return slices.ContainsFunc(m.told, func(entry string) bool {
		return "/"+path == entry || strings.HasPrefix("/"+path, entry+"/")
	})
}

func (m *mounting) isLeft(path, text string) bool {
	return m.mayLeave && isTemporary(path) && text == "dir 0700 0:0"
}

// wantStore demands the store as a run without a fault leaves it.
func (m *mounting) wantStore(t *testing.T) {
	t.Helper()
	want, got := testenv.Inventory{}, testenv.Inventory{}
	for path, text := range m.whole {
		if !m.isTold(path) {
			want[path] = text
		}
	}
	for path, text := range m.store(t) {
		if !m.isTold(path) && !m.isLeft(path, text) {
			got[path] = text
		}
	}
	if diff := want.Diff(got); diff != "" {
		t.Errorf("the store is not as after a run without a fault:\n%s", diff)
	}
}

func isTemporary(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasSuffix(part, ".ebb-new") {
			return true
		}
	}
	return false
}

// TestMount sweeps over every call of bringing entries in.
func TestMount(t *testing.T) {
	t.Parallel()
	m := newMounting(t)
	sweep := sweeper{command: m.prepare, judge: m.judge}
	sweep.run(t)
}
