package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// toldVariable names a directory that gets a file for each package of tests,
// with a line for all that [Tell] was told. scripts/told shows them at the end
// of a run: of tests that pass "go test" shows nothing.
const toldVariable = "EBB_TOLD"

// What is told.
const (
	NotRun   = "NOT RUN"  // the machine lacks something
	LeftOut  = "LEFT OUT" // takes too long
	Machines = "MACHINES" // how often they were switched on
)

// Tell says something that whoever has started a run should read at its end.
func Tell(kind, text string) error {
	directory := os.Getenv(toldVariable)
	if directory == "" {
		return nil
	}
	name := testedPackage()
	file, err := os.OpenFile(filepath.Join(directory, strings.ReplaceAll(name, "/", "-")+".txt"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	// One write, so that lines of several processes stay whole.
	_, err = file.WriteString(kind + "\t" + name + ": " + strings.ReplaceAll(text, "\n", " ") + "\n")
	if closing := file.Close(); err == nil {
		err = closing
	}
	return err
}

// testedPackage is the package whose tests this program is, by its path in the
// module.
func testedPackage() string {
	if info, ok := debug.ReadBuildInfo(); ok && strings.Contains(info.Path, "/") {
		path := strings.TrimPrefix(info.Path, "github.com/ebb-nix/ebb/")
		return strings.TrimSuffix(path, ".test")
	}
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".test")
}

// tell is Tell for a test, which also says it itself.
func tell(t testing.TB, kind, text string) {
	t.Helper()
	if err := Tell(kind, text); err != nil {
		t.Errorf("%s: %v", toldVariable, err)
	}
	t.Log(kind + ": " + text)
}

// longVariable must be 1 for what takes hours.
const longVariable = "EBB_LONG"

// Long reports whether there is all the time that a test could want.
func Long() bool { return os.Getenv(longVariable) == "1" }

// IsLong is Long, and says otherwise what is left out.
func IsLong(t testing.TB, leftOut string) bool {
	t.Helper()
	if !Long() {
		LeaveOut(t, fmt.Sprintf("%s (%s=1, make test-long)", leftOut, longVariable))
	}
	return Long()
}

// LeaveOut says what a test leaves out.
func LeaveOut(t testing.TB, what string) {
	t.Helper()
	tell(t, LeftOut, what)
}
