package reboot

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/vmtest"
)

// A log of fsyncs that cannot be replayed: nothing mounts. In the emergency
// shell "ebb doctor" says so, and what it says to type is typed: what was
// committed is read and copied, the log is dropped, and the machine boots.
func TestLogThatCannotBeReplayed(t *testing.T) {
	layout := planted(standardLayout())
	layout.Bare, layout.Size = true, 512<<20
	m := newMachine(t, layout, standardFstab(), document(standardRoot, basicStores))
	m.Config.RawDisks = true
	m.up(m.Boot)
	m.fill()
	m.Shell("sync; echo last words > /srv/data/letter; sync /srv/data/letter")
	m.Cut()
	damageLog(t, m.Overlays()[0])

	// With ebb.rollback=no it is systemd whose mount fails.
	m.Config.Params = []string{"ebb.rollback=no"}
	m.wantBadLogTold(initrd.StateKept)
	m.Cut()
	m.Config.Params = nil
	m.wantBadLogTold(initrd.StateFailed)
	m.Shell(fromPage(t, 10, "mkdir -p") + "; " + fromPage(t, 10, "mount -o ro,rescue=nologreplay") + "; test ! -e /tmp/top/@persist/srv/data/letter")
	m.Shell(fromPage(t, 10, "cp -a", "what-you-need", "srv/data/file", "/run/somewhere", "/run/copy"))
	m.want("data", "cat", "/run/copy")
	m.Shell(fromPage(t, 10, "umount") + "; " + fromPage(t, 10, "btrfs rescue zero-log") + "; sync")
	m.Cut() // what the page ends with, systemctl reboot, takes longer

	m.up(m.Boot)
	m.wantRolledBack(2)
	m.wantGone("/srv/data/letter")
	m.Run("btrfs", "scrub", "start", "-B", "/")
	m.Off()
}

// wantBadLogTold boots to the emergency shell, where "ebb doctor" says to type what
// the page has as well.
func (m *machine) wantBadLogTold(state initrd.State) {
	m.t.Helper()
	m.BootTo(vmtest.InitrdEmergency())
	m.WaitFor(vmtest.Console(shellPrompt))
	doctor := m.Try("ebb", "doctor")
	m.t.Logf("ebb doctor:\n%s", doctor.Stdout)
	for _, told := range []string{
		"the log cannot be replayed", fromPage(m.t, 10, "mkdir -p"), fromPage(m.t, 10, "mount -o ro,rescue=nologreplay"),
		fromPage(m.t, 10, "umount"), fromPage(m.t, 10, "btrfs rescue zero-log"), fromPage(m.t, 10, "systemctl reboot"),
	} {
		if doctor.Status != 1 || !strings.Contains(doctor.Stdout, told) {
			m.t.Fatalf("ebb doctor: status %d, without: %s", doctor.Status, told)
		}
	}
	if r := m.record().Rollback; r.State != state {
		m.t.Errorf("the record says of the rollback: %+v", r)
	}
}

// damageLog damages each copy of the root of the log on a disk. Fields are those
// of struct btrfs_super_block and of struct btrfs_header.
func damageLog(t *testing.T, disk string) {
	t.Helper()
	const superblock, fsid, logRoot, bytenr, step = 64 << 10, 32, 0x60, 48, 4096
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	super, block := make([]byte, step), make([]byte, step)
	if _, err := f.ReadAt(super, superblock); err != nil {
		t.Fatal(err)
	}
	root := super[logRoot : logRoot+8]
	if binary.LittleEndian.Uint64(root) == 0 {
		t.Fatal("the disk has no log to be damaged")
	}
	copies := 0
	for at := int64(superblock + step); ; at += step {
		if _, err := f.ReadAt(block, at); err != nil {
			break
		}
		if !bytes.Equal(block[fsid:fsid+16], super[fsid:fsid+16]) || !bytes.Equal(block[bytenr:bytenr+8], root) {
			continue
		}
		block[step-1] ^= 1 // the checksum is of the whole node
		if _, err := f.WriteAt(block, at); err != nil {
			t.Fatal(err)
		}
		copies++
	}
	if copies == 0 {
		t.Fatal("the root of the log was not found")
	}
}
