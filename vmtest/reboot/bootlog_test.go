package reboot

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	layout := vmtest.DiskLayout{
		Label: "nixos", Bare: true, Size: 512 << 20, Store: "@nix", Subvolumes: []string{"@", "@/srv", "@nix", "@persist"},
	}
	for path, text := range powercut.BootFiles() {
		layout.Files = append(layout.Files, files.Text(filepath.Join("@", path), text))
	}
	slices.SortFunc(layout.Files, func(a, b files.File) int { return cmp.Compare(a.Path, b.Path) })
	stores := `"/persist": {
		"directories": [{"path": "/var/log"}, ` + powercut.BootEntries() + `],
		"files": [{"path": "/etc/machine-id", "how": "sync"}]}`
	m := newMachine(t, layout, standardFstab(), document(standardRoot, stores))
	dir := t.TempDir()
	m.Config.RawDisks, m.Config.WriteLog = true, filepath.Join(dir, "log")
	if err := os.WriteFile(m.Config.WriteLog, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.up(m.Boot)
	marks := bootMarks{log: m.Config.WriteLog}
	marks.add(t, powercut.BootDone()...)
	m.Shell("echo a > /etc/a; sync /etc/a; echo b > /persist/b; sync /persist/b")
	marks.add(t, synced("@/etc/a", "a\n"), synced("@persist/b", "b\n"))
	m.Shell("mkdir -p /root/b /persist/b2; echo c > /root/b/c; echo d > /persist/b2/d; sync")
	marks.add(t, synced("@/root/b/c", "c\n"), synced("@persist/b2/d", "d\n"))
	m.Shell("echo e > /root/e")
	m.Off()

	program := filepath.Join(dir, "cuts")
	if out, err := exec.Command("go", "build", "-o", program, "../../powercut/cuts").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	marksFile := filepath.Join(dir, "marks")
	marks.write(t, marksFile)
	states := bootStates
	if testenv.IsLong(t, "all but "+bootStates+" power cuts of a whole boot") {
		states = "0"
	}
	cuts := exec.Command(program, "log", m.Config.Disks[0], m.Config.WriteLog, marksFile, "-states", states, "-checks", "60", "-cases", os.TempDir())
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

// bootMarks are what was acknowledged while a machine ran, and how long its log
// was by then. What is logged before an answer of the machine has come is in
// the file by then.
type bootMarks struct {
	log  string
	list []powercut.BootMark
}

func (b *bootMarks) add(t *testing.T, events ...powercut.Event) {
	t.Helper()
	st, err := os.Stat(b.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		b.list = append(b.list, powercut.BootMark{Behind: st.Size(), Event: e})
	}
}

func (b *bootMarks) write(t *testing.T, path string) {
	t.Helper()
	data, err := json.Marshal(b.list)
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func synced(path, text string) powercut.Event {
	return powercut.Event{What: powercut.FileSynced, Path: path, Text: text}
}
