package reboot

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
)

const swapDevice = "/dev/disk/by-label/swap"

// tokenService is a process that holds a word that is nowhere else: whoever
// reads /run/ask is told it. One that has read a line may be gone before it is
// told the next, an error (EPIPE) that ends nothing.
const tokenService = `[Service]
ExecStart=/bin/sh -euc 'read -r token < /proc/sys/kernel/random/uuid; mkfifo /run/ask; while :; do echo "$token" > /run/ask || :; done'
`

// noResumer leaves out of the initrd what would resume the machine.
func noResumer() files.File {
	return files.Symlink("etc/systemd/system-generators/systemd-hibernate-resume-generator", "/dev/null")
}

// A hibernated machine goes on where it was: no rollback beneath it. Where its
// image is pending and nothing resumes it, the rollback refuses before anything
// is written, and says so; and the kernel command line can give the image up.
func TestHibernation(t *testing.T) {
	layout := planted(standardLayout())
	layout.Swap = 1 << 30
	m := newMachine(t, layout, standardFstab(), document(standardRoot, basicStores))
	resume := []string{"resume=" + swapDevice}
	m.Config.MemoryMB, m.Config.Params = 512, resume
	m.Config.System = append(m.Config.System, vmtest.Unit("token.service", tokenService, "multi-user.target.wants")...)
	system := m.Config.System

	m.up(m.Boot)
	m.wantRolledBack(1)
	m.Run("swapon", swapDevice)
	m.fill()
	before := m.hibernate()
	m.wantResumed(before)
	// A cold boot makes the root fresh.
	m.Off()
	m.up(m.Boot)
	m.wantRolledBack(2)

	// Pending, and nobody resumes: nothing is touched, so that it can be resumed
	// after all.
	m.Run("swapon", swapDevice)
	m.fill()
	before = m.hibernate()
	pending := troubleOf{
		reason: "a hibernation image is pending on " + swapDevice, hint: "noresume", state: initrd.StateRefused, unit: "ebb-rollback.service",
	}
	untouched := m.diskSum()
	m.configure(document(rootWith(config.Emergency, realDevice), basicStores))
	m.Config.Initrd = append(m.Config.Initrd, noResumer())
	m.wantEmergency(pending)
	if m.diskSum() != untouched {
		t.Error("the disk was written to beneath a hibernated machine")
	}
	m.configure(document(standardRoot, basicStores))
	m.Config.System = system
	m.wantResumed(before)

	// Pending, with on_failure = continue: systemd mounts the old root, and ebb
	// says why it is the old one.
	m.hibernate()
	m.known = failedUnits
	m.Config.Initrd = append(m.Config.Initrd, noResumer())
	m.wantOldRoot(pending)
	m.Off()
	// Given up, the root is made fresh; swapon(8) takes the space back.
	m.known = nil
	m.configure(document(standardRoot, basicStores))
	m.Config.Params = append([]string{"noresume"}, resume...)
	m.up(m.Boot)
	m.wantRolledBack(3)
	m.Run("swapon", swapDevice)
	m.fill()
	m.Config.Params = resume
	m.up(m.Reboot)
	m.wantRolledBack(4)
	m.Off()
}

// hibernate switches the machine off with its memory in its swap space, and
// returns what is to be the same after that.
func (m *machine) hibernate() string {
	m.t.Helper()
	m.Shell("echo dirty > /unsynced")
	alive := m.alive()
	m.Hibernate()
	return alive
}

// alive is what only this boot of this machine knows.
func (m *machine) alive() string {
	m.t.Helper()
	return m.Shell(`read -r token < /run/ask; echo "$token"; cat /proc/sys/kernel/random/boot_id; systemctl show --property=MainPID token.service
		btrfs inspect-internal rootid /; cat /run/ebb/boot.json /marker /unsynced`)
}

// wantResumed boots a hibernated machine: it is the same one as before, with
// its root.
func (m *machine) wantResumed(before string) {
	m.t.Helper()
	m.BootTo(vmtest.SystemUp())
	if after := m.alive(); after != before {
		m.t.Errorf("before it was hibernated the machine had\n%s\nand has now\n%s", before, after)
	}
	m.Run("ebb", "status")
	m.Run("sync")
	m.Run("btrfs", "scrub", "start", "-B", "/") // a file system that was changed beneath the kernel has errors
}

// diskSum is a sum over all that the machine has written to its disk.
func (m *machine) diskSum() string {
	m.t.Helper()
	sum := sha256.New()
	for _, path := range m.Overlays() {
		f, err := os.Open(path)
		if err != nil {
			m.t.Fatal(err)
		}
		if _, err := io.Copy(sum, f); err != nil {
			m.t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			m.t.Fatal(err)
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}
