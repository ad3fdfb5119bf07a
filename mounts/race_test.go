package mounts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// Each race goes on until names were exchanged so often, and an entry was
// brought into place so often, with each of the ends that it can come to: for
// that it may take more runs, but not any number.
const (
	swaps     = 50_000
	swapsLong = 1_000_000 // with EBB_LONG
	runs      = 400
	mostRuns  = 1_000_000
)

// swapper does something to names as fast as it can, until it is stopped.
type swapper struct {
	count  atomic.Int64
	paused sync.RWMutex
}

func (s *swapper) run(ctx context.Context, attack func() (changed int64)) {
	for ctx.Err() == nil {
		s.paused.RLock()
		s.count.Add(attack())
		s.paused.RUnlock()
	}
}

// exchange exchanges two names below dir. One that something is mounted on
// cannot be (EBUSY).
func exchange(dir int, a, b string) func() int64 {
	return func() int64 {
		if unix.Renameat2(dir, a, dir, b, unix.RENAME_EXCHANGE) != nil {
			return 0
		}
		return 1
	}
}

// recreate deletes what has a name below dir and makes a directory there, deletes
// that and makes a link.
func recreate(dir int, name, to string) func() int64 {
	takeAway := func() int64 {
		_ = unix.Unlinkat(dir, name+"/e", unix.AT_REMOVEDIR)
		if unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) != nil && unix.Unlinkat(dir, name, 0) != nil {
			return 0
		}
		return 1
	}
	return func() int64 {
		count := takeAway()
		_ = unix.Mkdirat(dir, name, 0o777) // ebb may have been faster
		count += takeAway()
		_ = unix.Symlinkat(to, dir, name)
		return count
	}
}

// asUser gives the thread what a user may do to files and no more: without
// fsuid 0 it has none of the capabilities for that (setfsuid(2), capabilities(7)).
// The goroutine keeps the thread, which ends with it.
func asUser(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := errors.Join(unix.Setfsgid(100), unix.Setfsuid(1000)); err != nil {
		t.Error(err)
	}
}

// TestRaces brings an entry into place again and again, while names on its
// paths are exchanged for links that lead out, FIFOs and other directories.
func TestRaces(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	const home = "home/ada/"
	tests := []struct {
		name  string
		tree  []string
		a, b  string // exchanged; without b, a comes and goes
		entry config.Entry
	}{
		{
			"source and link",
			[]string{"dir persist/home/ada/e", "link persist/home/ada/x ../../out/dir"},
			"persist/home/ada/e", "persist/home/ada/x", directory("/home/ada/e"),
		},
		{
			"source file and link",
			[]string{"file persist/home/ada/e", "link persist/home/ada/x ../../out/shadow"},
			"persist/home/ada/e", "persist/home/ada/x", file("/home/ada/e"),
		},
		{
			"component of the source and link",
			[]string{"dir persist/home/ada/d/dir", "link persist/home/ada/x ../../out"},
			"persist/home/ada/d", "persist/home/ada/x", directory("/home/ada/d/dir"),
		},
		{
			"missing source and link",
			[]string{"dir persist/home/ada/d", "link persist/home/ada/x ../../out"},
			"persist/home/ada/d", "persist/home/ada/x", owned(directory("/home/ada/d/new/e"), 1000, 100, 0o777),
		},
		{
			"target and link",
			[]string{"dir persist/home/ada/e", "dir home/ada/e", "link home/ada/x ../../out/dir"},
			home + "e", home + "x", directory("/home/ada/e"),
		},
		{
			"target file and link",
			[]string{"file persist/home/ada/e", "file home/ada/e", "link home/ada/x ../../out/shadow"},
			home + "e", home + "x", file("/home/ada/e"),
		},
		{
			"parent of the target and link",
			[]string{"dir persist/home/ada/d/dir", "dir home/ada/d/dir", "link home/ada/x ../../out"},
			home + "d", home + "x", directory("/home/ada/d/dir"),
		},
		{
			"parent of a missing target and link",
			[]string{"dir persist/home/ada/d/new 0777 1000:100", "dir home/ada/d", "link home/ada/x ../../out"},
			home + "d", home + "x", directory("/home/ada/d/new"),
		},
		{
			"parent of the target and directory",
			[]string{"dir persist/home/ada/d/dir", "dir home/ada/d/dir", "dir home/ada/x"},
			home + "d", home + "x", directory("/home/ada/d/dir"),
		},
		{
			"target of a copy and link",
			[]string{"file persist/home/ada/e 0666 1000:100 text", "file home/ada/e", "link home/ada/x ../../out/shadow"},
			home + "e", home + "x", synced("/home/ada/e"),
		},
		{
			"source of a copy and FIFO",
			[]string{"file persist/home/ada/e 0666 1000:100 text", "fifo persist/home/ada/x"},
			"persist/home/ada/e", "persist/home/ada/x", synced("/home/ada/e"),
		},
		{
			"parent of a link and link",
			[]string{"file persist/home/ada/d/l 0666 1000:100", "dir home/ada/d", "link home/ada/x ../../out"},
			home + "d", home + "x", symlinked(file("/home/ada/d/l")),
		},
		{
			"missing source that comes and goes",
			[]string{"dir persist/home/ada/d 0777 1000:100"},
			"persist/home/ada/d/new", "", owned(directory("/home/ada/d/new/e"), 1000, 100, 0o777),
		},
		{
			"missing target that comes and goes",
			[]string{"dir persist/home/ada/d/new/e 0777 1000:100", "dir home/ada/d 0777 1000:100"},
			home + "d/new", "", directory("/home/ada/d/new/e"),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			testenv.Need(t, testenv.TierRoot)
			g := newGround(t)
			g.root.Observe = nil
			g.tree(canary...)
			g.tree("dir home/ada 0777 1000:100", "dir persist/home/ada 0777 1000:100")
			g.tree(test.tree...)
			g.entries(test.entry)
			attack := exchange(g.root.Fd, test.a, test.b)
			if test.b == "" {
				attack = recreate(g.root.Fd, test.a, "../../../out")
			}
			// Where directories are exchanged there is nothing to be refused.
			ends := []State{InPlace, Refused}
			if strings.HasSuffix(test.name, "and directory") {
				ends = ends[:1]
			}
			race(t, g, attack, test.entry, test.tree, ends)
		})
	}
}

