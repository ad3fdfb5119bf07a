package reboot

import (
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/units"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/testvm"
)

// Other ways to attach the disk.
func TestBuses(t *testing.T) {
	for _, c := range []struct {
		bus    vmtest.Bus
		device string
	}{
		{vmtest.NVMe, "/dev/nvme0n1p2"},
		{vmtest.SCSI, "/dev/sda2"},
	} {
		t.Run(string(c.bus), func(t *testing.T) {
			m := newMachine(t, planted(standardLayout()), fstabOn(c.device), document(strings.Replace(mappedRoot, mappedDevice, c.device, 1), basicStores))
			m.Config.Bus = c.bus
			m.up(m.Boot)
			m.wantRolledBack(1)
			m.Cut()
		})
	}
}

// The store, and the system, on file systems of other kinds on disks of their
// own.
func TestOtherFilesystems(t *testing.T) {
	root := planted(vmtest.DiskLayout{Label: "nixos", Subvolumes: []string{"@", "@persist"}, ReadOnly: []string{"@blank"}})
	root.Files = root.Files[:len(root.Files)-1] // the store is on another disk
	nix := vmtest.DiskLayout{Label: "nix", Kind: vmtest.Ext4, Store: "/"}
	for _, c := range []vmtest.DiskLayout{
		{Label: "persist", Kind: vmtest.Ext4, Files: []files.File{files.Text("srv/data/file", "data\n")}},
		{Label: "persist", Kind: vmtest.XFS},
	} {
		t.Run(c.Kind, func(t *testing.T) {
			fstab := []vmtest.Mount{
				vmtest.Subvolume("nixos", "@", "/"),
				{What: "/dev/disk/by-label/nix", Where: "/nix", Type: vmtest.Ext4},
				{What: "/dev/disk/by-label/persist", Where: "/persist", Type: c.Kind},
			}
			m := newMachine(t, root, fstab, document(standardRoot, basicStores))
			m.Config.Disks = append(m.Config.Disks, testvm.Disk(t, testvm.Kit(t), nix), testvm.Disk(t, testvm.Kit(t), c))
			m.up(m.Boot)
			if c.Kind == vmtest.XFS {
				m.Shell("echo data > /srv/data/file") // mkfs.xfs takes no files
			}
			m.wantRolledBack(1)
			for path, kind := range map[string]string{"/": vmtest.Btrfs, "/nix": vmtest.Ext4, "/persist": c.Kind, "/srv/data": c.Kind} {
				m.want(kind, "findmnt", "-no", "FSTYPE", path)
			}
			before := m.describeOn(c.Kind)
			m.fill()
			m.up(m.Reboot)
			m.wantRolledBack(2)
			if after := m.describeOn(c.Kind); after != before {
				t.Errorf("persistent files were\n%s\nand are\n%s", before, after)
			}
			m.Cut()
		})
	}
}

// describeOn gives a file everything that a file system can keep, unless it has
// it, and tells what it has.
func (m *machine) describeOn(kind string) string {
	m.t.Helper()
	return m.Shell(`
		cd /srv/data
		if ! test -e kept; then
			echo kept > kept; chown 1000:100 kept; chmod 0640 kept; touch -d 2020-01-02T03:04:05Z kept
			setfattr -n user.note -v ` + kind + ` kept; setfacl -m u:1234:r kept; mkdir -p deep/er; ln -s kept deep/link
		fi
		find . ! -name file ! -name . -printf '%p %y %m %U:%G %s %l\n' | sort; cat kept; stat -c %Y kept
		getfattr -d kept; getfacl -n kept`)
}

