// Package testvm gives tests machines: prepared once, booted, cleaned up after a test that passed, and left with their
// logs after one that failed.
package testvm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/vmtest"
)

// Environment variables.
const (
	// enableEnv must be 1 for machines to be booted at all.
	enableEnv = "EBB_VM"
	// parallelEnv must be 1 for machines to run beside each other.
	parallelEnv = "EBB_VM_PARALLEL"
	// processorsEnv is a directory with a file for each processor. Whoever uses one has locked its file.
	processorsEnv = "EBB_VM_PROCESSORS"
	// logsEnv is the directory for the files of machines. The default is that for temporary files.
	logsEnv = "EBB_VMTEST_LOGS"
)

// prepared is the kit of all tests of this process.
var prepared = sync.OnceValues(func() (*vmtest.Kit, error) {
	return vmtest.Prepare(context.Background(), vmtest.Options{Log: os.Stderr})
})

// Kit prepares what machines are made of. A test where machines are not wanted or not to be had is skipped, or fails
// where they are required.
func Kit(t testing.TB) *vmtest.Kit {
	t.Helper()
	if os.Getenv(enableEnv) != "1" {
		skipUnwanted(t)
	}
	kit, err := prepared()
	if err != nil {
		testenv.Missing(t, testenv.TierVM, err)
	}
	return kit
}

// skipUnwanted ends a test of a run that is not about machines, which is no failure where all that is missing is one.
func skipUnwanted(t testing.TB) {
	t.Helper()
	if testenv.IsNamed(testenv.TierVM) {
		testenv.Missing(t, testenv.TierVM, fmt.Errorf("%s=1 is not set", enableEnv))
	}
	testenv.LeaveOut(t, "a test in a machine (make test-vm)")
	t.SkipNow()
}

// Parallel lets the test run beside others, if machines may run beside each other here. Two with one processor each get
// more done than one with two after the other: the half of a boot waits for something.
func Parallel(t *testing.T) {
	t.Helper()
	if os.Getenv(parallelEnv) != "1" {
		return
	}
	t.Parallel()
	if dir := os.Getenv(processorsEnv); dir != "" {
		takeProcessor(t, dir)
	}
}

// takeProcessor waits until one of the processors is free, and keeps it until the test is over. An emulated machine uses
// little more than one, and is many times slower where it has to share that.
func takeProcessor(t *testing.T, dir string) {
	t.Helper()
	for ; ; time.Sleep(100 * time.Millisecond) {
		paths, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s=%s has no files (%v)", processorsEnv, dir, err)
		}
		for _, path := range paths {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
				t.Cleanup(func() { f.Close() })
				return
			}
			f.Close()
		}
	}
}

// Beside lets a subtest with a machine run beside others of its test, which Parallel leaves to whoever has started the
// run. A test must not be told twice.
func Beside(t *testing.T) {
	t.Helper()
	if os.Getenv(parallelEnv) != "1" {
		t.Parallel()
	}
}

// Machine is a vmtest.Machine whose troubles end the test.
type Machine struct {
	*vmtest.Machine
	t testing.TB
}

// New returns a machine that is off. It is switched off at the end of the test. Its files are removed then if the test
// has passed.
func New(t testing.TB, kit *vmtest.Kit, c vmtest.Config) *Machine {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv(logsEnv), "vmtest-"+strings.ReplaceAll(t.Name(), "/", "-")+"-")
	if err != nil {
		t.Fatal(err)
	}
	m, err := kit.NewMachine(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cleanUp(t, m, dir) })
	return &Machine{Machine: m, t: t}
}

func cleanUp(t testing.TB, m *vmtest.Machine, dir string) {
	if t.Failed() {
		keepJournal(t, m, dir)
	}
	if err := m.PowerCut(); err != nil {
		t.Error(err)
	}
	switchedOn.add(m)
	t.Logf("a machine was switched on %d times", m.Boots())
	if t.Failed() {
		t.Logf("the machine's disks and logs are in %s", dir)
		return
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// keepJournal saves the journal of a machine that a test has failed with, as far as the machine can still give it, and
// shows the warnings in it.
func keepJournal(t testing.TB, m *vmtest.Machine, dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), vmtest.CommandTimeout) // that of the test is over
	defer cancel()
	journal := func(args ...string) string {
		argv := append([]string{"journalctl", "--boot", "--no-pager", "--no-hostname", "--output=short-monotonic"}, args...)
		r, err := m.Run(ctx, argv...)
		if err != nil {
			return err.Error()
		}
		return r.Stdout + r.Stderr
	}
	t.Logf("warnings in the journal:\n%s", journal("--priority=warning"))
	if err := os.WriteFile(filepath.Join(dir, "journal.txt"), []byte(journal()), 0o644); err != nil {
		t.Error(err)
	}
}

