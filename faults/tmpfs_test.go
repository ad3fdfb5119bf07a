package faults

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// tmpfsSize is what the config gives the root.
const tmpfsSize = 16 << 20

// newDiskless is a machine without a disk.
func newDiskless(t *testing.T, config string) *machine {
	t.Helper()
	testenv.Need(t, testenv.TierRoot)
	return newMachine(t, &disk{Fixture: &testenv.Fixture{Dir: "/nonexistent", Devices: []string{"/nonexistent"}}}, config)
}

// TestTmpfsRoot sweeps over every call of making a tmpfs root, where ebb mounts
// it and where the service manager has.
func TestTmpfsRoot(t *testing.T) {
	for _, mounted := range []bool{false, true} {
		t.Run(map[bool]string{false: "made", true: "adjusted"}[mounted], func(t *testing.T) {
			t.Parallel()
			m := newDiskless(t, `{"version": 1, "root": {"kind": "tmpfs", "size": "16M", "mode": "0755"}}`)
			var before []string
			sweep := sweeper{
				command: func(t *testing.T) *tracer.Command {
					m.boot()
					if mounted {
						require(t, unix.Mount("tmpfs", m.path("sysroot"), "tmpfs", 0, "size=1M,mode=0700"))
					}
					before = m.mounts(t)
					return m.ebb("rollback")
				},
				judge: func(t *testing.T, o *outcome) { m.judgeTmpfs(t, o, before) },
			}
			sweep.run(t)
		})
	}
}

// judgeTmpfs: the root is there as the config wants it, or whoever asked has
// been told; a second run in this boot makes it so.
func (m *machine) judgeTmpfs(t *testing.T, o *outcome, before []string) {
	t.Helper()
	record := m.record(t)
	switch {
	case o.Killed:
	case o.Status == 0 || o.fault != nil && o.fault.Errno == unix.EINTR:
		m.wantTmpfs(t, o.Result, "the run", before)
	case !strings.Contains(o.Output, o.fault.Errno.Error()):
		t.Errorf("status %d and not a word of %v", o.Status, o.fault.Errno)
	case record != nil && record.Rollback != nil && record.Rollback.State != initrd.StateDone && (record.Rollback.Fresh || m.isReady()):
		t.Errorf("a failure is recorded as %+v, ready %v", record.Rollback, m.isReady())
	}
	for _, which := range []string{"the second run", "the third run"} {
		m.wantTmpfs(t, m.rollback(t), which, before)
	}
}

// wantTmpfs demands one tmpfs on the mount point of the root, of the size and
// the mode in the config, and no other mount beside those of before.
func (m *machine) wantTmpfs(t *testing.T, r *tracer.Result, which string, before []string) {
	t.Helper()
	if record := m.record(t); r.Status != 0 || !m.isReady() || record == nil || record.Rollback == nil || !record.Rollback.Fresh {
		t.Errorf("%s: status %d, ready %v, record %+v\n%s", which, r.Status, m.isReady(), record, r.Output)
	}
	var fs unix.Statfs_t
	require(t, unix.Statfs(m.path("sysroot"), &fs))
	info, err := os.Stat(m.path("sysroot"))
	require(t, err)
	if fs.Type != unix.TMPFS_MAGIC || fs.Blocks*uint64(fs.Bsize) != tmpfsSize || info.Mode().Perm() != 0o755 {
		t.Errorf("%s: the root is of type %#x, %d bytes, mode %v", which, fs.Type, fs.Blocks*uint64(fs.Bsize), info.Mode())
	}
	roots := 0
	for _, line := range m.mounts(t) {
		if strings.Contains(line, " "+m.path("sysroot")+" ") {
			roots++
		}
	}
	if more := len(m.mounts(t)) - len(before); roots != 1 || more > 1 {
		t.Errorf("%s: %d mounts on the mount point of the root, %d more than before", which, roots, more)
	}
}
