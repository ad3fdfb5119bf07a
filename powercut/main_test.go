package powercut

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// Environment variables that say how much is tried: a little of everything
// without them.
const (
	wholeVariable = "EBB_POWERCUT" // "1": 10,000 states, all planted bugs; with EBB_LONG=1 100,000
)

func isWhole() bool { return os.Getenv(wholeVariable) == "1" }
func isLong() bool  { return isWhole() && testenv.Long() }

// tellLeftOut says what is not tried of the states of the disk.
func tellLeftOut(t *testing.T) {
	t.Helper()
	if isWhole() {
		testenv.IsLong(t, "90,000 of 100,000 states of the disk")
	} else {
		testenv.LeaveOut(t, "all but a few states of the disk and planted bugs (make test-powercut)")
	}
}

// need skips where there is no btrfs. FUSE comes with every kernel that has it.
func need(t *testing.T) {
	t.Helper()
	testenv.Need(t, testenv.TierBtrfs)
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Fatalf("the disk is a FUSE file system (modprobe fuse): %v", err)
	}
}

// build builds the program in ./cuts, with files of the module replaced by
// others where there is an overlay.
func build(t *testing.T, overlay string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "cuts")
	arguments := []string{"build", "-o", program}
	if overlay != "" {
		arguments = append(arguments, "-overlay", overlay)
	}
	output, err := exec.Command("go", append(arguments, "./cuts")...).CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return program
}

// run tries one scenario.
func run(program, caseDir string, budget Budget, scenario string) (*Result, error) {
	command := exec.Command(program, "run", "-cases", caseDir,
		"-states", fmt.Sprint(budget.States), "-nested", fmt.Sprint(budget.Nested), "-subsets", fmt.Sprint(budget.Subsets),
		"-checks", fmt.Sprint(budget.Checks), "-failures", fmt.Sprint(budget.Failures), "-seed", fmt.Sprint(budget.Seed), scenario)
	output, err := command.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		return nil, err
	}
	result := &Result{}
	return result, json.Unmarshal(output, result)
}

// caseDir is where states that fail stay, so that they can be looked at.
func caseDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(os.TempDir(), "ebb-powercut")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}
