package mounts

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// counts are the numbers of entries that times are compared at.
var counts = []int{100, 1000, 5000}

// manyEntries fills a store with directories, ten in a parent, and returns
// their paths.
func manyEntries(t testing.TB, store string, count int) []config.Entry {
	t.Helper()
	entries := make([]config.Entry, count)
	for i := range entries {
		entries[i] = config.Entry{Path: fmt.Sprintf("/var/lib/service%d/part%d", i/10, i%10), Directory: true, How: config.Bind}
		if err := os.MkdirAll(filepath.Join(store, entries[i].Path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return entries
}

func BenchmarkMount(b *testing.B) {
	for _, count := range counts {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				g := newGround(b)
				g.root.Observe = nil
				g.root.Utab = g.path("run/mount/utab")
				g.entries(manyEntries(b, g.path("persist"), count)...)
				b.StartTimer()
				if report := g.root.Mount(); report.Failed() > 0 || len(report.Notes) > 0 {
					b.Fatalf("%d failed, notes %q", report.Failed(), report.Notes)
				}
				b.StopTimer()
				unix.Unmount(g.dir, unix.MNT_DETACH)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/entry")
		})
	}
}

// BenchmarkFloor makes the least system calls that do the same, without
// looking at anything.
func BenchmarkFloor(b *testing.B) {
	for _, count := range counts {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				g := newGround(b)
				entries := manyEntries(b, g.path("persist"), count)
				for i := 0; i < count; i += 10 {
					g.tree("dir " + filepath.Dir(entries[i].Path)[1:])
				}
				store := testenv.OpenDir(b, g.path("persist"))
				b.StartTimer()
				for i := range entries {
					floor(b, g.root.Fd, store, entries[i].Path[1:])
				}
				b.StopTimer()
				unix.Unmount(g.dir, unix.MNT_DETACH)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/entry")
		})
	}
}

func floor(b *testing.B, root, store int, rel string) {
	if err := unix.Mkdirat(root, rel, 0o755); err != nil {
		b.Fatal(err)
	}
	tree, err := unix.OpenTree(store, rel, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	target, err := unix.Openat(root, rel, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(target, "", &st, unix.AT_EMPTY_PATH); err != nil {
		b.Fatal(err)
	}
	if err := unix.Fchownat(target, "", 0, 0, unix.AT_EMPTY_PATH); err != nil {
		b.Fatal(err)
	}
	if err := unix.MoveMount(tree, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		b.Fatal(err)
	}
	unix.Close(tree)
	unix.Close(target)
}
