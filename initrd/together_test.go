package initrd

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// Two that run at once make one rollback between them.
func TestTwoAtOnce(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @blank", "dir @roots 0700 0:0", "file @/old 0644 0:0 old")
	for round := 1; round <= 10; round++ {
		first := b.host("")
		second := *first
		var together sync.WaitGroup
		errs := make([]error, 2)
		for i, h := range []*Host{first, &second} {
			together.Go(func() { errs[i] = h.Rollback(b.cfg) })
		}
		together.Wait()
		for _, err := range errs {
			if err != nil && !errors.Is(err, ErrRefused) {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		archived, err := filepath.Glob(b.Path("@roots/[0-9]*"))
		if err != nil || len(archived) != round {
			t.Fatalf("round %d: %d archived roots, errors %v", round, len(archived), errs)
		}
		b.wantGone("@roots/.next")
		b.wantGone("@/old")
	}
	b.wantFile("@roots/000001/root/old", "old")
}

// A btrfs of two devices, named by either of them.
func TestRollbackOfTwoDevices(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{Devices: 2})
	testenv.Tree(t, f.Dir, "subvolume @", "subvolume @blank", "file @/junk 0644 0:0 junk")
	b := &bench{Fixture: f, t: t, cfg: newBench(t, "").cfg}
	for n, device := range f.Devices {
		b.cfg.Root.Device = device
		if record := b.rollback(""); record.Sequence != uint64(n+1) {
			t.Errorf("%s: number %d", device, record.Sequence)
		}
	}
	b.wantGone("@/junk")
	b.wantFile("@roots/000001/root/junk", "junk")
}

// The old root can be seen for adoption, read-only, and nobody else sees it.
func TestOldRoot(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @blank", "file @/data 0644 0:0 old")
	h := b.host("")
	if openOldRoots(&RollbackRecord{Fresh: true}, &b.cfg.Root, "/", -1) != nil {
		t.Error("there is an old root before the rollback")
	}
	if err := h.Rollback(b.cfg); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	record, _, err := h.rollbackRecord()
	if err != nil {
		t.Fatal(err)
	}
	old, err := openOldRoots(record, &b.cfg.Root, "/", -1)()
	if err != nil || len(old) != 1 || old[0].Number != 1 || old[0].Mount != "" {
		t.Fatal(old, err)
	}
	fd := old[0].Fd
	defer unix.Close(fd)
	if data, err := sys.ReadFile(fd, "data", 100); err != nil || string(data) != "old" {
		t.Errorf("got %q, %v", data, err)
	}
	if _, err := sys.CreateComponent(fd, "new", unix.O_WRONLY, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing to the old root: %v", err)
	}
	after, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || string(after) != string(before) {
		t.Errorf("the old root is in the mount table: %v", err)
	}
}
