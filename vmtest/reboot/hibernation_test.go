package reboot

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"
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
		reason: "a hibernation image is pending on " + swapDevice, hint: "nothing was mounted: reboot with resume= to resume the machine",
		state: initrd.StateRefused, unit: "ebb-rollback.service",
		shell: []answer{
			{"plan", 1, []string{"a hibernation image is pending", "resume="}},
			{"rollback --dry-run", 1, []string{"a hibernation image is pending", "resume="}},
			{"doctor", 1, []string{"a hibernation image is pending", "resume="}},
		},
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
	// says why it is the old one, and that it is too late to resume now.
	m.hibernate()
	m.known = failedUnits
	m.Config.Initrd = append(m.Config.Initrd, noResumer())
	pending.hint = "never resume from it, that would destroy the file system: swapon " + swapDevice
	m.wantOldRoot(pending)
	m.wantImageTold(true)
	m.Off()
	// Nor does a resume= of a device that does not come keep the machine from
	// booting: whether it was hibernated there nobody knows.
	m.Config.Params = []string{"resume=" + goneDevice}
	m.wantOldRoot(troubleOf{
		reason: "cannot tell whether " + goneDevice + " holds a hibernation image", hint: "mend resume=", state: initrd.StateRefused, unit: "ebb-rollback.service",
	})
	m.Off()
	// Given up, the root is made fresh. The image is still there until swapon(8)
	// takes the space back.
	m.configure(document(standardRoot, basicStores))
	m.Config.Params = append([]string{"noresume"}, resume...)
	m.up(m.Boot)
	m.wantRolledBack(3)
	m.wantImageTold(true)
	m.known = nil
	m.Shell(fromPage(t, 7, "swapon"))
	m.wantImageTold(false)
	m.Run("ebb", "status")
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

// wantImageTold looks whether ebb tells of an image that nobody may resume from
// any more.
func (m *machine) wantImageTold(want bool) {
	m.t.Helper()
	for _, command := range []string{"status", "doctor"} {
		r := m.Try("ebb", command)
		if told := strings.Contains(r.Stdout, "there is a hibernation image on "+swapDevice) && strings.Contains(r.Stdout, "swapon "+swapDevice); told != want || want && r.Status != 1 {
			m.t.Errorf("ebb %s tells of an image: %v, status %d\n%s", command, told, r.Status, r.Stdout)
		}
	}
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
