package faults

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/faults/tracer"
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
		command.Clock = func() unix.Timespec { return unix.NsecToTimespec(at.UnixNano()) }
		if at.Year() > 2261 {
			command.Clock = func() unix.Timespec { return unix.Timespec{Sec: at.Unix()} }
		}
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
