package powercut

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// Shares of the states that each scenario gets, by the number of its cuts.
func budgets(s *Scenario) Budget {
	depth := max(s.Depth, 1)
	switch {
	case isLong() && depth == 1 && (s.Between || s.Committer):
		return Budget{States: 6000, Checks: 500}
	case isLong() && depth == 1: // there are fewer different ones
		return Budget{States: 2300, Checks: 500}
	case isLong() && depth == 2 && s.Between:
		return Budget{States: 400, Nested: 25, Checks: 2000}
	case isLong() && depth == 2:
		return Budget{Subsets: 0, Checks: 2000} // every pair
	case isLong():
		return Budget{States: 40, Nested: 8, Checks: 500}
	case isWhole() && depth == 1:
		return Budget{States: 380, Checks: 150}
	case isWhole() && depth == 2:
		return Budget{States: 60, Nested: 6, Checks: 150}
	case isWhole():
		return Budget{States: 15, Nested: 3, Checks: 50}
	case depth == 1:
		return Budget{States: 12, Checks: 12}
	}
	return Budget{States: 2, Nested: 2}
}

// leastDistinct is how many different contents of the disk have to be tried.
func leastDistinct() int {
	switch {
	case isLong():
		return 100_000
	case isWhole():
		return 10_000
	}
	return 100
}

// leastNested is how many pairs of cuts, and how many triples, the long run has
// to try.
var leastNested = []int{1: 20_000, 2: 1_000}

// Whatever instant the power is cut at, the machine boots, the root is wholly
// the old one or wholly a fresh one, nothing that was there or acknowledged is
// lost, and the next boot clears up.
func TestPowerCuts(t *testing.T) {
	need(t)
	tellLeftOut(t)
	program := build(t, "")
	cases := caseDir(t)
	var mu sync.Mutex
	var results []*Result
	t.Run("scenarios", func(t *testing.T) {
		for _, s := range Scenarios() {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				skipUnknown(t, &s)
				budget := budgets(&s)
				budget.Seed, budget.Failures = 1, keptCases
				result, err := run(program, cases, budget, s.Name)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range result.Failures {
					t.Errorf("state %s: %s\nreplay it: go run ./powercut/cuts replay %s", f.State, f.Reason, f.Case)
				}
				for _, again := range result.Again {
					t.Logf("state %s could be mounted at the second attempt only: %s", again.State, again.Reason)
				}
				if s.Rest > 0 && result.Discards == 0 {
					t.Error("nothing was discarded: this scenario has shown nothing")
				}
				t.Log(result)
				mu.Lock()
				defer mu.Unlock()
				results = append(results, result)
			})
		}
	})
	requireEnough(t, results)
}

// skipUnknown leaves out what takes long without any work, and what this kernel has
// no file system for.
func skipUnknown(t *testing.T, s *Scenario) {
	t.Helper()
	if s.Rest > 0 && !testenv.IsLong(t, fmt.Sprintf("power cuts of scenario %s, which rests for %v", s.Name, s.Rest)) {
		t.SkipNow()
	}
	if !s.IsKnownHere() {
		testenv.LeaveOut(t, fmt.Sprintf("power cuts of a store on %s, which this kernel does not have (make test-vm-kernels)", s.Store))
		t.SkipNow()
	}
}

// requireEnough demands that as much was tried as is promised.
func requireEnough(t *testing.T, results []*Result) {
	t.Helper()
	var distinct, checks int
	states := make([]int, len(leastNested)) // by the number of cuts, less 1
	for _, r := range results {
		distinct += r.Distinct
		checks += r.Checks
		for depth, count := range r.States {
			states[depth] += count
		}
	}
	t.Logf("%d scenarios, %v states, %d distinct, btrfs check %d", len(results), states, distinct, checks)
	if t.Failed() {
		return
	}
	if least := leastDistinct(); distinct < least {
		t.Errorf("%d distinct states were tried, want %d", distinct, least)
	}
	for depth, least := range leastNested {
		if isLong() && states[depth] < least {
			t.Errorf("%d states after %d cuts were tried, want %d", states[depth], depth+1, least)
		}
	}
}

