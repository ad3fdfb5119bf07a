package roots

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Times of the kind that a clock without a battery shows are not believed.
const (
	earliestYear = 2020
	// A machine that was off longer than this, and whose clock nobody has
	// confirmed, may as well have a clock that jumped.
	longestPause = 366 * 24 * time.Hour
	// stepTolerance is by how much the wall clock may have been set within a
	// boot without being called a jump.
	stepTolerance = 24 * time.Hour
	// backTolerance is the drift that a network time service corrects.
	backTolerance = time.Hour
)

// Clock is what is known about the time of day. Whoever deletes by age has to
// be sure of it; see [Clock.Doubt].
type Clock struct {
	Now time.Time
	// Synchronized: a time service has confirmed the clock (adjtimex(2), no
	// STA_UNSYNC).
	Synchronized bool
	// LastSeen is when a prune last believed the clock; zero: never.
	LastSeen time.Time
	// Stepped is by how much the wall clock is ahead of the clock that
	// nobody can set (CLOCK_BOOTTIME), since the rollback of this boot: zero
	// when nobody has set it.
	Stepped time.Duration
}

// Doubt says why the age of archived roots cannot be told, or returns an empty
// text. Archived is when the newest of them was archived by an earlier boot,
// zero when not known.
func (c Clock) Doubt(archived time.Time) string {
	latest := c.LastSeen
	if latest.IsZero() {
		latest = archived
	}
	switch {
	case c.Now.Year() < earliestYear:
		return format.Sprintf("the clock shows %s", c.Now.Format(time.DateOnly))
	case c.Now.Add(backTolerance).Before(latest):
		return format.Sprintf("the clock shows %s, and has shown %s before", c.Now.Format(time.DateOnly), latest.Format(time.DateOnly))
	case c.Synchronized:
		return ""
	case c.Stepped.Abs() > stepTolerance:
		return format.Sprintf("the clock was set by %s in this boot, and no time service has confirmed it", c.Stepped.Round(time.Hour))
	case !latest.IsZero() && c.Now.Sub(latest) > longestPause:
		return format.Sprintf("the clock has jumped from %s to %s, and no time service has confirmed it",
			latest.Format(time.DateOnly), c.Now.Format(time.DateOnly))
	}
	return ""
}

// ReadClock asks the kernel for the time. Rollback is when the rollback of this
// boot ran, by the wall clock of then, zero when not known. The clock that
// nobody can set counts from the start of the kernel, which is taken for the
// same moment: a machine that waited a day for its passphrase seems to have had
// its clock set, which deletes nothing.
func ReadClock(lastSeen, rollback time.Time) (Clock, error) {
	c := Clock{Now: time.Now().UTC().Round(0), LastSeen: lastSeen}
	var status unix.Timex // modes 0: only ask
	err := sys.Retry(func() (err error) { _, err = unix.Adjtimex(&status); return err })
	switch {
	case err == nil:
		c.Synchronized = status.Status&unix.STA_UNSYNC == 0
	case !errors.Is(err, unix.EPERM): // a system call filter: nothing is confirmed then
		return c, format.Errorf("adjtimex: %w", err)
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return c, format.Errorf("clock_gettime: %w", err)
	}
	if !rollback.IsZero() {
		c.Stepped = c.Now.Sub(rollback) - time.Duration(up.Nano())
	}
	return c, nil
}