func race(t *testing.T, g *ground, attack func() int64, e config.Entry, tree []string, ends []State) {
	t.Helper()
	rootCanary := testenv.Fingerprint(t, g.path("out"))
	storeCanary := testenv.Fingerprint(t, g.path("persist/out"))
	ctx, cancel := context.WithCancel(context.Background())
	s := &swapper{}
	ended := make(chan struct{})
	go func() { defer close(ended); asUser(t); s.run(ctx, attack) }()
	defer func() { cancel(); <-ended }()

	states := map[State]int{}
	want := int64(swaps)
	if testenv.IsLong(t, fmt.Sprintf("%d of %d exchanges of names", swapsLong-swaps, swapsLong)) {
		want = swapsLong
	}
	isMissing := func(end State) bool { return states[end] == 0 }
	for n := 0; n < runs || n < mostRuns && (s.count.Load() < want || slices.ContainsFunc(ends, isMissing)); n++ {
		report := g.root.Mount()
		if e.How == config.Sync {
			g.root.SyncBack()
		}
		states[report.Entries[0].State]++
		s.paused.Lock()
		requireMountsOnly(t, g, mountPointsOf(t, g, e)...)
		if diff := rootCanary.Diff(testenv.Fingerprint(t, g.path("out"))) + storeCanary.Diff(testenv.Fingerprint(t, g.path("persist/out"))); diff != "" {
			t.Errorf("changed:\n%s", diff)
		}
		clear := clearMounts(t, g, e, tree)
		s.paused.Unlock()
		if !clear || t.Failed() {
			break
		}
	}
	t.Logf("%d swaps, %v", s.count.Load(), states)
	if !t.Failed() && (slices.ContainsFunc(ends, isMissing) || s.count.Load() < want) {
		t.Errorf("%d swaps, and of %q there is %v: who should be in each other's way is not", s.count.Load(), ends, states)
	}
}

// mountPointsOf are the places where the mount of an entry may be after names
// were exchanged: the entry's path, and where the user has moved it.
func mountPointsOf(t *testing.T, g *ground, e config.Entry) []string {
	t.Helper()
	mounts, err := ReadMountInfo()
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{e.Path}
	for _, m := range mounts {
		if path, below := strings.CutPrefix(m.MountPoint, g.dir); below && strings.HasPrefix(path, "/home/ada/") {
			paths = append(paths, path)
		}
	}
	return paths
}

// clearMounts undoes what a run did, so that the next has something to do.
func clearMounts(t *testing.T, g *ground, e config.Entry, tree []string) bool {
	t.Helper()
	mounts, err := ReadMountInfo()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		if strings.HasPrefix(m.MountPoint, g.dir+"/home/") {
			if err := unix.Unmount(m.MountPoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
				t.Errorf("unmount %s: %v", m.MountPoint, err)
				return false
			}
		}
	}
	if strings.Contains(e.Path, "new") {
		for _, side := range []string{"home/ada/", "persist/home/ada/"} {
			for _, name := range []string{"d", "x"} {
				os.RemoveAll(g.path(side + name + "/new"))
			}
		}
	}
	if e.How == config.Sync {
		for _, name := range []string{"home/ada/e", "home/ada/x", "persist/home/ada/e", "persist/home/ada/x"} {
			os.Remove(g.path(name))
		}
		g.tree(tree...)
		g.setTime("persist/home/ada/e", 1000) // the store's is newer
	}
	if e.How == config.Symlink {
		os.Remove(g.path("home/ada/d/l"))
		os.Remove(g.path("home/ada/x/l"))
	}
	return true
}
