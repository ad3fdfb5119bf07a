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
	// Of so many the last tenth may take that many times as long as the first.
	manySlower     = 1.3
	manySlowerLong = 1.15
)

// A disk that is rolled back thousands of times, each time after something was
// written to its root, from a file system that is not mounted, and with every
// old root kept: each boot has its number, and the last ones take no longer
// than the first ones did. That is judged by the processor time, which includes
// what the kernel does for the rollback, and which the other work of a machine
// changes little; of the time on the clock it is only told.
func TestManyRollbacks(t *testing.T) {
	count, most := manyBoots, manySlower
	if testenv.IsLong(t, fmt.Sprintf("%d of %d rollbacks in a row", manyBootsLong-manyBoots, manyBootsLong)) {
		count, most = manyBootsLong, manySlowerLong
	}
	f := testenv.Btrfs(t, testenv.BtrfsOptions{Size: 4 << 30})
	testenv.Tree(t, f.Dir, "subvolume @", "subvolume @blank", "file @blank/etc 0644 0:0 blank")
	cfg, err := config.Parse([]byte(fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, f.Device())))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Fixture: f, t: t, cfg: cfg}
	took, used := make([]time.Duration, count), make([]time.Duration, count)
	for i := range count {
		if err := os.WriteFile(b.Path("@/marker"), fmt.Append(nil, i), 0o600); err != nil {
			t.Fatal(err)
		}
		f.Unmount()
		start, startUsed := time.Now(), processorTime(t)
		record := b.rollback("")
		took[i], used[i] = time.Since(start), processorTime(t)-startUsed
		f.Mount()
		if record.Sequence != uint64(i+1) || len(record.Recovered) > 0 || len(record.Problems) > 0 || b.exists("@/marker") {
			t.Fatalf("rollback %d: %+v", i+1, record)
		}
	}
	for i := range count {
		b.wantFile(fmt.Sprintf("@roots/%s/root/marker", archive.DirectoryName(uint64(i+1))), fmt.Sprint(i))
	}
	t.Logf("the last tenth of %d rollbacks took %.2f times as long as the first, and %.2f times as much of the processor", count, slowdown(took), slowdown(used))
	if ratio := slowdown(used); ratio > most {
		t.Errorf("that is more than %.2f times as much of the processor", most)
	}
}

// slowdown is how many times as long the last tenth of a list took as the first.
func slowdown(list []time.Duration) float64 {
	tenth := len(list) / 10
	return float64(lowerQuartile(list[len(list)-tenth:])) / float64(lowerQuartile(list[:tenth]))
}

// A rollback whose time grows is seen, one that is disturbed now and then is not.
func TestSlowdown(t *testing.T) {
	for name, test := range map[string]struct {
		took func(i int) time.Duration
		slow bool
	}{
		"always the same":        {func(int) time.Duration { return 5000 }, false},
		"half of them disturbed": {func(i int) time.Duration { return time.Duration(5000 + i%2*10*i) }, false},
		"a little more each":     {func(i int) time.Duration { return time.Duration(5000 + 10*i) }, true},
	} {
		list := make([]time.Duration, manyBoots)
		for i := range list {
			list[i] = test.took(i)
		}
		if ratio := slowdown(list); (ratio > manySlower) != test.slow {
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
