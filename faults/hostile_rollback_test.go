package faults

import (
	"fmt"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestHostileRollback has a rollback meet a disk that somebody has prepared.
// What lies beside the root and the archive stays as it is, the root is the old
// one or a fresh one, and whoever is refused is told why.
func TestHostileRollback(t *testing.T) {
	t.Parallel()
	root := append([]string{"subvolume @", "subvolume @persist", "dir @persist/dir", "file @persist/dir/file 0600 7:8 kept"}, blankTree...)
	d := newDisk(t)
	d.members = []member{fromBlank}
	m := newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, d.Device()))
	for _, c := range []struct {
		name  string
		tree  []string
		fresh bool // a rollback is made all the same
	}{
		{"archive is a link", []string{"link @roots @persist"}, false},
		{"archive is a file", []string{"file @roots"}, false},
		{"archive is a FIFO", []string{"fifo @roots"}, false},
		{"archive is a user's", []string{"dir @roots 0777 1000:100"}, false},
		{"staging directory is a link", []string{"dir @roots 0700", "link @roots/.next ../@persist"}, false},
		{"staging directory is a file", []string{"dir @roots 0700", "file @roots/.next"}, false},
		{"staged root is a link", []string{"dir @roots/.next 0700", "link @roots/.next/root ../../@persist"}, false},
		{"meta.json is a link", []string{"dir @roots/.next 0700", "link @roots/.next/meta.json ../../@persist/dir/file"}, true},
		{"meta.json is a FIFO", []string{"dir @roots/.next 0700", "fifo @roots/.next/meta.json"}, true},
		{"meta.json of tomorrow", []string{"subvolume @roots/.next/root", `file @roots/.next/meta.json 0600 0:0 {"version": 2}`}, true},
		{"new meta.json is a link", []string{"dir @roots/.next 0700", "link @roots/.next/.meta.json.ebb-new ../../@persist/dir/file"}, true},
		{"trash is a link", []string{"subvolume @roots/.next/root", "link @roots/.trash ../@persist"}, false},
		{"newest root is a link", []string{"dir @roots 0700", "link @roots/000041 ../@persist"}, true},
		{"newest root is a file", []string{"dir @roots 0700", "file @roots/000041"}, true},
		{"names that are no numbers", []string{"dir @roots/-1", "dir @roots/99999999999999999999", "dir @roots/0000000", "dir @roots/00004x"}, true},
		{"nobody may enter the archive", []string{"dir @roots 0000 0:0"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer inNamespace(t)()
			m.clear(t)
			testenv.Tree(t, m.Dir, append(root, c.tree...)...)
			m.write(t)
			persist := testenv.Fingerprint(t, m.Path("@persist"))
			m.boot()
			r := m.rollback(t)
			if diff := persist.Diff(testenv.Fingerprint(t, m.Path("@persist"))); diff != "" {
				t.Errorf("changed:\n%s", diff)
			}
			isFresh := !m.isWritten(m.uuidOf(t, "@"))
			if isFresh != (r.Status == 0) || isFresh != c.fresh {
				t.Errorf("fresh %v, want %v, status %d: %s", isFresh, c.fresh, r.Status, r.Output)
			}
			if record := m.record(t); record == nil || record.Rollback == nil || record.Rollback.Fresh != isFresh {
				t.Errorf("record %+v", record)
			}
			m.whole(t, false)
		})
	}
}

// TestPoorEnvironment runs a boot with next to nothing that a process takes for
// granted: no standard files, few descriptors, no modes, no variables.
func TestPoorEnvironment(t *testing.T) {
	t.Parallel()
	m := newMounting(t)
	defer inNamespace(t)()
	m.prepare(t)
	m.unmountRoot(t)
	m.boot()
	poorly := func(command string) int {
		c := m.ebb(command)
		script := `umask 0777; ulimit -n 24; cd /; exec "$0" "$@" <&- >&- 2>&-`
		c.Arguments = append([]string{"-c", script, c.Path}, c.Arguments...)
		c.Path, c.Environment = "/bin/sh", []string{}
		return run(t, c).Status
	}
	if status := poorly("rollback"); status != 0 {
		t.Errorf("rollback: status %d", status)
	}
	m.machine.whole(t, true)
	m.write(t)
	m.mountRoot(t)
	if status := poorly("mount"); status != 0 {
		t.Errorf("mount: status %d, %+v", status, m.record(t).Mount)
	}
	m.machine.whole(t, true)
	// The data to be adopted is in the root before the last, whose boot came to
	// nothing.
	m.wantAll(t, m.entryMounts(t))
	// A file cannot have a byte: nothing is done by half.
	m.unmountRoot(t)
	m.boot()
	c := m.ebb("rollback")
	c.Arguments = append([]string{"-c", `ulimit -f 0; exec "$0" "$@"`, c.Path}, c.Arguments...)
	c.Path = "/bin/sh"
	if r := run(t, c); r.Status == 0 {
		t.Errorf("a rollback that could write nothing: %s", r.Output)
	}
	m.machine.whole(t, false)
	m.boot()
	m.wantFresh(t, m.rollback(t), "the next boot")
}
