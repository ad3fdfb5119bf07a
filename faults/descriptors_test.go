package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
)

// TestCloseOnExec looks at every descriptor that a rollback and a mount have
// open, at each of their calls: nothing but the standard files would be left to
// a program that they started.
func TestCloseOnExec(t *testing.T) {
	t.Parallel()
	m := newMounting(t)
	defer inNamespace(t)()
	m.prepare(t)
	m.unmountRoot(t)
	m.boot()
	seen := 0
	look := func(*tracer.Call) tracer.Fault {
		seen += wantCloseOnExec(t, inherited(t))
		return tracer.Fault{}
	}
	if r := trace(t, m.ebb("rollback"), look); r.Status != 0 {
		t.Fatalf("rollback: %s", r.Output)
	}
	m.mountRoot(t)
	if r := trace(t, m.ebb("mount"), look); r.Status != 0 {
		t.Fatalf("mount: %s", r.Output)
	}
	if t.Logf("%d descriptors", seen); seen < 1000 {
		t.Errorf("only %d descriptors were seen", seen)
	}
}

// inherited are the descriptors that this process leaves open for programs, as
// the shell that started it has left them.
func inherited(t *testing.T) map[string]bool {
	t.Helper()
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	require(t, err)
	open := map[string]bool{"0": true, "1": true, "2": true}
	for _, path := range infos {
		if flags, err := descriptorFlags(path); err == nil && flags&unix.O_CLOEXEC == 0 {
			open[filepath.Base(path)] = true
		}
	}
	return open
}

func descriptorFlags(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "flags:\t")
	digits, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseUint(digits, 8, 64)
}

// wantCloseOnExec looks at the child of this thread, which is stopped.
func wantCloseOnExec(t *testing.T, inherited map[string]bool) (seen int) {
	t.Helper()
	child, err := os.ReadFile("/proc/thread-self/children")
	require(t, err)
	infos, err := filepath.Glob(fmt.Sprintf("/proc/%s/fdinfo/*", strings.TrimSpace(string(child))))
	require(t, err)
	for _, path := range infos {
		flags, err := descriptorFlags(path)
		if err != nil || inherited[filepath.Base(path)] {
			continue // another thread has closed it; or it is none of ebb's
		}
		if seen++; flags&unix.O_CLOEXEC == 0 {
			name, _ := os.Readlink(strings.Replace(path, "fdinfo", "fd", 1))
			t.Errorf("descriptor %s on %s is left open for programs", filepath.Base(path), name)
		}
	}
	return seen
}

// TestEnvironment runs a mount under variables that mean something to libraries
// and shells: it does the same as with none.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	m := newMounting(t)
	defer inNamespace(t)()
	c := m.prepare(t)
	c.Environment = []string{
		"PATH=/nonexistent", "HOME=/nonexistent", "TMPDIR=/nonexistent", "LD_PRELOAD=/nonexistent.so", "LD_LIBRARY_PATH=/nonexistent",
		"LANG=tr_TR.UTF-8", "TZ=:/dev/zero", "IFS=/", "NOTIFY_SOCKET=relative", "JOURNAL_STREAM=1:1", "LISTEN_FDS=3", "EBB_LOG=debug",
		"GOGC=off", "GODEBUG=madvdontneed=1", "GOMAXPROCS=1", "ZONEINFO=/dev/zero", "SYSTEMD_LOG_LEVEL=debug",
	}
	if r := run(t, c); r.Status != 0 {
		t.Errorf("mount: status %d\n%s", r.Status, r.Output)
	}
	m.wantAll(t, m.entryMounts(t))
}
