package initrd

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// How many boots in a row one disk goes through.
const (
	manyBoots     = 300
	manyBootsLong = 10_000
)

// A disk that is rolled back thousands of times, each time after something was
// written to its root, from a file system that is not mounted, and with every
// old root kept: each boot has its number, and the last ones take no longer
// than the first ones did. How long is reported, not judged.
func TestManyRollbacks(t *testing.T) {
	count := manyBoots
	if os.Getenv("EBB_LONG") == "1" {
		count = manyBootsLong
	}
	f := testenv.Btrfs(t, testenv.BtrfsOptions{Size: 4 << 30})
	testenv.Tree(t, f.Dir, "subvolume @", "subvolume @blank", "file @blank/etc 0644 0:0 blank")
	cfg, err := config.Parse([]byte(fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, f.Device())))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Fixture: f, t: t, cfg: cfg}
	took := make([]time.Duration, count)
	for i := range count {
		if err := os.WriteFile(b.Path("@/marker"), fmt.Append(nil, i), 0o600); err != nil {
			t.Fatal(err)
		}
		f.Unmount()
		start := time.Now()
		record := b.rollback("")
		took[i] = time.Since(start)
		f.Mount()
		if record.Sequence != uint64(i+1) || len(record.Recovered) > 0 || len(record.Problems) > 0 || b.exists("@/marker") {
			t.Fatalf("rollback %d: %+v", i+1, record)
		}
	}
	for i := range count {
		b.wantFile(fmt.Sprintf("@roots/%s/root/marker", archive.DirectoryName(uint64(i+1))), fmt.Sprint(i))
	}
	tenth := count / 10
	first, last := median(took[:tenth]), median(took[count-tenth:])
	t.Logf("%d rollbacks: the first tenth took %v each, the last one %v, %.2f times as long", count, first, last, float64(last)/float64(first))
}

// median sorts what it is given.
func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}
