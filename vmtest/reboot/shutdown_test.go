package reboot

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/vmtest"
)

// Mounts that were made in the initrd are left alone at shutdown, and file
// managers see their options.
func TestShutdownAndOptions(t *testing.T) {
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, basicStores))
	m.up(m.Boot)
	// By itself findmnt shows what the kernel knows; --mtab is the view of libmount,
	// which systemd and file managers go by.
	for path, want := range map[string][]string{
		"/var/log":           {"x-initrd.mount"},
		"/home/gabriel/.ssh": {"x-initrd.mount", "x-gvfs-hide"},
	} {
		options := strings.Split(m.Run("findmnt", "--mtab", "-no", "OPTIONS", path), ",")
		for _, option := range want {
			if !contains(options, option) {
				t.Errorf("%s has the options %q, without %s", path, options, option)
			}
		}
	}
	if options := m.Run("findmnt", "--mtab", "-no", "OPTIONS", "/var/log"); strings.Contains(options, "x-gvfs-hide") {
		t.Errorf("/var/log is hidden: %s", options)
	}
	for line := range strings.Lines(m.Run("findmnt", "-rno", "TARGET")) {
		if strings.HasPrefix(line, "/sysroot") {
			t.Errorf("left over from the initrd: %s", line)
		}
	}
	// util-linux 2.42 writes no ID= into utab, so that by their names, /sysroot/nix, nobody in the running system finds the
	// options of what mount(8) has mounted in the initrd: systemd unmounts all of it, and runs from /nix.
	unmounted := !contains(strings.Split(m.Run("findmnt", "--mtab", "-no", "OPTIONS", "/nix"), ","), "x-initrd.mount")
	m.up(m.Reboot)
	earlier := m.Run("journalctl", "--boot=-1", "--no-pager", "--no-hostname", "--output=short-monotonic")
	for line := range strings.Lines(earlier) {
		for _, word := range []string{"Failed unmounting", "Failed to unmount", "target is busy", "Unmounting var-log.mount"} {
			if strings.Contains(line, word) && !(unmounted && strings.Contains(line, "/nix")) {
				t.Errorf("at shutdown: %s", strings.TrimSpace(line))
			}
		}
	}
	if synced, gone := strings.Index(earlier, "Stopped ebb-sync.service"), strings.Index(earlier, "Unmounting persist.mount"); synced < 0 || gone >= 0 && gone < synced {
		t.Error("the store was unmounted before ebb-sync.service had copied into it")
	}
	if !strings.Contains(earlier, "Reached target") || !strings.Contains(earlier, "Shutting down") {
		t.Error("the journal of the boot before does not reach its shutdown: the check above saw nothing")
	}
	m.Cut()
}

func contains(list []string, word string) bool {
	for _, item := range list {
		if item == word {
			return true
		}
	}
	return false
}

// Whatever starts the units a second time: the live root is not touched.
func TestUnitsRunTwice(t *testing.T) {
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, basicStores))
	// The first way: the boot stops behind ebb, somebody looks around in the
	// emergency shell, and lets it go on.
	m.Config.Initrd = append(m.Config.Initrd, vmtest.Unit("stop.service", `[Unit]
DefaultDependencies=no
After=ebb-mount.service
Before=initrd-fs.target
OnFailure=emergency.target
OnFailureJobMode=isolate
[Service]
Type=oneshot
ExecStart=/bin/cat /run/go-on
`, "initrd-fs.target.requires")...)
	m.known = []string{
		"stop.service", "initrd-fs.target", "initrd.target", "Dependency failed", "/run/go-on",
		// That of systemd 262: it is stopped on the way to the emergency shell, and refused as long as udevd runs.
		"systemd-udevd-varlink.socket",
	}
	m.BootTo(vmtest.InitrdEmergency())
	made := m.Run("cat", "/run/ebb/boot.json")
	m.Run("touch", "/sysroot/live")
	for _, unit := range []string{"ebb-rollback.service", "ebb-mount.service"} {
		m.Run("systemctl", "restart", unit)
	}
	m.Run("ebb", "rollback")
	m.Run("ls", "/sysroot/live")
	if again := m.Run("cat", "/run/ebb/boot.json"); rollbackOf(t, again) != rollbackOf(t, made) {
		t.Errorf("the record of the rollback was\n%s\nand is\n%s", made, again)
	}
	m.Run("touch", "/run/go-on")
	m.Run("systemctl", "--no-block", "default")
	m.WaitFor(vmtest.SystemUp())
	m.Run("systemctl", "is-system-running", "--wait")
	m.up(func() string { return "running" })
	m.Run("test", "-e", "/live")
	m.wantLiveRoot()

	// The second way: in the running system.
	if again := m.Try("ebb", "rollback"); again.Status != 0 || !strings.Contains(again.Stderr, "nothing to do") {
		t.Errorf("ebb rollback in the running system: status %d, %s", again.Status, again.Stderr)
	}
	// Even when the record is lost, the live root is not moved.
	m.Run("rm", "/run/ebb/boot.json")
	if again := m.Try("ebb", "rollback"); again.Status != 1 || !strings.Contains(again.Stderr, "is mounted on /") {
		t.Errorf("ebb rollback without a record: status %d, %s", again.Status, again.Stderr)
	}
	m.Run("test", "-e", "/live")
	m.Off()
}

// rollbackOf is the part of a boot record that tells of the rollback.
func rollbackOf(t *testing.T, text string) string {
	t.Helper()
	var record struct{ Rollback json.RawMessage }
	if err := json.Unmarshal([]byte(text), &record); err != nil {
		t.Fatal(err)
	}
	return string(record.Rollback)
}
