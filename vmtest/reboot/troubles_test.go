package reboot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
)

// rootWith is standardRoot with a policy, and perhaps another device.
func rootWith(policy config.OnFailure, device string) string {
	return `{"kind": "btrfs", "device": "` + device + `", "on_failure": "` + string(policy) + `"}`
}

// shellPrompt is what sulogin(8) asks before it gives a shell.
const shellPrompt = "Press Enter for system maintenance"

const (
	realDevice = "/dev/disk/by-label/nixos"
	goneDevice = "/dev/disk/by-label/gone"
)

// failedUnits are what is to be expected in a journal when ebb tells that
// something is wrong. Nothing else may fail.
var failedUnits = []string{
	"ebb-rollback.service", "ebb-status.service", "ebb: make the root file system fresh", "ebb: check that the root is fresh", "ebb[", "hint: ",
}

// trouble is why a root was not made fresh.
type troubleOf struct {
	reason string       // in the record, the journal and on the console
	hint   string       // what to do
	state  initrd.State // of the rollback
	unit   string       // whose journal has it
	shell  []answer     // in the emergency shell
	lists  string       // in doctor's answer there, if udev had made the link of the disk before it was stopped
}

// answer is what a command says: its exit status, and words that are in it.
type answer struct {
	command string
	status  int
	words   []string
}

// inEveryShell are the answers of what nothing can be wrong with. Every command
// that a person would try is asked in every emergency shell, whether a test knows
// its answer or not: it says something, and does not break.
var inEveryShell = []answer{
	{"version", 0, []string{"ebb test"}},
	{"status", 1, nil},
	{"doctor", 1, nil},
	{"plan", -1, nil},
	{"roots", -1, nil},
	{"rollback --dry-run", -1, nil},
	{"check", -1, nil},
	{"sync --dry-run", -1, nil},
}

// plantedMachine is a machine with a mark on its root.
func plantedMachine(t *testing.T, layout vmtest.DiskLayout) *machine {
	t.Helper()
	return newMachine(t, planted(layout), standardFstab(), document(standardRoot, basicStores))
}

// wantOldRoot boots a machine that cannot make its root fresh, and that is to
// go on: on the old root, and never silently.
func (m *machine) wantOldRoot(w troubleOf) {
	m.t.Helper()
	m.up(m.Boot)
	m.want("old", "cat", "/marker")
	m.wantTold(w)
	m.want("failed", "sh", "-c", "systemctl is-failed ebb-status.service")
	status := m.Try("ebb", "status")
	if text := status.Stdout + status.Stderr; status.Status == 0 || !strings.Contains(text, w.reason) || !strings.Contains(text, w.hint) {
		m.t.Errorf("ebb status: status %d\n%s\nwant %q and %q", status.Status, text, w.reason, w.hint)
	}
}

// wantEmergency boots a machine that cannot make its root fresh, and that is to
// stop: in the emergency shell, with the root untouched.
func (m *machine) wantEmergency(w troubleOf) {
	m.t.Helper()
	m.BootTo(vmtest.InitrdEmergency())
	m.WaitFor(vmtest.Console(shellPrompt)) // by then all that there is to tell stands above it
	// Not even when asked for; a job that is still waiting ends with this one.
	if r := m.Try("systemctl", "start", "sysroot.mount"); r.Status == 0 {
		m.t.Error("sysroot.mount can be started")
	}
	if r := m.Try("findmnt", "/sysroot"); r.Status == 0 {
		m.t.Errorf("the root is mounted:\n%s", r.Stdout)
	}
	m.wantTold(w)
	m.wantShell(w)
	m.Cut()
}

// wantTold looks for the reason on the console, in the journal, in the record.
func (m *machine) wantTold(w troubleOf) {
	m.t.Helper()
	console, _, _ := strings.Cut(m.ConsoleText(), shellPrompt)
	if !strings.Contains(console, "ebb: ") || !strings.Contains(console, w.reason) {
		m.t.Errorf("the console does not tell: %s", w.reason)
	}
	journal := m.Journal([]string{"--output=cat", "--unit=" + w.unit}, w.reason, w.hint)
	if !strings.Contains(journal, w.reason) || !strings.Contains(journal, w.hint) {
		m.t.Errorf("the journal of %s has neither %q nor %q:\n%s", w.unit, w.reason, w.hint, journal)
	}
	r := m.record().Rollback
	if r == nil || r.State != w.state || r.Fresh || !strings.Contains(r.Reason, w.reason) || !strings.Contains(r.Hint, w.hint) {
		m.t.Errorf("the record says of the rollback: %+v", r)
	}
}

// wantShell uses ebb in the emergency shell. What a command has to say it says
// with its exit status, too.
func (m *machine) wantShell(w troubleOf) {
	m.t.Helper()
	// The last answer for a command is the one that counts.
	answers := map[string]answer{}
	for _, a := range append(append(inEveryShell, answer{"status", 1, []string{w.reason, w.hint}}), w.shell...) {
		answers[a.command] = a
	}
	if w.lists != "" && m.exists(realDevice) {
		m.wantAnswer(answer{"doctor", 1, []string{w.lists, realDevice}})
	}
	for _, a := range answers {
		m.wantAnswer(a)
	}
}

