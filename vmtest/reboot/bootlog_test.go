package reboot

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/powercut"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
)

// bootStates is how many states of the disk are judged in the short run.
const bootStates = "240"

// All that a machine writes from its kernel to its shutdown is logged, and the
// power is cut at its writes: the disk is made again as it was then, with what
// was not flushed missing in part, and judged as the recordings of package
// powercut are.
func TestPowerCutsOfWholeBoot(t *testing.T) {
	testenv.Need(t, testenv.TierBtrfs)
	m := newMachine(t, bootLayout(), standardFstab(), document(standardRoot, bootStores()))
	boot := m.recordBoot()
	m.Off()
	judgeBoot(t, boot)
}

// The same on LUKS2, with all that is written to the encrypted device: how the
// kernel's dm-crypt orders writes and flushes is in its log. The log is decrypted
// with the key of the volume.
func TestPowerCutsOfEncryptedBoot(t *testing.T) {
	testenv.Need(t, testenv.TierBtrfs)
	if !testenv.IsLong(t, "the power cuts of a whole boot on LUKS") {
		t.SkipNow()
	}
	layout := bootLayout()
	layout.Passphrase = passphrase
	m := newMachine(t, layout, fstabOn(mappedDevice), document(mappedRoot, bootStores()))
	m.Config.Crypttab = []string{"cryptroot /dev/vda /etc/luks.key luks"}
	m.Config.Initrd = append(m.Config.Initrd, keyFile())
	boot := m.recordBoot()
	boot.Encryption = m.encryption()
	m.Off()
	judgeBoot(t, boot)
}

// encryption asks the machine how its disk is encrypted.
func (m *machine) encryption() *powercut.Encryption {
	m.t.Helper()
	dump := m.Shell("printf %s '" + passphrase + "' | cryptsetup luksDump --dump-volume-key --batch-mode --key-file=- /dev/vda")
	status := m.Run("cryptsetup", "status", "cryptroot")
	m.t.Log(dump, status)
	field := func(text, pattern string) string {
		m.t.Helper()
		found := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if found == nil {
			m.t.Fatalf("no %s in\n%s", pattern, text)
		}
		return found[1]
	}
	field(status, `cipher: +(aes-xts-plain64)`)
	key, err := hex.DecodeString(strings.Join(strings.Fields(field(dump, `(?s)MK dump:\s+([0-9a-f\s]+)`)), ""))
	if err != nil {
		m.t.Fatal(err)
	}
	offset, err := strconv.ParseInt(field(status, `offset: +(\d+) sectors`), 10, 64)
	if err != nil {
		m.t.Fatal(err)
	}
	sectors, err := strconv.Atoi(field(status, `sector size: +(\d+)`))
	if err != nil {
		m.t.Fatal(err)
	}
	return &powercut.Encryption{Key: key, Offset: offset * 512, SectorSize: sectors}
}

// bootLayout is the disk of a machine whose boot is recorded: what package powercut
// judges by is on its root.
func bootLayout() vmtest.DiskLayout {
	layout := vmtest.DiskLayout{
		Label: "nixos", Bare: true, Size: 512 << 20, Store: "@nix", Subvolumes: []string{"@", "@/srv", "@nix", "@persist"},
	}
	for path, text := range powercut.BootFiles() {
		layout.Files = append(layout.Files, files.Text(filepath.Join("@", path), text))
	}
	slices.SortFunc(layout.Files, func(a, b files.File) int { return cmp.Compare(a.Path, b.Path) })
	return layout
}

// bootStores are the entries of a machine whose boot is recorded.
func bootStores() string {
	return `"/persist": {
		"directories": [{"path": "/var/log"}, ` + powercut.BootEntries() + `],
		"files": [{"path": "/etc/machine-id", "how": "sync"}]}`
}

// recordBoot boots the machine, has it write and fsync, and returns what was written
// to its disk and what was known by then. It may still be on.
func (m *machine) recordBoot() *powercut.BootRecording {
	m.t.Helper()
	boot := &powercut.BootRecording{Log: filepath.Join(m.t.TempDir(), "log")}
	m.Config.RawDisks, m.Config.WriteLog = true, boot.Log
	if err := os.WriteFile(boot.Log, nil, 0o600); err != nil {
		m.t.Fatal(err)
	}
	m.up(m.Boot)
	m.mark(boot, powercut.BootDone()...)
	m.Shell("echo a > /etc/a; sync /etc/a; echo b > /persist/b; sync /persist/b")
	m.mark(boot, synced("@/etc/a", "a\n"), synced("@persist/b", "b\n"))
	m.Shell("mkdir -p /root/b /persist/b2; echo c > /root/b/c; echo d > /persist/b2/d; sync")
	m.mark(boot, synced("@/root/b/c", "c\n"), synced("@persist/b2/d", "d\n"))
	m.Shell("echo e > /root/e")
	boot.Image = m.Config.Disks[0]
	return boot
}

// mark notes what was acknowledged. What is logged before an answer of the machine
// has come is in the log's file by then.
func (m *machine) mark(boot *powercut.BootRecording, events ...powercut.Event) {
	m.t.Helper()
	st, err := os.Stat(boot.Log)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, e := range events {
		boot.Marks = append(boot.Marks, powercut.BootMark{Behind: st.Size(), Event: e})
	}
}

func synced(path, text string) powercut.Event {
	return powercut.Event{What: powercut.FileSynced, Path: path, Text: text}
}

// judgeBoot cuts the power at the writes of a boot.
func judgeBoot(t *testing.T, boot *powercut.BootRecording) {
	t.Helper()
	dir := t.TempDir()
	program, description := filepath.Join(dir, "cuts"), filepath.Join(dir, "boot")
	if out, err := exec.Command("go", "build", "-o", program, "../../powercut/cuts").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	data, err := json.Marshal(boot)
	if err == nil {
		err = os.WriteFile(description, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	states := bootStates
	if testenv.IsLong(t, "all but "+bootStates+" power cuts of a whole boot") {
		states = "0"
	}
	cuts := exec.Command(program, "boot", description, "-states", states, "-checks", "60", "-cases", os.TempDir())
	cuts.Stderr = os.Stderr
	out, err := cuts.Output()
	if err != nil {
		t.Fatalf("cuts log: %v", err)
	}
	var result powercut.Result
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatal(err)
	}
	for _, f := range result.Failures {
		t.Errorf("state %s: %s\nreplay it: go run ./powercut/cuts replay %s", f.State, f.Reason, f.Case)
	}
	t.Logf("%d writes and %d flushes; power cuts %v, after which the disk was in %d different states; btrfs check on %d; %.0f s",
		result.Writes, result.Flushes, result.States, result.Distinct, result.Checks, result.Seconds)
	if result.Distinct < 40 {
		t.Errorf("%d different states of the disk: this test has shown nothing", result.Distinct)
	}
}
