package faults

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// pair runs one command into another: at each call of the first, in turn, the
// second is run until it ends or waits for the first.
type pair struct {
	command func(t *testing.T) (first, second *tracer.Command)
	judge   func(t *testing.T, first, second *tracer.Result)
}

func (p *pair) run(t *testing.T) {
	leave := inNamespace(t)
	first, _ := p.command(t)
	calls := trace(t, first, func(*tracer.Call) tracer.Fault { return tracer.Fault{} }).Calls
	leave()
	tried := 0
	testenv.IsLong(t, "most of the moments at which a second command begins")
	for i := range calls {
		// Where the first changes nothing the moment does not matter much.
		if !isLong() && (!calls[i].Changes || len(calls) > 300 && i%3 != 0) && i%10 != 0 {
			continue
		}
		tried++
		t.Run(fmt.Sprintf("%03d-%s", i+1, calls[i].Name), func(t *testing.T) { p.try(t, calls[i].Number) })
	}
	t.Logf("%s: the second run began at %d of %d calls", t.Name(), tried, len(calls))
}

func (p *pair) try(t *testing.T, at int) {
	defer inNamespace(t)()
	first, second := p.command(t)
	var other *companion
	a := trace(t, first, func(c *tracer.Call) tracer.Fault {
		if c.Number == at {
			other = accompany(t, second)
			other.endOrWait()
			return tracer.Fault{Last: true}
		}
		return tracer.Fault{}
	})
	if other == nil {
		t.Fatalf("there was no call %d", at)
	}
	<-other.ended
	require(t, other.err)
	p.judge(t, a, other.result)
	if t.Failed() {
		t.Logf("first: %d\n%s\nsecond: %d\n%s", a.Status, a.Output, other.result.Status, other.result.Output)
	}
}

// companion is a second command that runs at the same time.
type companion struct {
	ended, waits chan struct{}
	result       *tracer.Result
	err          error
}

// accompany starts a command in the mount namespace of this thread.
func accompany(t *testing.T, c *tracer.Command) *companion {
	t.Helper()
	here, err := unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require(t, err)
	o := &companion{ended: make(chan struct{}), waits: make(chan struct{})}
	go func() {
		defer close(o.ended)
		runtime.LockOSThread() // and never unlocked: the thread ends with this
		defer unix.Close(here)
		if o.err = unix.Unshare(unix.CLONE_FS); o.err != nil {
			return
		}
		if o.err = unix.Setns(here, unix.CLONE_NEWNS); o.err != nil {
			return
		}
		o.result, o.err = tracer.Run(c, o.watch())
	}()
	return o
}

// watch tells from the third attempt at one lock that the other has it.
func (o *companion) watch() func(*tracer.Call) tracer.Fault {
	attempts := map[string]int{}
	return func(c *tracer.Call) tracer.Fault {
		if c.Name == "flock" {
			if attempts[c.Text]++; attempts[c.Text] == 3 {
				close(o.waits)
				return tracer.Fault{Last: true}
			}
		}
		return tracer.Fault{}
	}
}

func (o *companion) endOrWait() {
	select {
	case <-o.ended:
	case <-o.waits:
	}
}

// Two rollbacks make one between them, and the record tells of it.
func TestTwoRollbacks(t *testing.T) {
	t.Parallel()
	s := &scenario{name: "two", members: []member{fromBlank}, specs: append([]string{"subvolume @"}, blankTree...), boots: 1, goOn: true}
	d := newDisk(t)
	d.members = s.members
	m := newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, d.Device()))
	p := pair{
		command: func(t *testing.T) (first, second *tracer.Command) {
			s.prepare(t, m)
			return m.ebb("rollback"), m.ebb("rollback")
		},
		judge: func(t *testing.T, first, second *tracer.Result) {
			t.Cleanup(func() { m.spoilt = t.Failed() })
			for _, r := range []*tracer.Result{first, second} {
				if r.Status != 0 && !strings.Contains(r.Output, "another ebb is at work") {
					t.Errorf("status %d: %s", r.Status, r.Output)
				}
			}
			if first.Status != 0 && second.Status != 0 {
				t.Error("both stood back")
			}
			m.wantFresh(t, &tracer.Result{}, "the two")
			m.whole(t, true)
			archived, err := os.ReadDir(m.Path("@roots"))
			require(t, err)
			if len(archived) != len(m.written) {
				t.Errorf("%d archived roots of %d", len(archived), len(m.written))
			}
		},
	}
	p.run(t)
}

