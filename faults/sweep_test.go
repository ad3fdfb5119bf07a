package faults

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// fault is what happens to a call, with its name in the name of the case.
type fault struct {
	name string
	tracer.Fault
}

// isKill reports whether the program has no chance to say anything.
func (f *fault) isKill() bool {
	return f.Action == tracer.KillBefore || f.Action == tracer.KillAfter
}

var kills = []fault{
	{"kill-before", tracer.Fault{Action: tracer.KillBefore}},
	{"kill-after", tracer.Fault{Action: tracer.KillAfter}},
}

// errors are those that a disk, a full memory, a quota or a signal can bring
// about at nearly any call.
var errnos = []fault{
	failWith("EIO", unix.EIO), failWith("ENOSPC", unix.ENOSPC), failWith("EROFS", unix.EROFS), failWith("ENOMEM", unix.ENOMEM),
	failWith("EINTR", unix.EINTR), failWith("EDQUOT", unix.EDQUOT), failWith("EBUSY", unix.EBUSY), failWith("EPERM", unix.EPERM),
}

func failWith(name string, errno unix.Errno) fault {
	return fault{name, tracer.Fault{Action: tracer.Fail, Errno: errno}}
}

// late is an error that is told although the thing was done: a commit that
// failed behind a snapshot that is there.
var late = fault{"EIO-late", tracer.Fault{Action: tracer.FailLate, Errno: unix.EIO}}

// canBeLate are the calls that wait for a disk after they have done something.
var canBeLate = []string{"ioctl", "fsync", "syncfs", "write", "renameat2", "mkdirat", "unlinkat", "move_mount"}

// faultsFor are the faults of a call. In short, a call that changes something
// is killed before and after, is interrupted, and fails with one or two of the
// errors, others at each call; one that only looks is killed before it, which
// is the same as after the one before, and fails with one of them. Eight seeds
// in a row have every call fail with every error.
func (s *sweeper) faultsFor(c *tracer.Call, turn int) (chosen []fault) {
	for i, e := range errnos {
		isNext := (i+turn+turn/len(errnos)+seed())%len(errnos) == 0
		if isLong() || isNext || c.Changes && e.Errno == unix.EINTR {
			chosen = append(chosen, e)
		}
	}
	if slices.Contains(canBeLate, c.Name) && (isLong() || !s.sample) {
		chosen = append(chosen, late)
	}
	if isLong() || c.Changes {
		return append(chosen, kills...)
	}
	return append(chosen, kills[0])
}

// isChosen reports whether a call is tried at all: in short, of a sweep that
// is much like another, the calls that change something and some that look, and
// of one that takes long for each, few of both.
func (s *sweeper) isChosen(c *tracer.Call, turn int) bool {
	switch {
	case isLong() || !s.sample:
		return true
	case s.few:
		return (turn+seed())%8 == 0 || s.always != nil && s.always(c)
	}
	return c.Changes || (turn+seed())%8 == 0
}

// turns numbers calls, for what comes by turns. Reads of the mount table share
// the number of the one before: how many there are is another in each run.
func turns(calls []tracer.Call) []int {
	numbers, n := make([]int, len(calls)), 0
	for i := range calls {
		if !isOfTable(&calls[i]) {
			n++
		}
		numbers[i] = n
	}
	return numbers
}

// outcome is what a run with a fault has come to.
type outcome struct {
	*tracer.Result
	fault *fault
	call  *tracer.Call // that the fault has met
	turn  int          // of the call
}

// isThorough reports whether the boots after the next one are tried, too, in
// short after every fourth kill and every fourth error. That the next one has
// left nothing to be done is seen on the disk every time.
func (o *outcome) isThorough() bool {
	return isLong() || o.fault == nil || (o.turn+seed()/len(errnos))%4 == 0
}

// sweeper goes through all calls of a command.
type sweeper struct {
	// command makes the world as it is before the run, and says what to run.
	command func(t *testing.T) *tracer.Command
	// judge looks at what came of it. A nil fault: nothing was in the way.
	judge func(t *testing.T, o *outcome)
	// sample: in short, not every call; few: one of eight, by turns, and those
	// that always reports, unless it is nil.
	sample, few bool
	always      func(c *tracer.Call) bool
}

