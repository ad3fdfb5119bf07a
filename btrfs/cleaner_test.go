package btrfs_test

import (
	"os"
	"slices"
	"testing"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestWaitCleaned(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume a", "subvolume b", "file a/x 0644 0:0 x")
	held, err := os.Open(f.Path("a/x"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	top := f.Open()
	id := mustInfo(t, int(held.Fd())).ID
	requireNoError(t, btrfs.WaitCleaned(top, []uint64{id})) // not deleted
	requireNoError(t, btrfs.DeleteByID(top, id))
	pending, err := btrfs.Deleted(top)
	if err != nil || !slices.Equal(pending, []uint64{id}) {
		t.Errorf("deleted: %v, %v, want %d", pending, err, id)
	}
	// While somebody has a file in it open it stays.
	requireError(t, btrfs.WaitCleanedAtOnce(top, []uint64{id}), btrfs.ErrNotCleaned)
	held.Close()
	requireNoError(t, btrfs.WaitCleaned(top, []uint64{id}))
	if pending, err := btrfs.Deleted(top); err != nil || len(pending) != 0 {
		t.Errorf("deleted: %v, %v", pending, err)
	}
}
