package powercut

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// A number makes the same scenario each time, and one that can be recorded: a store
// with a disk of its own has nothing to do with what is done to the root's.
func TestRandomScenario(t *testing.T) {
	var all strings.Builder
	for number := range uint64(500) {
		s := RandomScenario(number)
		found, err := FindScenario(s.Name)
		if err != nil || !reflect.DeepEqual(s, found) {
			t.Errorf("%s is another one the second time: %v", s.Name, err)
		}
		if s.Store != "" && (s.Devices > 1 || s.Delete || s.InRoot || s.Committer || s.Depth > 1) {
			t.Errorf("%s cannot be: the disk of the store is the one that is cut", &s)
		}
		fmt.Fprintln(&all, &s)
	}
	for _, want := range []string{
		"depth 3", "4 writers", "2 devices", `store "ext4"`, `store "xfs"`, "restore", "keep", "delete", "in-root", "committer",
		"between", "fsyncs", "strange", "--nodesize 65536", "--metadata single", "commit=300", "compress=zstd", "notreelog", "discard=sync",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("none of 500 scenarios has %s", want)
		}
	}
	if _, err := FindScenario(randomName + "x"); err == nil {
		t.Error("a name without a number is one of a scenario")
	}
}

// Random scenarios, a few of them but in the long run. "make soak" goes on for a day.
func TestRandomScenarios(t *testing.T) {
	need(t)
	count := uint64(1)
	if isWhole() {
		count = 3
		if testenv.IsLong(t, "97 of 100 random scenarios") {
			count = 100
		}
	}
	program, cases := build(t, ""), caseDir(t)
	for number := range count {
		s := RandomScenario(number)
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			result, err := run(program, cases, Budget{States: 120, Nested: 4, Checks: 100, Seed: 1, Failures: 1}, s.Name)
			if err != nil {
				t.Fatalf("%s: %v", &s, err)
			}
			for _, f := range result.Failures {
				t.Errorf("state %s: %s\nreplay it: go run ./powercut/cuts replay %s", f.State, f.Reason, f.Case)
			}
			t.Log(&s, result)
		})
	}
}
