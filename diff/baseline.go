package diff

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// Baseline is the instant after which a change is the user's: the end of
// activation. The zero value is before everything.
type Baseline struct {
	Time       time.Time // of the clock that the kernel takes change times from
	Uptime     float64   // seconds since the boot (CLOCK_BOOTTIME), at that time
	Generation uint64    // on btrfs: the last transaction that was begun
}

// Now is the instant it is, on a file system of that generation.
func Now(generation uint64) (Baseline, error) {
	// Change times are those of the last tick (current_time in fs/inode.c),
	// and so is this clock: nothing that happens from now on has an earlier one.
	// A run that was interrupted between the two clocks would take that for a
	// clock that was set.
	var coarse, clock, boot, after unix.Timespec
	for range 20 {
		for _, read := range []struct {
			id int32
			to *unix.Timespec
		}{{unix.CLOCK_BOOTTIME, &boot}, {unix.CLOCK_REALTIME_COARSE, &coarse}, {unix.CLOCK_REALTIME, &clock}, {unix.CLOCK_BOOTTIME, &after}} {
			if err := unix.ClockGettime(read.id, read.to); err != nil {
				return Baseline{}, format.Errorf("read clock: %w", err)
			}
		}
		if after.Nano()-boot.Nano() < 1e6 {
			break
		}
	}
	return Baseline{
		Time: time.Unix(coarse.Sec, coarse.Nsec).UTC(),
		// A busy virtual machine gets its ticks late.
		Uptime: float64(boot.Nano()-clock.Nano()+coarse.Nano()) / 1e9, Generation: generation,
	}, nil
}

// IsKnown tells whether there is one.
func (b Baseline) IsKnown() bool { return !b.Time.IsZero() }

// since is the change time, in ns, from which on an inode counts as changed. A
// clock that was set back since gives earlier times: what it has given is shown
// rather than missed.
func (b Baseline) since(now Baseline) int64 {
	if !b.IsKnown() {
		return -1 << 63
	}
	back := now.Time.Sub(b.Time).Seconds() - (now.Uptime - b.Uptime)
	if !(back < -slack) || b.Uptime == 0 {
		back = 0
	}
	return b.Time.UnixNano() + int64(back*1e9)
}

// slack is by how much, in seconds, the clocks may differ without one having
// been set: they are slewed alike, but not read at the same instant.
const slack = 0.01
