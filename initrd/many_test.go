package initrd

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// How many boots in a row one disk goes through.
const (
	manyBoots     = 300
	manyBootsLong = 10_000
	// Of so many the last tenth may take that many times as long as the first. With
	// few it is 1.1 to 1.35 times, by chance and by what btrfs grows in the beginning;
	// where each old root is opened, with nothing else done, 2.3 to 3.1 times.
	manySlower     = 1.7
	manySlowerLong = 1.15
)

// A disk that is rolled back thousands of times, each time after something was
// written to its root, from a file system that is not mounted, and with every
// old root kept: each boot has its number, and the last ones take no longer
// than the first ones of another disk do, which take turns with them. That is
// judged by the processor time, which includes what the kernel does for the
// rollback; of the time on the clock it is only told.
func TestManyRollbacks(t *testing.T) {
	count, most := manyBoots, manySlower
	if testenv.IsLong(t, fmt.Sprintf("%d of %d rollbacks in a row", manyBootsLong-manyBoots, manyBootsLong)) {
		count, most = manyBootsLong, manySlowerLong
	}
	old, other := newWorn(t, 4<<30), newWorn(t, 1<<30)
	for i := range count {
		old.rollBack(i)
		if i >= count-count/10 {
			other.rollBack(i - (count - count/10))
		}
	}
	for i := range count {
		old.wantFile(fmt.Sprintf("@roots/%s/root/marker", archive.DirectoryName(uint64(i+1))), fmt.Sprint(i))
	}
	took, used := slowdown(old.took, other.took), slowdown(old.used, other.used)
	t.Logf("the last tenth of %d rollbacks took %.2f times as long as the first of another disk, and %.2f times as much of the processor", count, took, used)
	if used > most {
		t.Errorf("that is more than %.2f times as much of the processor", most)
	}
}

// worn is a disk that is rolled back again and again.
type worn struct {
	*bench
	took, used []time.Duration
}

func newWorn(t *testing.T, size int64) *worn {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{Size: size})
	testenv.Tree(t, f.Dir, "subvolume @", "subvolume @blank", "file @blank/etc 0644 0:0 blank")
	cfg, err := config.Parse([]byte(fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, f.Device())))
	if err != nil {
		t.Fatal(err)
	}
	return &worn{bench: &bench{Fixture: f, t: t, cfg: cfg}}
}

func (w *worn) rollBack(i int) {
	w.t.Helper()
	if err := os.WriteFile(w.Path("@/marker"), fmt.Append(nil, i), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.Unmount()
	start, startUsed := time.Now(), processorTime(w.t)
	record := w.rollback("")
	w.took, w.used = append(w.took, time.Since(start)), append(w.used, processorTime(w.t)-startUsed)
	w.Mount()
	if record.Sequence != uint64(i+1) || len(record.Recovered) > 0 || len(record.Problems) > 0 || w.exists("@/marker") {
		w.t.Fatalf("rollback %d: %+v", i+1, record)
	}
}

// slowdown is how many times as long the last ones of a list took as another list,
// as many as that has.
func slowdown(list, other []time.Duration) float64 {
	return float64(lowerQuartile(list[len(list)-len(other):])) / float64(lowerQuartile(other))
}

// A rollback whose time grows is seen, one that is disturbed now and then is not.
func TestSlowdown(t *testing.T) {
	for name, test := range map[string]struct {
		took func(i int) time.Duration
		slow bool
	}{
		"always the same":        {func(int) time.Duration { return 5000 }, false},
		"half of them disturbed": {func(i int) time.Duration { return time.Duration(5000 + i%2*10*i) }, false},
		"a little more each":     {func(i int) time.Duration { return time.Duration(5000 + 20*i) }, true},
	} {
		list := make([]time.Duration, manyBoots)
		for i := range list {
			list[i] = test.took(i)
		}
		if ratio := slowdown(list, list[:manyBoots/10]); (ratio > manySlower) != test.slow {
			t.Errorf("%s: %.2f times as long", name, ratio)
		}
	}
}

// processorTime is what this process has used so far, in the kernel as well.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// lowerQuartile is that of the list: what disturbs a measurement makes it
// longer, so that the lower ones are nearer to the truth than those in the middle.
func lowerQuartile(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/4]
}