// A state that failed fails again when it is replayed. One of them is of a cut
// in the recovery from another cut.
func TestReplay(t *testing.T) {
	need(t)
	for _, test := range []struct {
		bug    string
		budget Budget
		cuts   int
	}{
		{"three renames, no exchange", Budget{States: 400, Failures: 1, Seed: 1}, 1},
		{"dropped to one number in the trash", Budget{States: 150, Nested: 4, Failures: 1, Seed: 1}, 2},
	} {
		t.Run(test.bug, func(t *testing.T) {
			bug := findBug(t, test.bug)
			weak := build(t, bug.overlay(t))
			result, err := run(weak, t.TempDir(), test.budget, bug.scenario())
			if err != nil {
				t.Fatal(err)
			}
			if len(result.Failures) != 1 {
				t.Fatalf("%d states failed, want 1", len(result.Failures))
			}
			failed := result.Failures[0]
			if story, err := ParseStory(failed.State); err != nil || len(story) != test.cuts {
				t.Errorf("state %q: %v, want %d cuts", failed.State, err, test.cuts)
			}
			if strings.Contains(failed.Reason, os.TempDir()+"/") {
				t.Errorf("the directory of this run is in %q", failed.Reason)
			}
			output, err := exec.Command(weak, "replay", failed.Case).CombinedOutput()
			if err == nil || !strings.Contains(string(output), "now:  "+failed.Reason) {
				t.Errorf("replay of %q: %v\n%s", failed.Reason, err, output)
			}
		})
	}
}

// What is wrong is told without the directory and the device of one run, also
// where the kernel's answer names them.
func TestReasonsAreNameless(t *testing.T) {
	m := &machine{dir: t.TempDir(), disk: &Disk{Paths: []string{"/dev/loop7"}}}
	_, err := os.Stat(m.top("@"))
	err = fmt.Errorf("%s: there is no whole @: %w", m.disk.Paths[0], err)
	if got, want := m.nameless(err).Error(), "the disk: there is no whole @: stat top/@: no such file or directory"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if m.nameless(nil) != nil {
		t.Error("nothing is wrong, and yet there is an error")
	}
}

func TestStoryText(t *testing.T) {
	for _, text := range []string{"417:3", "1:0/22:123456/3:0"} {
		story, err := ParseStory(text)
		if err != nil || story.String() != text {
			t.Errorf("%q: %v, %v", text, story, err)
		}
	}
	for _, text := range []string{"", "417", "a:b", "1:0/"} {
		if story, err := ParseStory(text); err == nil {
			t.Errorf("%q: %v, want an error", text, story)
		}
	}
}

func TestLogRecords(t *testing.T) {
	s := &shared{log: make([]byte, logStart+200)}
	if !s.append(Write, 4096, []byte("data of an odd length")) || !s.append(Flush, 0, nil) {
		t.Fatal("no room")
	}
	records, err := s.records()
	if err != nil || len(records) != 2 || records[0].Kind != Write || records[0].Offset != 4096 ||
		string(records[0].Data) != "data of an odd length" || records[1].Kind != Flush {
		t.Errorf("%v, %v", records, err)
	}
	if !s.append(Discard, 8192, []byte{0, 16, 0, 0, 0, 0, 0, 0}) {
		t.Fatal("no room")
	}
	if records, err := s.records(); err != nil || len(records) != 3 {
		t.Errorf("%v, %v", records, err)
	} else if zeros, ok := records[2].written(); !ok || zeros.Offset != 8192 || !bytes.Equal(zeros.Data, make([]byte, 4096)) {
		t.Errorf("a discard of a page is %v", zeros)
	}
	if s.append(Write, 0, make([]byte, 4096)) {
		t.Error("a record went into a log that is full")
	}
	if _, err := s.records(); err == nil {
		t.Error("a log that was full is taken for a whole one")
	}
	if _, err := parseRecords(make([]byte, recordHeader)); err == nil {
		t.Error("zeros are taken for a record")
	}
}
