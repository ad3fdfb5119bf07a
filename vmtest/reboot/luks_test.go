package reboot

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
)

const (
	passphrase   = "correct horse battery staple"
	mappedDevice = "/dev/mapper/cryptroot"
	mappedRoot   = `{"kind": "btrfs", "device": "` + mappedDevice + `"}`
	encrypted    = "/dev/disk/by-partlabel/nixos"
)

// encryptedLayout is standardLayout in a LUKS2 device, small enough to be kept:
// what is encrypted is not sparse.
func encryptedLayout() vmtest.DiskLayout {
	layout := standardLayout()
	layout.Size = 512 << 20
	layout.Passphrase = passphrase
	return layout
}

// fstabOn is standardFstab on another device.
func fstabOn(device string) []vmtest.Mount {
	fstab := standardFstab()
	for i := range fstab {
		fstab[i].What = device
	}
	return fstab
}

// keyFile is the passphrase in the initrd.
func keyFile() files.File {
	return files.File{Path: "etc/luks.key", Mode: 0o600, Data: passphrase}
}

// fill leaves something on the root and something that is persistent.
func (m *machine) fill() {
	m.t.Helper()
	m.Shell("echo old > /marker; mkdir -p /opt/x; echo gone > /opt/x/gone; echo data > /srv/data/file; btrfs subvolume create /nested; echo in > /nested/file")
}

// wantRolledBack checks that what fill left on the root is in the archive, and
// nowhere else.
func (m *machine) wantRolledBack(archived int) {
	m.t.Helper()
	m.wantGone("/marker", "/opt/x", "/nested")
	m.want("data", "cat", "/srv/data/file")
	m.wantLiveRoot()
	m.wantArchived(archived, "old")
}

// A root on LUKS2 that is opened with a key file.
func TestLUKSKeyFile(t *testing.T) {
	m := newMachine(t, planted(encryptedLayout()), fstabOn(mappedDevice), document(mappedRoot, basicStores))
	m.Config.Crypttab = []string{"cryptroot " + encrypted + " /etc/luks.key luks"}
	m.Config.Initrd = append(m.Config.Initrd, keyFile())
	m.up(m.Boot)
	m.wantRolledBack(1)
	m.want("crypt", "lsblk", "-no", "TYPE", mappedDevice)
	m.Run("cryptsetup", "isLuks", "--type", "luks2", "/dev/vda2")
	m.fill()
	m.up(m.Reboot)
	m.wantRolledBack(2)
	m.wantOneFirstMount()
	m.Cut()
}

// shortPatience is what a device unit gets from systemd, 90 seconds by default,
// made short enough for a test to outlast. A drop-in with a later name wins:
// systemd-cryptsetup-generator(8) writes one without any time-out for the
// devices that it opens.
const shortPatience = "[Unit]\nJobTimeoutSec=3s\n"

// Somebody takes his time to type the passphrase. Nothing that waits for the
// root gives up; that it would, by another name than that of the mapped device,
// is systemd's way, and ebb says so.
func TestLUKSPassphrase(t *testing.T) {
	m := newMachine(t, planted(encryptedLayout()), fstabOn(mappedDevice), document(mappedRoot, basicStores))
	m.Config.Crypttab = []string{"cryptroot " + encrypted + " none luks"}
	plain := m.Config.Initrd
	m.Config.Initrd = append(slices.Clone(plain),
		files.Text(`etc/systemd/system/dev-mapper-cryptroot.device.d/10-default.conf`, shortPatience))
	m.up(func() string { return m.bootTyping(10 * time.Second) })
	m.wantRolledBack(1)
	m.fill()
	m.Off()
	if testenv.IsLong(t, "two minutes until the passphrase comes") {
		m.Config.Initrd = plain
		m.Config.Params = []string{"systemd.default_device_timeout_sec=90"} // which is systemd's own
		m.up(func() string { return m.bootTyping(2 * time.Minute) })
		m.wantRolledBack(2)
		m.Off()
	}
}

// bootTyping boots and types the passphrase when the machine has waited for it
// that long, by its own clock.
func (m *machine) bootTyping(patience time.Duration) string {
	m.t.Helper()
	m.BootTo(vmtest.Console(`passphrase for disk`))
	m.WaitFor(vmtest.InitrdUp())
	m.Run("sleep", patience.String())
	if state := m.Run("systemctl", "show", "--property=ActiveState", "--value", "ebb-rollback.service"); state != "inactive" {
		m.t.Errorf("before the disk is open ebb-rollback.service is %s", state)
	}
	m.Typed(passphrase + "\n")
	m.WaitFor(vmtest.SystemUp())
	return strings.TrimSpace(m.Try("systemctl", "is-system-running", "--wait").Stdout)
}

// A name that systemd does not know to be behind a passphrase has the ordinary
// time-out: the machine boots on the old root, and never silently.
func TestLUKSPassphraseTooLate(t *testing.T) {
	if !testenv.IsLong(t, "a passphrase that comes too late") {
		t.SkipNow()
	}
	m := newMachine(t, encryptedLayout(), fstabOn(mappedDevice), document(standardRoot, basicStores))
	m.Config.Crypttab = []string{"cryptroot " + encrypted + " none luks"}
	m.Config.Initrd = append(m.Config.Initrd,
		files.Text(`etc/systemd/system/dev-disk-by\x2dlabel-nixos.device.d/10-default.conf`, shortPatience))
	m.known = append([]string{`disk-by\x2dlabel-nixos`, realDevice}, failedUnits...)
	m.up(func() string { return m.bootTyping(10 * time.Second) })
	m.wantTold(troubleOf{
		reason: "the device " + realDevice + " did not appear", hint: "ls /dev/disk/by-*", state: initrd.StateRefused, unit: "ebb-failure.service",
	})
	m.Cut()
}