// wantAnswer asks ebb. A status of -1 is any that ebb ends with by itself.
func (m *machine) wantAnswer(a answer) {
	m.t.Helper()
	r := m.Try("sh", "-c", "ebb "+a.command)
	text := r.Stdout + r.Stderr
	m.t.Logf("ebb %s: status %d\n%s", a.command, r.Status, text)
	if a.status >= 0 && r.Status != a.status || r.Status > 2 || strings.TrimSpace(text) == "" {
		m.t.Errorf("ebb %s: status %d, want %d", a.command, r.Status, a.status)
	}
	for _, word := range []string{"panic", "bug in ebb"} {
		if strings.Contains(text, word) {
			m.t.Errorf("ebb %s: %s", a.command, word)
		}
	}
	for _, word := range a.words {
		if !strings.Contains(text, word) {
			m.t.Errorf("ebb %s does not say %q", a.command, word)
		}
	}
}

// wantMended boots a machine that is whole again: the root is fresh, the old
// one is in the archive, and has that number there.
func (m *machine) wantMended(number int) {
	m.t.Helper()
	m.known = nil
	m.configure(document(standardRoot, basicStores))
	m.up(m.Boot)
	m.wantGone("/marker")
	m.want("data", "cat", "/srv/data/file")
	m.want("old", "sh", "-euc", fmt.Sprintf(`
		mkdir -p /run/top; mount -o subvolid=5,ro /dev/disk/by-label/nixos /run/top
		cat /run/top/@roots/%06d/root/marker; umount /run/top`, number))
	m.Cut()
}

// damaged are the answers where the config cannot be read: the place, the reason,
// and what to do.
func damaged(place string) []answer {
	both := []string{place, "ebb check"}
	return []answer{
		{"status", 2, both},
		{"plan", 2, both},
		{"roots", 2, both},
		{"rollback --dry-run", 2, both},
		{"sync --dry-run", 2, both},
		{"check", 2, []string{place}},
		{"doctor", 1, []string{"/etc/ebb/config.json: " + place, "an earlier generation of the system"}},
	}
}

// deviceless are the answers where the device is not there.
func deviceless(device string) []answer {
	lookedFor := []string{"look for device " + device, "ls /dev/disk/by-*"}
	return []answer{
		{"check", 0, []string{"is valid"}},
		{"plan", 1, append(lookedFor, "ebb doctor")},
		{"roots", 1, lookedFor},
		{"rollback --dry-run", 1, lookedFor},
		{"sync --dry-run", 1, []string{"/etc/machine-id", "/persist"}},
		{"doctor", 1, []string{"the root's device " + device + " is not there", "/dev/disk/by-"}},
	}
}

// A config that cannot be read, on a machine whose units were made for a good
// one.
func TestDamagedConfig(t *testing.T) {
	m := plantedMachine(t, standardLayout())
	m.known = append([]string{"machine-id", "ebb-sync.service", "ebb: copy changed files back", "ebb-mount.service", "ebb: bring the persistent paths"}, failedUnits...)
	w := troubleOf{reason: `root.kind: "btr": not one of`, hint: "ebb check", state: initrd.StateFailed, unit: "ebb-rollback.service"}
	w.shell = damaged(w.reason)
	for _, policy := range []config.OnFailure{config.Continue, config.Emergency} {
		good := document(rootWith(policy, realDevice), basicStores)
		parsed, err := config.Parse([]byte(good))
		if err != nil {
			t.Fatal(err)
		}
		m.configureAs(strings.Replace(good, `"btrfs"`, `"btr"`, 1), parsed)
		if policy == config.Continue {
			m.wantOldRoot(w)
			m.Off()
		} else {
			m.wantEmergency(w)
		}
	}
	m.wantMended(1)
}

// A device that never comes: ebb-rollback.service is not even started.
func TestMissingDevice(t *testing.T) {
	m := plantedMachine(t, standardLayout())
	m.known = append([]string{"machine-id", "disk-by\\x2dlabel-gone", "/dev/disk/by-label/gone"}, failedUnits...)
	w := troubleOf{
		reason: "the device " + goneDevice + " did not appear", hint: "ls /dev/disk/by-*", state: initrd.StateRefused, unit: "ebb-failure.service",
		shell: deviceless(goneDevice), lists: `# btrfs, label "nixos", uuid`,
	}
	soon := files.Text(`etc/systemd/system/dev-disk-by\x2dlabel-gone.device.d/soon.conf`, "[Unit]\nJobRunningTimeoutSec=3s\n")
	m.configure(document(rootWith(config.Continue, goneDevice), basicStores))
	m.Config.Initrd = append(m.Config.Initrd, soon)
	m.wantOldRoot(w)
	m.Off()
	m.configure(document(rootWith(config.Emergency, goneDevice), basicStores))
	m.Config.Initrd = append(m.Config.Initrd, soon)
	// In emergency mode udev is off: what it has not seen by then never comes.
	m.Config.Params = []string{"systemd.default_device_timeout_sec=5s"}
	m.wantEmergency(w)

	// The disk itself is not there: with no root at all, systemd stops by
	// itself.
	disks := m.Config.Disks
	m.Config.Disks = nil
	m.configure(document(standardRoot, basicStores))
	w.reason = "the device " + realDevice + " did not appear"
	w.shell = append(deviceless(realDevice), answer{"doctor", 1, []string{"the root's device " + realDevice + " is not there", "no disk with a btrfs is here"}})
	m.wantEmergency(w)
	m.Config.Disks, m.Config.Params = disks, nil
	m.wantMended(1)
}
