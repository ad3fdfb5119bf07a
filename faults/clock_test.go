package faults

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/mounts"
)

// The clocks of boots one after the other: numbers and names do not depend on
// them, and nothing gets lost.
func TestClocks(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	d.members = []member{fromBlank}
	m := newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, d.Device()))
	s := scenario{specs: append([]string{"subvolume @"}, blankTree...)}
	s.prepare(t, m)
	leave := inNamespace(t)
	defer leave()
	for n, clock := range []string{
		"2026-11-23T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2106-02-07T06:28:16Z", "2106-02-07T06:28:15Z",
		"2026-11-22T23:59:59Z", "2300-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2026-11-23T00:00:00Z",
	} {
		at, err := time.Parse(time.RFC3339, clock)
		require(t, err)
		command := m.ebb("rollback")
		command.Clock = func(id uint64) (unix.Timespec, bool) { return unix.Timespec{Sec: at.Unix()}, id == unix.CLOCK_REALTIME }
		result := trace(t, command, func(*tracer.Call) tracer.Fault { return tracer.Fault{} })
		m.wantFresh(t, result, clock)
		record := m.record(t).Rollback
		if record.Sequence != uint64(n+1) || !record.Started.Equal(at) {
			t.Errorf("%s: number %d, started %s", clock, record.Sequence, record.Started)
		}
		info, err := archive.ReadInfo(m.Open("@roots", archive.DirectoryName(uint64(n+1))))
		require(t, err)
		if !info.Archived.Equal(at) || info.Sequence != uint64(n+1) {
			t.Errorf("%s: meta.json tells of %s, number %d", clock, info.Archived, info.Sequence)
		}
		m.whole(t, true)
		m.write(t)
		m.boot()
	}
}

// What takes longer to be adopted than a boot should wait is left to a person: the
// entry begins empty, the record says where its data is, and that is still there. The
// program is told that each look at the clock is so much later than the one before.
func TestAdoptionTakesTooLong(t *testing.T) {
	t.Parallel()
	m := newMounting(t)
	for step, isAdopted := range map[time.Duration]bool{time.Microsecond: true, 10 * time.Second: false} {
		t.Run(step.String(), func(t *testing.T) {
			defer inNamespace(t)()
			command := m.prepare(t)
			now := time.Hour
			command.Clock = func(id uint64) (unix.Timespec, bool) {
				now += step
				return unix.NsecToTimespec(int64(now)), id == unix.CLOCK_MONOTONIC
			}
			result := trace(t, command, func(*tracer.Call) tracer.Fault { return tracer.Fault{} })
			if result.Status != 0 {
				t.Errorf("status %d: %s", result.Status, result.Output)
			}
			for _, e := range m.record(t).Mount.Entries {
				if e.Path != "/var/adopted" {
					continue
				}
				if e.State != mounts.InPlace || (e.Adopted != nil) != isAdopted || (e.Left == 1) == isAdopted {
					t.Errorf("adopted %v, archived root %d has it, %s", e.Adopted, e.Left, e.Adoption)
				}
				if !isAdopted && !strings.Contains(e.Adoption, "more than 30 s") {
					t.Errorf("the reason is %q", e.Adoption)
				}
			}
			_, err := os.Lstat(m.Path("@persist/var/adopted/below/data"))
			if (err == nil) != isAdopted {
				t.Errorf("the data in the store: %v", err)
			}
			if old, err := os.ReadFile(m.Path("@roots/000001/root/var/adopted/below/data")); string(old) != "adopted" {
				t.Errorf("the data in the archive is %q (%v)", old, err)
			}
			m.unmountRoot(t)
		})
	}
}