// Disk returns a disk image with this layout.
func Disk(t testing.TB, kit *vmtest.Kit, layout vmtest.DiskLayout) string {
	t.Helper()
	disk, err := kit.Disk(t.Context(), layout)
	if err != nil {
		t.Fatal(err)
	}
	return disk
}

// Boot switches the machine on and waits until its system has started as far as it will. It returns systemd's word for
// that: "running", or "degraded".
func (m *Machine) Boot() string {
	m.t.Helper()
	m.check(m.Machine.Boot(m.t.Context()))
	return m.waitSystem()
}

// Reboot is an orderly restart, and then as Boot.
func (m *Machine) Reboot() string {
	m.t.Helper()
	m.check(m.Machine.Reboot(m.t.Context()))
	return m.waitSystem()
}

// BootTo switches the machine on and waits for an event.
func (m *Machine) BootTo(e vmtest.Event) {
	m.t.Helper()
	m.check(m.Machine.Boot(m.t.Context()))
	m.WaitFor(e)
}

// WaitFor waits for an event as long as a boot may take.
func (m *Machine) WaitFor(e vmtest.Event) {
	m.t.Helper()
	m.check(m.Wait(m.t.Context(), e, vmtest.BootTimeout))
}

func (m *Machine) waitSystem() string {
	m.t.Helper()
	m.WaitFor(vmtest.SystemUp())
	return strings.TrimSpace(m.Try("systemctl", "is-system-running", "--wait").Stdout)
}

// Off shuts the machine down in order.
func (m *Machine) Off() {
	m.t.Helper()
	m.check(m.PowerOff(m.t.Context()))
}

// Hibernate writes the machine's memory to its swap space and switches it off.
func (m *Machine) Hibernate() {
	m.t.Helper()
	m.check(m.Machine.Hibernate(m.t.Context()))
}

// Cut cuts the power.
func (m *Machine) Cut() {
	m.t.Helper()
	m.check(m.PowerCut())
}

// Panic lets the kernel panic.
func (m *Machine) Panic() {
	m.t.Helper()
	m.check(m.Machine.Panic(m.t.Context()))
}

// Try runs a command in the machine that may fail.
func (m *Machine) Try(argv ...string) vmtest.Result {
	m.t.Helper()
	r, err := m.Machine.Run(m.t.Context(), argv...)
	m.check(err)
	return r
}

// Run runs a command in the machine that must end well, and returns what it wrote, without the last newline.
func (m *Machine) Run(argv ...string) string {
	m.t.Helper()
	r := m.Try(argv...)
	m.check(r.Err())
	return strings.TrimSuffix(r.Stdout, "\n")
}

// Shell runs a script of sh(1) that must end well, and returns what it wrote.
func (m *Machine) Shell(script string) string {
	m.t.Helper()
	return m.Run("sh", "-euc", script)
}

// Journal is what journalctl tells of this boot with the arguments, once all of that is in it, or after a minute: journald
// may be behind with what it was told, and says so of what it has read only ("journalctl --sync").
func (m *Machine) Journal(arguments []string, want ...string) string {
	m.t.Helper()
	var text string
	for range 60 {
		m.Run("journalctl", "--sync")
		text = m.Run(append([]string{"journalctl", "--boot", "--no-pager"}, arguments...)...)
		if !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(text, w) }) {
			break
		}
		time.Sleep(time.Second)
	}
	return text
}

func (m *Machine) check(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// Saved keeps the machine's state and switches it off.
func (m *Machine) Saved() *vmtest.Saved {
	m.t.Helper()
	s, err := m.Save(m.t.Context())
	m.check(err)
	return s
}

// Restored switches the machine on in a state that was saved.
func (m *Machine) Restored(s *vmtest.Saved) {
	m.t.Helper()
	m.check(m.Restore(m.t.Context(), s))
}

// Requests are those of the first disk since the machine was switched on.
func (m *Machine) Requests() vmtest.Requests {
	m.t.Helper()
	r, err := m.Machine.Requests()
	m.check(err)
	return r
}

// NewDisks throws away all that the machine has written.
func (m *Machine) NewDisks() {
	m.t.Helper()
	m.check(m.ResetDisks())
}

// Typed types on the console.
func (m *Machine) Typed(text string) {
	m.t.Helper()
	m.check(m.Type(text))
}

// patience is the time between two attempts to be heard on the console.
const patience = 5 * time.Second

// TypedUntil types on the console, again and again until the event has come: who asks there may throw away what was
// typed before it listens, as sulogin(8) does between its question and the answer.
func (m *Machine) TypedUntil(text string, e vmtest.Event) {
	m.t.Helper()
	var err error
	for range vmtest.BootTimeout / patience {
		m.Typed(text)
		if err = m.Wait(m.t.Context(), e, patience); !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	m.check(err)
}
