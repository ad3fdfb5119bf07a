package reboot

import (
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
)

// planted is a layout whose root holds something before the first boot, and
// whose store has something for an entry: that what fill makes in a machine.
func planted(layout vmtest.DiskLayout) vmtest.DiskLayout {
	layout.Subvolumes = append(layout.Subvolumes, "@/nested")
	layout.Files = append(layout.Files,
		files.Text("@/marker", "old\n"), files.Text("@/opt/x/gone", "gone\n"), files.Text("@/nested/file", "in\n"),
		files.Text("@persist/srv/data/file", "data\n"))
	return layout
}

// The kernel parameters: the root is kept, is a copy of an archived one, once,
// has no entries; each time ebb says so.
func TestKernelParameters(t *testing.T) {
	m := newMachine(t, planted(standardLayout()), standardFstab(), document(standardRoot, basicStores))
	kept := append([]string{"machine-id"}, failedUnits...)

	// Kept, and with every detail in the journal.
	m.known = kept
	m.Config.Params = []string{"ebb.rollback=no", "ebb.log=debug"}
	m.up(m.Boot)
	m.want("old", "cat", "/marker")
	m.want("data", "cat", "/srv/data/file")
	m.wantKept("ebb.rollback=no")
	m.wantDebugLines(true)
	m.Shell("echo second > /second")

	// Without the parameter the root is made fresh.
	m.known, m.Config.Params = nil, nil
	m.up(m.Reboot)
	m.wantRolledBack(1)
	m.wantDebugLines(false)
	m.wantGone("/second")
	m.Shell("echo third > /third")

	// A copy of an archived root, with the present one archived in turn.
	m.Config.Params = []string{"ebb.rollback=1"}
	m.up(m.Reboot)
	m.wantCopyOf1()

	// Only once; and no entries.
	m.known = append([]string{"machine-id", "ebb-mount"}, failedUnits...)
	m.Config.Params = []string{"ebb.mount=no"}
	m.up(m.Reboot)
	m.wantGone("/marker", "/written", "/second", "/srv/data")
	m.wantLiveRoot()
	m.wantProblem("no entries were brought in: the kernel command line says ebb.mount=no")
	if r := m.record(); r.Mount.State != initrd.StateKept || !r.Rollback.Fresh {
		t.Errorf("the record says: rollback %+v, mount %+v", r.Rollback, r.Mount)
	}

	// There is no such root: nothing is done, the machine boots all the same.
	m.Shell("echo old > /marker")
	m.known = kept
	m.Config.Params = []string{"ebb.rollback=99", "ebb.log=debug"}
	m.up(m.Reboot)
	m.want("old", "cat", "/marker")
	m.wantProblem("there is no archived root 99")
	m.wantDebugLines(true)
	m.Cut()
}

// wantKept checks what is told about a root that was kept.
func (m *machine) wantKept(reason string) {
	m.t.Helper()
	if r := m.record().Rollback; r.State != initrd.StateKept || r.Fresh || !strings.Contains(r.Reason, reason) {
		m.t.Errorf("the record says of the rollback: %+v", r)
	}
	m.wantProblem("the root was kept as it was")
	m.wantProblem(reason)
	if console := m.ConsoleText(); !strings.Contains(console, reason) {
		m.t.Errorf("the console says nothing of %s", reason)
	}
}

// wantProblem looks for a word in what ebb status complains about.
func (m *machine) wantProblem(text string) {
	m.t.Helper()
	if s := m.Try("ebb", "status"); s.Status != 1 || !strings.Contains(s.Stdout+s.Stderr, text) {
		m.t.Errorf("ebb status: status %d, want %q in\n%s%s", s.Status, text, s.Stdout, s.Stderr)
	}
	m.want("failed", "sh", "-c", "systemctl is-failed ebb-status.service")
}

// wantDebugLines looks whether the journal has lines that only ebb.log=debug
// brings, at their level.
func (m *machine) wantDebugLines(want bool) {
	m.t.Helper()
	m.Run("journalctl", "--sync") // journald may be behind with what it was told
	lines := m.Run("journalctl", "--boot", "--no-pager", "--output=json", "--output-fields=PRIORITY,MESSAGE", "--identifier=ebb")
	if has := strings.Contains(lines, `"PRIORITY":"7"`); has != want {
		m.t.Errorf("ebb has written lines for debugging: %v, want %v\n%s", has, want, lines)
	}
}

// wantCopyOf1 checks a root that is a copy of archived root 1.
func (m *machine) wantCopyOf1() {
	m.t.Helper()
	m.want("old\nsecond\ngone", "cat", "/marker", "/second", "/opt/x/gone")
	m.want("", "ls", "/nested") // a snapshot has no nested subvolumes; the archived root keeps them
	m.want("data", "cat", "/srv/data/file")
	m.wantGone("/third")
	m.wantLiveRoot()
	if r := m.record().Rollback; r.CopyOf != 1 || !r.Fresh {
		m.t.Errorf("the record says of the rollback: %+v", r)
	}
	if status := m.Run("ebb", "status"); !strings.Contains(status, "a copy of archived root 1") {
		m.t.Errorf("ebb status:\n%s", status)
	}
	m.Shell("echo more > /written; echo changed > /marker")
	m.wantArchived(1, "old") // itself it is as it was
	m.want("third", "sh", "-euc", `
		mkdir -p /run/top; mount -o subvolid=5,ro /dev/disk/by-label/nixos /run/top
		cat /run/top/@roots/000002/root/third; umount /run/top`)
}