// Two that bring the entries in, or copy back, take turns.
func TestTwoMounts(t *testing.T) {
	t.Parallel()
	m := newMounting(t)
	p := pair{
		command: func(t *testing.T) (first, second *tracer.Command) {
			first = m.prepare(t)
			return first, m.ebb("mount")
		},
		judge: func(t *testing.T, first, second *tracer.Result) {
			if first.Status != 0 || second.Status != 0 {
				t.Error("not both are done")
			}
			m.wantAll(t, m.entryMounts(t))
			m.noTemporary(t)
		},
	}
	p.run(t)
}

func TestTwoSyncs(t *testing.T) {
	t.Parallel()
	m := newMounting(t)
	p := pair{
		command: func(t *testing.T) (first, second *tracer.Command) {
			return m.prepareSync(t), m.ebb("sync")
		},
		judge: func(t *testing.T, first, second *tracer.Result) {
			if first.Status != 0 || second.Status != 0 {
				t.Error("not both are done")
			}
			m.wantSynced(t)
		},
	}
	p.run(t)
}

// prepareSync is a machine that is up, and whose files have changed.
func (m *mounting) prepareSync(t *testing.T) *tracer.Command {
	t.Helper()
	m.prepare(t)
	if r := run(t, m.ebb("mount")); r.Status != 0 {
		t.Fatalf("mount: %s", r.Output)
	}
	for path, text := range syncFiles {
		require(t, os.WriteFile(m.path("sysroot"+path)+".new", []byte(text), 0o604))
		require(t, os.Rename(m.path("sysroot"+path)+".new", m.path("sysroot"+path)))
	}
	return m.ebb("sync")
}

var syncFiles = map[string]string{"/etc/machine-id": "89ab", "/etc/waiting": "come"}

func (m *mounting) wantSynced(t *testing.T) {
	t.Helper()
	for path, text := range syncFiles {
		if got, err := os.ReadFile(m.Path("@persist" + path)); err != nil || string(got) != text {
			t.Errorf("%s in the store holds %q, %v", path, got, err)
		}
	}
	m.noTemporary(t)
}

func (m *mounting) noTemporary(t *testing.T) {
	t.Helper()
	for path := range m.store(t) {
		if isTemporary(path) {
			t.Errorf("%s is left behind", path)
		}
	}
}

// TestSync sweeps over every call of copying back: the copy in the store is the
// old one or the new one.
func TestSync(t *testing.T) {
	t.Parallel()
	m := newMounting(t)
	old := map[string]string{"/etc/machine-id": "0123", "/etc/waiting": ""}
	sweep := sweeper{
		command: m.prepareSync,
		sample:  true,
		judge: func(t *testing.T, o *outcome) {
			changed := 0
			for path, text := range syncFiles {
				got, err := os.ReadFile(m.Path("@persist" + path))
				if string(got) != text && (string(got) != old[path] || err != nil && old[path] != "") {
					t.Errorf("%s in the store holds %q, %v", path, got, err)
				}
				if string(got) == text {
					changed++
				}
			}
			if o.Status == 0 && changed < len(syncFiles) {
				t.Errorf("status 0, and %d of %d files are copied\n%s", changed, len(syncFiles), o.Output)
			}
			if o.Status > 0 && !strings.Contains(o.Output, o.fault.Errno.Error()) {
				t.Errorf("status %d without a word of %q: %s", o.Status, o.fault.Errno.Error(), o.Output)
			}
			if r := run(t, m.ebb("sync")); r.Status != 0 {
				t.Errorf("the next run: %d\n%s", r.Status, r.Output)
			}
			m.wantSynced(t)
		},
	}
	sweep.run(t)
}
