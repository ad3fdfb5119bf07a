package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// machine boots from a disk: each boot has a run directory of its own, by which
// ebb knows whether it has worked in this boot already.
type machine struct {
	*disk
	binary string
	dir    string // of this test
	boots  int
	config string // path
	spoilt bool   // a case has failed: what it has left is not what the next expects
	// environment of each command, for what is not the same without it.
	environment []string
}

func newMachine(t *testing.T, d *disk, config string) *machine {
	t.Helper()
	binary, err := build()
	require(t, err)
	m := &machine{disk: d, binary: binary, dir: t.TempDir()}
	m.config = filepath.Join(m.dir, "config.json")
	require(t, os.WriteFile(m.config, []byte(config), 0o644))
	require(t, os.Mkdir(m.path("sysroot"), 0o755))
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

// runDir is that of this boot.
func (m *machine) runDir() string { return m.path(fmt.Sprintf("run-%d", m.boots)) }

// boot begins a new boot.
func (m *machine) boot() { m.boots++ }

// ebb is a command of this boot.
func (m *machine) ebb(command string, arguments ...string) *tracer.Command {
	shared := []string{command, "--config", m.config, "--run-dir", m.runDir(), "--root", m.path("sysroot")}
	return &tracer.Command{
		Path: m.binary, Arguments: append(shared, arguments...), Environment: m.environment,
		Names: strings.NewReplacer(m.runDir(), "RUN", m.dir, "TEST", m.Dir, "TOP", m.Device(), "DEVICE"),
	}
}

// mounts is the mount table of this thread.
func (m *machine) mounts(t *testing.T) []string {
	t.Helper()
	return mountTable(t, filepath.Dir(m.dir))
}

// record is what this boot has recorded, nil when there is nothing.
func (m *machine) record(t *testing.T) *initrd.Record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(m.runDir(), initrd.RecordName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	require(t, err)
	var record initrd.Record
	if err := json.Unmarshal(data, &record); err != nil {
		t.Errorf("the record is damaged: %v\n%s", err, data)
	}
	return &record
}

func (m *machine) isReady() bool {
	_, err := os.Stat(filepath.Join(m.runDir(), initrd.ReadyName))
	return err == nil
}

// rollback runs a rollback that nothing is in the way of.
func (m *machine) rollback(t *testing.T) *tracer.Result {
	t.Helper()
	return run(t, m.ebb("rollback"))
}

// run runs a command to its end.
func run(t *testing.T, c *tracer.Command) *tracer.Result {
	t.Helper()
	return start(t, c).wait(t)
}

// judgeRollback looks at a rollback that has met a fault, and at the boots
// after it.
func (m *machine) judgeRollback(t *testing.T, o *outcome, before []string) {
	t.Helper()
	t.Cleanup(func() { m.spoilt = m.spoilt || t.Failed() })
	m.wantMounts(t, before)
	m.whole(t, false)
	m.judgeRecord(t, o)
	// The machine runs, on whatever root it has, and boots again.
	m.write(t)
	left := m.left(t)
	m.boot()
	recovering := m.rollback(t)
	m.wantFresh(t, recovering, "the next boot")
	m.wantRecovered(t, left)
	m.whole(t, true)
	if !o.isThorough() {
		return
	}
	// A second run in one boot does nothing.
	live := m.uuidOf(t, m.members[0].live)
	again := m.rollback(t)
	if again.Status != 0 || !strings.Contains(again.Output, "nothing to do") || live != m.uuidOf(t, m.members[0].live) {
		t.Errorf("a second run in one boot: %d\n%s", again.Status, again.Output)
	}
	m.write(t)
	m.boot()
	last := m.rollback(t)
	m.wantFresh(t, last, "the boot after that")
	m.whole(t, true)
	if r := m.record(t); r != nil && r.Rollback != nil && len(r.Rollback.Recovered) > 0 {
		t.Errorf("the boot after that finds more to recover: %q", r.Rollback.Recovered)
	}
	m.wantMounts(t, before)
}

// left is what the next boot has to say that it does about a rollback which was
// begun and not ended, "" when there is none. An old root that is in the staging
// directory is archived; fresh ones alone never came to their exchange.
func (m *machine) left(t *testing.T) string {
	t.Helper()
	names, err := os.ReadDir(m.Path("@roots", archive.Next))
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	require(t, err)
	text := `removing the empty "@roots/.next"`
	for _, n := range names {
		switch {
		case !n.IsDir():
		case m.isWritten(m.uuidOf(t, "@roots/.next/"+n.Name())):
			return `archiving: renaming "@roots/.next" to `
		default:
			text = `putting an unfinished rollback aside: moving "@roots/.next" to `
		}
	}
	return text
}

// wantRecovered demands that the record of this boot tells what it did about
// the rollback of an earlier one.
func (m *machine) wantRecovered(t *testing.T, left string) {
	t.Helper()
	record := m.record(t)
	if left == "" || record == nil || record.Rollback == nil {
		return
	}
	told := slices.ContainsFunc(record.Rollback.Recovered, func(text string) bool { return strings.HasPrefix(text, left) })
	if !told {
		t.Errorf("the record tells of %q as recovered, not of %s", record.Rollback.Recovered, left)
	}
}

// wantFresh demands a root that is fresh and recorded so.
func (m *machine) wantFresh(t *testing.T, r *tracer.Result, which string) {
	t.Helper()
	if r.Status != 0 {
		t.Errorf("%s: status %d\n%s", which, r.Status, r.Output)
		return
	}
	record := m.record(t)
	if record == nil || record.Rollback == nil {
		t.Errorf("%s leaves no record", which)
		return
	}
	if record.Rollback.State != initrd.StateDone || !record.Rollback.Fresh || !m.isReady() || len(record.Rollback.Problems) > 0 {
		t.Errorf("%s: ready %v, record %+v", which, m.isReady(), record.Rollback)
	}
	m.wantLiveFresh(t, record, which)
}

func (m *machine) wantLiveFresh(t *testing.T, record *initrd.Record, which string) {
	t.Helper()
	for _, member := range m.members {
		uuid := m.uuidOf(t, member.live)
		made, told := record.Rollback.Subvolume(member.name)
		if member.name != "root" && !told && len(record.Rollback.Problems) > 0 {
			continue // the others are not worth to do without a fresh root, as long as it is told
		}
		if !told || made.UUID != uuid || m.isWritten(uuid) {
			t.Errorf("%s: %s is %s, the record tells of %+v", which, member.live, uuid, made)
		}
	}
}

// judgeRecord demands that the exit status, the record and what was printed
// agree with the disk and with each other.
func (m *machine) judgeRecord(t *testing.T, o *outcome) {
	t.Helper()
	record := m.record(t)
	switch {
	case o.fault == nil || o.Status == 0 || o.fault.Errno == unix.EINTR && !o.fault.isKill():
		m.succeeded(t, o, record)
	case o.fault.isKill():
		// A kill leaves the record of before, or the whole one of after.
	default:
		m.failed(t, o, record)
	}
}

// succeeded: a rollback that ends with 0 has made the root fresh and said so,
// whatever it has met on the way.
func (m *machine) succeeded(t *testing.T, o *outcome, record *initrd.Record) {
	t.Helper()
	if o.Status != 0 || record == nil || record.Rollback == nil {
		t.Errorf("status %d, record %v\n%s", o.Status, record, o.Output)
		return
	}
	r := record.Rollback
	for _, p := range r.Problems {
		m.unsealed = m.unsealed || strings.Contains(p.Text, "read-only")
	}
	if r.State != initrd.StateDone || !r.Fresh || !m.isReady() || len(r.Subvolumes) != len(m.members) {
		t.Errorf("ready %v, record %+v", m.isReady(), r)
	}
	m.wantLiveFresh(t, record, "the run")
}

// failed: it says why, on its standard error and in the record. Where the
// record itself cannot be written, the first is all there can be.
func (m *machine) failed(t *testing.T, o *outcome, record *initrd.Record) {
	t.Helper()
	cause := o.fault.Errno.Error()
	if !strings.Contains(o.Output, cause) {
		t.Errorf("status %d and not a word of %q:\n%s", o.Status, cause, o.Output)
	}
	if m.isReady() && m.isWritten(m.uuidOf(t, m.members[0].live)) {
		t.Error("the old root is said to be ready")
	}
	if record == nil || record.Rollback == nil {
		if !strings.Contains(o.call.Text, "RUN") && !strings.Contains(o.Output, "read boot id") && !strings.Contains(o.Output, "uname") &&
			!strings.Contains(o.Output, "kernel command line") {
			t.Error("there is no record of it")
		}
		return
	}
	r := record.Rollback
	if r.State == initrd.StateDone {
		// The root is fresh, another subvolume is not: that is told as a problem.
		stale := len(r.Subvolumes) < len(m.members) && len(r.Problems) > 0 && r.Fresh && m.isReady()
		if !stale && !strings.Contains(o.call.Text, "RUN") {
			t.Errorf("status %d, and the record says %+v", o.Status, r)
		}
		m.wantLiveFresh(t, record, "the run")
		return
	}
	if !strings.Contains(r.Reason, cause) {
		t.Errorf("the record gives as the reason %q, not %q", r.Reason, cause)
	}
	if r.Hint == "" && o.fault.Errno != unix.EBUSY && o.fault.Errno != unix.ENOMEM && o.fault.Errno != unix.EPERM {
		t.Errorf("no hint for %q", r.Reason)
	}
	if r.Fresh {
		t.Errorf("after a failure the root is called fresh: %+v", r)
	}
}

// scenario is a disk that a rollback starts from.
type scenario struct {
	name    string
	members []member
	specs   []string // made anew for each case
	config  string   // of the root
	boots   int      // ordinary boots before
	goOn    bool     // the boots of the case before are as good
	// cutAt: the boot before was killed at this call, "" for none.
	cutAt string
	// left is what it has left, see [machine.left].
	left string
	// copyOf: an archived root that this boot is to have a copy of, 0 for none.
	copyOf uint64
}

var (
	fromBlank = member{"root", "@", []string{"etc", "from-blank"}}
	empty     = member{"root", "@", nil}
	blankTree = []string{"subvolume @blank", "dir @blank/etc", "file @blank/from-blank 0644 0:0 blank"}
)

func rollbackScenarios() []scenario {
	home := member{"home", "@home", nil}
	also := `, "also": [{"name": "home", "subvolume": "@home"}]`
	root := append([]string{"subvolume @"}, blankTree...)
	// The first root that was archived, as a copy of it shows: with what was
	// written there, and a plain directory for the subvolume within.
	ofFirst := member{"root", "@", []string{"etc", "note", "srv"}}
	list := []scenario{
		{name: "first", members: []member{fromBlank}, specs: root},
		{name: "usual", members: []member{fromBlank}, specs: root, boots: 2, goOn: true},
		{name: "together", members: []member{empty, home}, specs: []string{"subvolume @", "subvolume @home 0711 7:8"}, config: also, boots: 1, goOn: true},
		{name: "no-root", members: []member{fromBlank}, specs: blankTree, boots: 0},
		{name: "copy", members: []member{ofFirst}, specs: root, boots: 2, copyOf: 1},
	}
	// Faults in a recovery: of each thing that a rollback can leave behind.
	for _, cut := range []struct{ name, at string }{
		{"staged", `ioctl(<`}, {"described", `".meta.json.ebb-new", <`}, {"exchanged", `"@", 0x2)`}, {"archived", `".next", <`},
	} {
		list = append(list, scenario{
			name: "after-" + cut.name, members: []member{empty, home}, config: also, boots: 1, cutAt: cut.at,
			specs: []string{"subvolume @", "subvolume @home"},
		})
	}
	return list
}

// TestRollback sweeps over every call of a rollback.
func TestRollback(t *testing.T) {
	for _, s := range rollbackScenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			d := newDisk(t)
			d.members = s.members
			m := newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q %s}}`, d.Device(), s.config))
			var before []string
			sweep := sweeper{
				command: func(t *testing.T) *tracer.Command {
					s.prepare(t, m)
					s.wish(t, m)
					before = m.mounts(t)
					return m.ebb("rollback")
				},
				judge: func(t *testing.T, o *outcome) {
					s.judge(t, m, o)
					m.judgeRollback(t, o, before)
				},
				sample: s.name != "usual",
			}
			sweep.run(t)
		})
	}
}

// wish has the kernel command line ask for a copy of an archived root.
func (s *scenario) wish(t *testing.T, m *machine) {
	t.Helper()
	if s.copyOf == 0 {
		return
	}
	require(t, os.WriteFile(m.path("cmdline"), fmt.Appendf(nil, "quiet ebb.rollback=%d\n", s.copyOf), 0o644))
	require(t, unix.Mount(m.path("cmdline"), "/proc/cmdline", "", unix.MS_BIND, ""))
}

// judge looks at what the record says of the scenario, where the run has ended
// well: the rollback that was cut before, and the root that was copied.
func (s *scenario) judge(t *testing.T, m *machine, o *outcome) {
	t.Helper()
	record := m.record(t)
	if o.Killed || o.Status != 0 || record == nil || record.Rollback == nil {
		return
	}
	left := s.left
	if o.fault != nil && strings.Contains(o.call.Text, archive.Meta) && len(record.Rollback.Recovered) > 0 {
		left = "" // fresh roots of which it cannot read the story are archived
	}
	m.wantRecovered(t, left)
	if record.Rollback.CopyOf != s.copyOf {
		t.Errorf("the record tells of a copy of %d, not of %d", record.Rollback.CopyOf, s.copyOf)
	}
}

// prepare makes the disk of the scenario. Where ordinary boots come before, the
// boots of the case before this one do as well, for a while, as long as they
// have left nothing else.
func (s *scenario) prepare(t *testing.T, m *machine) {
	t.Helper()
	if s.goOn && !m.spoilt && !m.unsealed && len(m.written) > s.boots && len(m.written) < 30 && !m.exists("@roots/.trash") {
		m.write(t)
		m.boot()
		return
	}
	m.spoilt = false
	m.clear(t)
	testenv.Tree(t, m.Dir, s.specs...)
	m.write(t)
	for range s.boots {
		m.boot()
		m.wantFresh(t, m.rollback(t), "a boot before")
		m.write(t)
	}
	m.boot()
	if s.cutAt == "" {
		return
	}
	defer func() { s.left = m.left(t) }()
	cut := false
	trace(t, m.ebb("rollback"), func(c *tracer.Call) tracer.Fault {
		if cut || !strings.Contains(c.Text, s.cutAt) || c.Name != "renameat2" && c.Name != "ioctl" {
			return tracer.Fault{}
		}
		cut = true
		return tracer.Fault{Action: tracer.KillAfter}
	})
	if !cut {
		t.Fatalf("no call with %q to kill it at", s.cutAt)
	}
	m.write(t)
	m.boot()
}