// run tries every call with every fault, each in a case of its own.
func (s *sweeper) run(t *testing.T) {
	calls, status := s.without(t)
	if t.Failed() {
		return
	}
	testenv.IsLong(t, "most of the errors at each call, and where sweeps are much alike seven of eight calls that change nothing")
	sites, turns := make([]site, len(calls)), turns(calls)
	for i := range calls {
		site := &sites[i]
		if site.call, site.chosen = &calls[i], s.isChosen(&calls[i], turns[i]); !site.chosen {
			continue
		}
		t.Run(fmt.Sprintf("%03d-%s", i+1, calls[i].Name), func(t *testing.T) {
			for _, f := range s.faultsFor(site.call, turns[i]) {
				t.Run(f.name, func(t *testing.T) { site.count(&f, s.try(t, site.call, occurrence(calls[:i+1]), turns[i], &f)) })
			}
		})
	}
	t.Run("all-interrupted", func(t *testing.T) { s.interrupted(t, status) })
	s.report(t, sites)
}

// interrupted has a signal interrupt every call once, whether it is one of those
// that are tried one by one or not: each is made again, and nothing is different
// (signal(7), "Interruption of system calls and library functions").
func (s *sweeper) interrupted(t *testing.T, status int) {
	defer inNamespace(t)()
	var last *tracer.Call
	count, again := 0, map[string]bool{}
	result := trace(t, s.command(t), func(c *tracer.Call) tracer.Fault {
		name := varying.ReplaceAllString(c.Text, "")
		if again[name] = !again[name]; !again[name] {
			return tracer.Fault{}
		}
		last, count = c, count+1
		return tracer.Fault{Action: tracer.Fail, Errno: unix.EINTR}
	})
	if result.Status != status {
		t.Fatalf("status %d, without interruptions %d; the last is %s, output:\n%s", result.Status, status, last.Text, result.Output)
	}
	s.judge(t, &outcome{Result: result})
	t.Logf("%d calls were interrupted", count)
}

// without lists the calls of two runs that nothing is in the way of, and tells
// the exit status: they have to be the same, or a case could not be tried again.
func (s *sweeper) without(t *testing.T) (calls []tracer.Call, status int) {
	var lists [2][]tracer.Call
	for i := range lists {
		leave := inNamespace(t)
		result := trace(t, s.command(t), func(*tracer.Call) tracer.Fault { return tracer.Fault{} })
		s.judge(t, &outcome{Result: result})
		status = result.Status
		lists[i] = slices.DeleteFunc(result.Calls, isOfOthers)
		leave()
	}
	if a, b := withoutReads(lists[0]), withoutReads(lists[1]); !slices.EqualFunc(a, b, isSameCall) {
		t.Errorf("two runs make different calls:\n%s", differ(a, b))
	}
	return lists[0], status
}

// ofOthers are the files that tell of other processes, of which there are some
// here and others there, and the list of processes. What a process asks of
// itself is shown below /proc/self.
var ofOthers = regexp.MustCompile(`/proc(/\d|>)`)

func isOfOthers(c tracer.Call) bool { return ofOthers.MatchString(c.Text) }

// isOfTable: a read of the mount table, which is longer while other tests run.
func isOfTable(c *tracer.Call) bool {
	return c.Name == "read" && strings.Contains(c.Text, "/proc/self/mountinfo")
}

// withoutReads leaves out the reads of the mount table, see try.
func withoutReads(calls []tracer.Call) []tracer.Call {
	return slices.DeleteFunc(slices.Clone(calls), func(c tracer.Call) bool { return isOfTable(&c) })
}

func differ(a, b []tracer.Call) string {
	for i := range min(len(a), len(b)) {
		if !isSameCall(a[i], b[i]) {
			return fmt.Sprintf("%03d %s\n    %s", i+1, a[i].Text, b[i].Text)
		}
	}
	return fmt.Sprintf("%d and %d of them", len(a), len(b))
}

// occurrence says how often the last of the calls was made until then.
func occurrence(calls []tracer.Call) (times int) {
	for _, c := range calls {
		if isSameCall(c, calls[len(calls)-1]) {
			times++
		}
	}
	return times
}

