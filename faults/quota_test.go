package faults

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// Quotas that are used up. Without room for the archive the rollback fails, and
// the old root stays where it is. A root that has filled its own is replaced all
// the same; that it could not be made read-only is told, and made up for once it
// can be.
func TestQuotaExceeded(t *testing.T) {
	t.Parallel()
	d := &disk{Fixture: testenv.Btrfs(t, testenv.BtrfsOptions{})}
	m := troubled(t, d, "")
	d.tool(t, "quota", "enable", d.Dir)
	d.tool(t, "quota", "rescan", "-w", d.Dir)
	d.limit(t, topID, "1")
	m.boot()
	m.wantFailed(t, m.rollback(t), "quota exceeded", "ebb prune")
	m.whole(t, true)
	d.limit(t, topID, "none")
	m.boot()
	m.wantFresh(t, m.rollback(t), "a rollback without the limit")
	m.whole(t, true)

	m.write(t)
	info, err := btrfs.Info(d.Open("@"))
	require(t, err)
	d.limit(t, info.ID, "1")
	m.boot()
	r := m.rollback(t)
	m.succeeded(t, &outcome{Result: r}, m.record(t))
	if !m.unsealed || !strings.Contains(r.Output, "quota exceeded") {
		t.Errorf("a root without room for a flag: %s", r.Output)
	}
	m.whole(t, true)
	d.limit(t, info.ID, "none")
	m.boot()
	m.unsealed = false
	m.wantFresh(t, m.rollback(t), "the boot after it")
	m.whole(t, true)
}

// topID is the number of the top-level subvolume (BTRFS_FS_TREE_OBJECTID).
const topID = 5

// limit sets how many bytes a subvolume may hold. It does so by way of another
// one: whatever starts a transaction for a subvolume without room fails.
func (d *disk) limit(t *testing.T, id uint64, bytes string) {
	t.Helper()
	d.tool(t, "qgroup", "limit", bytes, fmt.Sprintf("0/%d", id), d.Path("@blank"))
	require(t, btrfs.Sync(d.top))
}

// tool runs a command of btrfs-progs.
func (d *disk) tool(t *testing.T, arguments ...string) {
	t.Helper()
	if out, err := exec.Command("btrfs", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("btrfs %q: %v\n%s", arguments, err, out)
	}
}