// raid1 of two disks; then one of them is missing. Without "degraded" the file
// system is not to be had, as it is without ebb; with it, in both places, the
// rollback goes on.
func TestTwoDevices(t *testing.T) {
	kit := testvm.Kit(t)
	second := vmtest.DiskLayout{Label: "spare", Kind: vmtest.Ext4}
	m := newMachine(t, planted(standardLayout()), standardFstab(), document(standardRoot, basicStores))
	m.Config.Disks = append(m.Config.Disks, testvm.Disk(t, kit, second))
	m.up(m.Boot)
	m.wantRolledBack(1)
	m.Run("btrfs", "device", "add", "--force", "/dev/vdb2", "/")
	m.Run("btrfs", "balance", "start", "-dconvert=raid1", "-mconvert=raid1", "/")
	m.fill()
	m.up(m.Reboot)
	m.wantRolledBack(2)
	m.want("2", "sh", "-c", "btrfs filesystem show / | grep -c devid")
	m.fill()
	m.Off()

	disks := m.Config.Disks
	m.Config.Disks = disks[:1]
	if testenv.IsLong(t, "the boot without the option degraded, and its emergency shell") {
		m.wantMissingMember()
	}

	m.Config.Fstab = standardFstab()
	for i := range m.Config.Fstab {
		m.Config.Fstab[i].Options += ",degraded"
	}
	m.configure(document(`{"kind": "btrfs", "device": "`+realDevice+`", "options": ["degraded"]}`, basicStores))
	m.Config.Initrd = append(m.Config.Initrd, allReady)
	m.known = []string{"degraded", "devid", "missing"}
	m.up(m.Boot)
	m.wantRolledBack(3)
	m.fill()
	m.Off()

	// The other one is back. What it has missed it takes from the first.
	m.Config.Disks, m.Config.Fstab = disks, standardFstab()
	m.configure(document(standardRoot, basicStores))
	m.up(m.Boot)
	m.wantRolledBack(4)
	m.Run("btrfs", "scrub", "start", "-B", "/")
	m.Off()
}

// allReady is for whoever wants to boot without one of his devices: otherwise
// udev has a btrfs of several devices for ready when all of them are there
// (64-btrfs.rules).
var allReady = files.Text("etc/udev/rules.d/64-btrfs.rules", "")

// wantMissingMember boots a machine without the second device of its raid1, and
// without "degraded": it stops, and ebb says what is missing and what to type.
// That is typed, and the machine goes on with the old root.
func (m *machine) wantMissingMember() {
	m.t.Helper()
	m.known = append([]string{"degraded", "devid", "missing", "sysroot", "nixos", "Dependency failed", "machine-id"}, failedUnits...)
	m.Config.Params = []string{"systemd.default_device_timeout_sec=20s"} // long enough for the link to be there
	m.BootTo(vmtest.InitrdEmergency())
	m.WaitFor(vmtest.Console(shellPrompt))
	m.wantTold(troubleOf{
		reason: "of the 2 devices of the file system on " + realDevice + " one did not appear", hint: "mount -o degraded",
		state: initrd.StateRefused, unit: "ebb-failure.service",
	})
	doctor := m.Try("ebb", "doctor")
	var command string
	for line := range strings.Lines(doctor.Stdout) {
		if strings.HasPrefix(strings.TrimSpace(line), "mount -o degraded") { // others tell of it behind a "#"
			command = line
		}
	}
	if doctor.Status != 1 || !strings.Contains(doctor.Stdout, "has 2 devices, of which 1 are not here") || command == "" {
		m.t.Fatalf("ebb doctor: status %d\n%s%s", doctor.Status, doctor.Stdout, doctor.Stderr)
	}
	if typed := fromPage(m.t, 3, "mount -o degraded"); strings.TrimSpace(command) != typed {
		m.t.Errorf("ebb doctor says to type\n%swhich the page has as\n%s", command, typed)
	}
	m.Shell(strings.Replace(command, "systemctl", "systemctl --no-block", 1))
	m.WaitFor(vmtest.SystemUp())
	m.want("old", "cat", "/marker")
	m.Cut()
	m.Config.Params, m.known = nil, nil
}

// lateRule holds the links of the root's partition up for some seconds, and says
// on the console when that is over.
const lateRule = `SUBSYSTEM=="block", KERNEL=="vda2", PROGRAM="/bin/sh -c '/bin/sleep 5; /vmtest/guest mark late'"` + "\n"

// udev makes the link with the label long after the device is there: nothing
// goes on without it.
func TestLateLabel(t *testing.T) {
	m := newMachine(t, planted(standardLayout()), standardFstab(), document(standardRoot, basicStores))
	m.Config.Initrd = append(m.Config.Initrd, files.Text("etc/udev/rules.d/59-late.rules", lateRule))
	m.up(m.Boot)
	m.wantRolledBack(1)
	console := m.ConsoleText()
	late, starting := strings.Index(console, "mark late"), strings.Index(console, "Starting "+units.Rollback)
	switch {
	case late < 0:
		t.Error("the label was not late: this test has shown nothing")
	case starting < late:
		t.Errorf("the rollback was started before the label was there:\n%s", console[:late])
	}
	m.Cut()
}
