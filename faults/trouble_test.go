package faults

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// troubled is a machine on a disk that something is wrong with.
func troubled(t *testing.T, d *disk, options string) *machine {
	t.Helper()
	d.top = d.Open(".")
	d.members = []member{fromBlank}
	testenv.Tree(t, d.Dir, append([]string{"subvolume @"}, blankTree...)...)
	d.write(t)
	return newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q, "options": [%s]}}`, d.Device(), options))
}

// wantFailed demands that a rollback has failed, said why and what to do, and
// left the old root where it is.
func (m *machine) wantFailed(t *testing.T, r *tracer.Result, reason, hint string) {
	t.Helper()
	if r.Status != 1 || !strings.Contains(r.Output, reason) || !strings.Contains(r.Output, hint) {
		t.Errorf("status %d, want %q and %q:\n%s", r.Status, reason, hint, r.Output)
	}
	record := m.record(t)
	if record == nil || record.Rollback == nil || record.Rollback.State == initrd.StateDone || record.Rollback.Fresh || m.isReady() ||
		!strings.Contains(record.Rollback.Reason, reason) || !strings.Contains(record.Rollback.Hint, hint) {
		t.Errorf("record %+v", record)
	}
}

// A file system whose metadata is full: the rollback works, or fails with the
// old root where it was. Once there is space the next boot does it.
func TestFullMetadata(t *testing.T) {
	t.Parallel()
	d := &disk{Fixture: testenv.Btrfs(t, testenv.BtrfsOptions{Size: 128 << 20, MkfsOptions: []string{"-m", "single", "-d", "single"}})}
	m := troubled(t, d, "")
	testenv.Tree(t, d.Dir, "subvolume filler")
	filler := d.Open("filler")
	count := fillMetadata(t, filler)
	// With a little more space each time it gets a little further.
	var failed []string
	for free := 0; ; free = max(1, 2*free) {
		for range free {
			count--
			require(t, unix.Unlinkat(filler, fillerName(count), 0))
		}
		m.boot()
		r := m.rollback(t)
		if r.Status == 0 {
			m.wantFresh(t, r, "a rollback on a file system with little space")
			break
		}
		m.wantFailed(t, r, "no space left", "ebb prune")
		m.whole(t, false)
		failed = append(failed, lastStep(m.record(t)))
	}
	t.Logf("%d files in the way; failed at %q", count, failed)
	// How much each step needs is the kernel's affair, that it is not the same
	// for all of them is seen here.
	if slices.Sort(failed); len(slices.Compact(failed)) < 2 {
		t.Errorf("it was tried to fail at every step, and failed at %q", slices.Compact(failed))
	}
	m.whole(t, true)
	m.write(t)
	require(t, os.RemoveAll(d.Path("filler")))
	require(t, btrfs.Sync(d.top))
	m.boot()
	m.wantFresh(t, m.rollback(t), "a rollback with space again")
	m.whole(t, true)
}

// fillMetadata makes files with names as long as can be until there is no space
// for one more.
func fillMetadata(t *testing.T, dir int) (count int) {
	t.Helper()
	for ; ; count++ {
		fd, err := unix.Openat(dir, fillerName(count), unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if errors.Is(err, unix.ENOSPC) {
			return count
		}
		require(t, err)
		_, err = unix.Write(fd, make([]byte, 2000)) // inline, in the metadata
		unix.Close(fd)
		if errors.Is(err, unix.ENOSPC) {
			return count
		}
		require(t, err)
	}
}

func fillerName(n int) string { return fmt.Sprintf("%0250d", n) }

// lastStep is the step that a rollback has failed in.
func lastStep(r *initrd.Record) string {
	if r == nil || len(r.Rollback.Steps) == 0 {
		return "none"
	}
	return r.Rollback.Steps[len(r.Rollback.Steps)-1].Name
}

// A disk that is write-protected.
func TestReadOnlyDevice(t *testing.T) {
	t.Parallel()
	d := &disk{Fixture: testenv.Btrfs(t, testenv.BtrfsOptions{})}
	m := troubled(t, d, "")
	d.Unmount()
	protect(t, d.Device(), 1)
	r := m.rollback(t)
	protect(t, d.Device(), 0)
	d.Mount()
	d.top = d.Open(".")
	m.wantFailed(t, r, "mount "+d.Device(), "write-protected")
	m.whole(t, true)
	m.boot()
	m.wantFresh(t, m.rollback(t), "a rollback without write protection")
	m.whole(t, true)
}

func protect(t *testing.T, device string, readOnly int) {
	t.Helper()
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require(t, err)
	defer unix.Close(fd)
	require(t, unix.IoctlSetPointerInt(fd, unix.BLKROSET, readOnly))
}

// A file system that the kernel has made read-only, as it does after an error.
func TestReadOnlyFilesystem(t *testing.T) {
	t.Parallel()
	d := &disk{Fixture: testenv.Btrfs(t, testenv.BtrfsOptions{})}
	m := troubled(t, d, "")
	require(t, unix.Mount("", d.Dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	r := m.rollback(t)
	if r.Status == 0 {
		// The kernel makes it writable for a mount that wants so.
		m.wantFresh(t, r, "a rollback")
	} else {
		m.wantFailed(t, r, "read-only", "dmesg")
	}
	require(t, unix.Mount("", d.Dir, "", unix.MS_REMOUNT, ""))
	m.whole(t, r.Status == 0)
	m.write(t)
	m.boot()
	m.wantFresh(t, m.rollback(t), "the next boot")
	m.whole(t, true)
}

// A mirror with one disk missing: without "degraded" the root is left alone,
// with it the rollback is made on the other disk.
func TestMissingDevice(t *testing.T) {
	t.Parallel()
	for _, degraded := range []bool{false, true} {
		t.Run(fmt.Sprintf("degraded %v", degraded), func(t *testing.T) {
			t.Parallel()
			d := &disk{Fixture: testenv.Btrfs(t, testenv.BtrfsOptions{Devices: 2, MkfsOptions: []string{"-m", "raid1", "-d", "raid1"}})}
			options := ""
			if degraded {
				options = `"degraded"`
			}
			m := troubled(t, d, options)
			d.Unmount()
			control, err := os.OpenFile(btrfs.ControlDevice, os.O_RDWR, 0)
			require(t, err)
			defer control.Close()
			forget(t, int(control.Fd()), d.Devices[1])
			r := m.rollback(t)
			require(t, btrfs.ScanDevice(int(control.Fd()), d.Devices[1]))
			d.Mount()
			d.top = d.Open(".")
			if degraded {
				m.wantFresh(t, r, "a rollback with one disk")
				m.whole(t, true)
				return
			}
			m.wantFailed(t, r, "not all of them are there", "degraded")
			m.whole(t, true)
			m.boot()
			m.wantFresh(t, m.rollback(t), "a rollback with both disks")
		})
	}
}

// forget makes the kernel forget a device. Mount namespaces of other tests, made
// while the file system was mounted, have it mounted until they end.
func forget(t *testing.T, control int, device string) {
	t.Helper()
	err := btrfs.ForgetDevice(control, device)
	for errors.Is(err, unix.EBUSY) {
		time.Sleep(50 * time.Millisecond)
		err = btrfs.ForgetDevice(control, device)
	}
	require(t, err)
}
