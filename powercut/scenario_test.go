package powercut

import (
	"fmt"
	"slices"
	"testing"
)

// Every interval between commits meets every number of writers.
func TestCommitsMeetWriters(t *testing.T) {
	for _, commit := range []int{1, 30, 300} {
		for _, writers := range []int{0, 1, 4} {
			meets := func(s Scenario) bool {
				return s.Writers == writers && slices.Contains(s.Options, fmt.Sprintf("commit=%d", commit))
			}
			if !slices.ContainsFunc(Scenarios(), meets) {
				t.Errorf("no scenario has commit=%d and %d writers", commit, writers)
			}
		}
	}
}

// A name that is taken twice would hide a scenario from "cuts run".
func TestScenarioNames(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Scenarios() {
		if seen[s.Name] {
			t.Errorf("two scenarios are called %q", s.Name)
		}
		seen[s.Name] = true
		if found, err := FindScenario(s.Name); err != nil || found.Name != s.Name {
			t.Errorf("%q: %v", s.Name, err)
		}
	}
}

// What the kernel has, or has a module for, is told from what it does not have.
func TestIsKnownHere(t *testing.T) {
	need(t)
	for store, want := range map[string]bool{"": true, "ext4": true, "no-such-file-system": false} {
		if got := (&Scenario{Store: store}).IsKnownHere(); got != want {
			t.Errorf("%q: %v", store, got)
		}
	}
}
