package vmtest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/testvm"
)

// standard is a machine with one btrfs disk: a root, the store, and a place for what shall stay.
func standard(t *testing.T) *testvm.Machine {
	t.Helper()
	testvm.Parallel(t)
	kit := testvm.Kit(t)
	disk := testvm.Disk(t, kit, vmtest.DiskLayout{
		Label: "nixos", Subvolumes: []string{"@", "@nix", "@persist"}, ReadOnly: []string{"@blank"}, Store: "@nix",
		Files: []files.File{files.Text("@persist/etc/greeting", "hello\n")},
	})
	return testvm.New(t, kit, vmtest.Config{
		Disks: []string{disk},
		Fstab: []vmtest.Mount{
			vmtest.Subvolume("nixos", "@", "/"),
			vmtest.Subvolume("nixos", "@nix", "/nix"),
			vmtest.Subvolume("nixos", "@persist", "/persist"),
		},
	})
}

func TestReboot(t *testing.T) {
	m := standard(t)
	m.Config.System = append(vmtest.Unit("wanted.service",
		"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c true\n", "multi-user.target.wants"),
		files.Text("/etc/added", "by the test\n"))
	if state := m.Boot(); state != "running" {
		t.Errorf("after the first boot the system is %s: %s", state, m.Run("systemctl", "--failed"))
	}
	if got := m.Run("systemctl", "is-active", "multi-user.target", "wanted.service"); got != "active\nactive" {
		t.Errorf("multi-user.target and what it wants are %q", got)
	}
	first := m.Run("cat", "/proc/sys/kernel/random/boot_id")
	for _, c := range []struct{ path, want string }{
		{"/persist/etc/greeting", "hello"},
		{"/etc/added", "by the test"},
		{"/proc/1/comm", "systemd"},
	} {
		if got := m.Run("cat", c.path); got != c.want {
			t.Errorf("%s: got %q, want %q", c.path, got, c.want)
		}
	}
	if got := m.Run("stat", "-c", "%U %a %i", "/", "/persist/etc/greeting"); !strings.HasPrefix(got, "root 755 256\nroot 644 ") {
		t.Errorf("owner, mode and inode of / and of a file that was on the disk: %q", got)
	}
	m.Shell("echo kept > /persist/kept; echo root > /on-root")

	m.Config.Params = []string{"vmtest.word=42"}
	m.Config.Clock = time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	if state := m.Reboot(); state != "running" {
		t.Errorf("after the second boot the system is %s: %s", state, m.Run("systemctl", "--failed"))
	}
	if got := m.Run("cat", "/proc/sys/kernel/random/boot_id"); got == first {
		t.Errorf("boot id %s is that of the boot before", got)
	}
	if got := m.Run("cat", "/persist/kept", "/on-root"); got != "kept\nroot" {
		t.Errorf("files of the boot before: %q", got)
	}
	if got := m.Run("cat", "/proc/cmdline"); !strings.Contains(got, "vmtest.word=42") {
		t.Errorf("kernel command line without the parameter: %s", got)
	}
	if got := m.Run("date", "-u", "+%F"); got != "2031-02-03" {
		t.Errorf("the clock shows %s", got)
	}
	m.Off()
}

func TestEmergency(t *testing.T) {
	m := standard(t)
	m.Config.Initrd = vmtest.Unit("broken.service", "[Unit]\nDefaultDependencies=no\nBefore=initrd-fs.target\n"+
		"OnFailure=emergency.target\nOnFailureJobMode=isolate\n"+
		"[Service]\nType=oneshot\nExecStart=/bin/cat /run/repaired\n", "initrd-fs.target.requires")
	m.BootTo(vmtest.InitrdEmergency())
	if got := m.Try("systemctl", "is-failed", "broken.service").Stdout; got != "failed\n" {
		t.Errorf("broken.service is %q", got)
	}
	if got := m.Run("cat", "/etc/initrd-release"); !strings.Contains(got, "ebb-vmtest") {
		t.Errorf("commands do not run in the initrd: %q", got)
	}
	// The shell on the console is a real one.
	m.WaitFor(vmtest.Console(`Press Enter for system maintenance`))
	m.TypedUntil("\n", vmtest.Console(`# `))
	m.Typed("echo six times seven is $((6*7))\n")
	m.WaitFor(vmtest.Console(`six times seven is 42`))
	// Repaired by hand, the boot goes on.
	m.Run("touch", "/run/repaired")
	m.Run("systemctl", "--no-block", "default")
	m.WaitFor(vmtest.SystemUp())
	m.Off()
}

func TestPowerCut(t *testing.T) {
	m := standard(t)
	m.Boot()
	m.Shell("echo 1 > /persist/synced; sync; echo 1 > /persist/unsynced")
	m.Cut()
	m.Config.Params = []string{vmtest.PanicParam}
	if state := m.Boot(); state != "running" {
		t.Errorf("after the power cut the system is %s", state)
	}
	if got := m.Run("cat", "/persist/synced"); got != "1" {
		t.Errorf("a file that was synced before the power cut has %q", got)
	}
	m.Panic()
	if got := m.ConsoleText(); !strings.Contains(got, "Kernel panic - not syncing: NMI") {
		t.Errorf("the console of a kernel that has panicked ends with %q", got[max(0, len(got)-1000):])
	}
}

func TestMissingDisk(t *testing.T) {
	m := standard(t)
	m.Config.Disks = nil
	m.Config.Params = []string{"systemd.default_device_timeout_sec=5s"}
	m.BootTo(vmtest.InitrdEmergency())
	if got := m.Journal([]string{"--output=cat", "--unit=sysroot.mount"}, "ependency failed"); !strings.Contains(got, "ependency failed") {
		t.Errorf("journal of sysroot.mount: %s", got)
	}
}

// A machine goes on from one saved instant as often as one likes, each time with the disk as it is then.
func TestSaveAndRestore(t *testing.T) {
	m := standard(t)
	m.Config.Initrd = vmtest.Unit("gate.service", "[Unit]\nDefaultDependencies=no\nBefore=sysroot.mount\n"+
		"Requires=dev-disk-by\\x2dlabel-nixos.device\nAfter=dev-disk-by\\x2dlabel-nixos.device\n"+
		"[Service]\nType=oneshot\nExecStart=/vmtest/guest gate here /run/typed\n", "initrd.target.wants")
	m.BootTo(vmtest.Mark("here"))
	m.WaitFor(vmtest.InitrdUp())
	saved := m.Saved()
	var ids []string
	for i, word := range []string{"one", "two"} {
		m.Restored(saved)
		m.Run("systemctl", "--version") // the agent that was there listens; stage 1 has no true(1)
		m.Typed(word + "\n")
		m.WaitFor(vmtest.SystemUp())
		if got := m.Run("cat", "/run/typed"); got != word {
			t.Errorf("typed at the gate: %q, want %q", got, word)
		}
		ids = append(ids, m.Run("cat", "/proc/sys/kernel/random/boot_id"))
		if there := m.Try("test", "-e", "/persist/mark").Status == 0; there != (i == 1) {
			t.Errorf("run %s: the file of the run before is there: %v", word, there)
		}
		m.Shell("echo mark > /persist/mark")
		m.Off()
	}
	if ids[0] != ids[1] {
		t.Errorf("these are two boots: %q", ids)
	}
	m.NewDisks()
	m.Restored(saved)
	m.Typed("three\n")
	m.WaitFor(vmtest.SystemUp())
	if m.Try("test", "-e", "/persist/mark").Status == 0 {
		t.Error("the disks were not thrown away")
	}
	m.Cut()
}
