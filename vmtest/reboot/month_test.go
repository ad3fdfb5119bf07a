package reboot

import (
	"fmt"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// The retention of a machine that is switched on once a day, and for how many
// days it is.
const (
	monthCount, monthDays = 3, 7
	monthBoots            = 12
	monthBootsLong        = 31
)

// A machine that is switched on once a day, for a month, each day with
// something new on its root: after each boot the archive has exactly the roots
// that the retention says. Then it is off for long, and the newest are there
// all the same.
func TestMonthOfBoots(t *testing.T) {
	boots := monthBoots
	if testenv.IsLong(t, fmt.Sprintf("%d of %d daily boots", monthBootsLong-monthBoots, monthBootsLong)) {
		boots = monthBootsLong
	}
	g := newGated(t, fmt.Sprintf(
		`{"kind": "btrfs", "device": %q, "keep": {"count": %d, "days": %d, "min_free_percent": 1}}`, realDevice, monthCount, monthDays))
	for day := 1; day <= boots; day++ {
		g.live(day)
		if day == 2 {
			g.Run("ebb", "roots", "pin", "1", "what the disk came with")
		}
		oldest := max(1, day-monthDays+1) // one that is as many days old goes
		g.wantRoots(day, oldest)
		g.Cut()
	}
	g.live(boots + 100)
	g.wantRoots(boots+1, boots+1-monthCount+1)
	g.judgeMonth(boots)
	g.Cut()
}

// live boots on a day, with the clock and the boot id of that day, writes
// something, and lets the retention do its work.
func (g *gated) live(day int) {
	g.t.Helper()
	// A little later each day, or a slow boot would be less than whole days ago.
	noon := time.Date(2027, 1, 1, 12, 10*day, 0, 0, time.UTC).AddDate(0, 0, day)
	g.runAfter(fmt.Sprintf("date -s @%d; echo %08d-0000-4000-8000-000000000000 > /run/boot-id; mount --bind /run/boot-id /proc/sys/kernel/random/boot_id", noon.Unix(), day))
	g.WaitFor(g.isSafe())
	if r := g.record(); !r.Rollback.Fresh || len(r.Rollback.Recovered) > 0 {
		g.t.Errorf("day %d: the record says of the rollback: %+v", day, r.Rollback)
	}
	// It is for the running system, whose stores have no prefix.
	g.Shell("mkdir -p /persist; mount --bind /sysroot/persist /persist; ebb prune; sync")
}

// wantRoots demands the archived roots from oldest to newest, and the pinned one.
func (g *gated) wantRoots(newest, oldest int) {
	g.t.Helper()
	var numbers []int
	for n := newest; n >= oldest; n-- {
		numbers = append(numbers, n)
	}
	if oldest > 1 {
		numbers = append(numbers, 1)
	}
	g.wantArchive(fmt.Sprint(numbers))
}

// judgeMonth looks into the roots that are left, each of which has the token of
// its day, and into the entry, which has all of them.
func (g *gated) judgeMonth(boots int) {
	g.t.Helper()
	want := "old\n"
	for n := boots + 1 - monthCount + 1; n <= boots+1; n++ {
		want += g.tried[n-2] + "\n" // root 2 is that of the first day
	}
	want += fmt.Sprint(len(g.tried)+1, " in the entry")
	g.want(want, "sh", "-euc", `mkdir -p /run/top; mount -o subvolid=5,ro `+realDevice+` /run/top; cd /run/top
		cat @roots/000001/root/marker @roots/*/root/token; set -- @persist/srv/data/*; echo $# in the entry; cd /; umount /run/top`)
}