// try runs one case, and reports whether there was the call.
//
// A call is found by what it does and how often that was done before. Its
// number varies: the mount table is longer while other tests run.
func (s *sweeper) try(t *testing.T, at *tracer.Call, times, turn int, f *fault) (isMet bool) {
	defer inNamespace(t)()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again: %s=%d go test ./faults -count=1 -run '^%s$'", seedVariable, seed(), strings.ReplaceAll(t.Name(), "/", "$/^"))
		}
	})
	command := s.command(t)
	var hit *tracer.Call
	result := trace(t, command, func(c *tracer.Call) tracer.Fault {
		if hit != nil || !isSameCall(*c, *at) {
			return tracer.Fault{}
		}
		if times--; times > 0 {
			return tracer.Fault{}
		}
		hit = c
		met := f.Fault
		met.Last = true
		return met
	})
	if hit == nil && isOfTable(at) {
		t.Log("NOT RUN: the mount table is shorter this time, other tests have ended")
		return false
	}
	if hit == nil {
		t.Fatalf("there was no call %q", at.Text)
	}
	if result.Killed != f.isKill() {
		t.Fatalf("killed: %v; %s", result.Killed, result.Output)
	}
	s.judge(t, &outcome{Result: result, fault: f, call: hit, turn: turn})
	if t.Failed() {
		t.Logf("%s at %03d %s\nstatus %d, output:\n%s", f.name, hit.Number, hit.Text, result.Status, result.Output)
	}
	return true
}

func trace(t *testing.T, c *tracer.Command, interfere func(*tracer.Call) tracer.Fault) *tracer.Result {
	t.Helper()
	result, err := tracer.Run(c, interfere)
	require(t, err)
	return result
}

// varying are parts of what a call shows that are another in each run.
var varying = regexp.MustCompile(`/proc/[0-9]+/|socket:\[[0-9]+\]|[0-9]{6}`)

func isSameCall(a, b tracer.Call) bool {
	return varying.ReplaceAllString(a.Text, "") == varying.ReplaceAllString(b.Text, "")
}

// site is a call site and how often it was met.
type site struct {
	call                   *tracer.Call
	chosen                 bool
	killed, failed, missed int
}

func (s *site) count(f *fault, isMet bool) {
	switch {
	case !isMet:
		s.missed++
	case f.isKill():
		s.killed++
	default:
		s.failed++
	}
}

// isMet reports whether the call was killed and failed, or was not there.
func (s *site) isMet() bool { return s.killed > 0 && s.failed > 0 || s.missed > 0 }

// isWhole reports whether all cases of a test are run, and not those only that
// somebody looks for: the pattern of -run has a part for each level of names.
func isWhole(t *testing.T) bool {
	t.Helper()
	return strings.Count(flag.Lookup("test.run").Value.String(), "/") <= strings.Count(t.Name(), "/")
}

// report tells the coverage, writes the list of call sites, and demands that
// each that was chosen was killed and failed: all of them, where it is not a
// sample.
func (s *sweeper) report(t *testing.T, sites []site) {
	t.Helper()
	for i := range sites {
		if at := &sites[i]; at.chosen && !at.isMet() && isWhole(t) {
			t.Errorf("%d kills and %d errors at %03d %s", at.killed, at.failed, i+1, at.call.Text)
		}
	}
	writeSites(t, sites)
}

func writeSites(t *testing.T, sites []site) {
	t.Helper()
	var list strings.Builder
	met, killed, failed := 0, 0, 0
	for _, s := range sites {
		fmt.Fprintf(&list, "%03d  %2d kills  %2d errors  %s\n", s.call.Number, s.killed, s.failed, s.call.Text)
		killed, failed = killed+s.killed, failed+s.failed
		if s.killed > 0 && s.failed > 0 {
			met++
		}
	}
	summary := fmt.Sprintf("%s: %d call sites, %d of them killed and failed (%d %%), %d kills, %d errors, %s=%d",
		t.Name(), len(sites), met, met*100/max(len(sites), 1), killed, failed, seedVariable, seed())
	t.Log(summary)
	if dir := os.Getenv("EBB_COVERAGE"); dir != "" {
		require(t, os.MkdirAll(dir, 0o755))
		path := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+".txt")
		require(t, os.WriteFile(path, []byte(summary+"\n"+list.String()), 0o644))
	}
}
