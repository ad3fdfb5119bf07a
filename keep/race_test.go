package keep

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/mounts"
)

// appliedInRace is how often an entry is applied while names are exchanged.
const appliedInRace = 150

// TestApplyRaces applies an entry of a user again and again, while the user
// exchanges the parent of its live place, or the place itself, for another
// directory and for links that lead out: into the root, and into the store.
func TestApplyRaces(t *testing.T) {
	tests := []struct{ name, other, a, b string }{
		{"parent and directory", "dir home/ada/x/dir 0755 1000:100", "home/ada/d", "home/ada/x"},
		{"parent and link", "link home/ada/x ../../out", "home/ada/d", "home/ada/x"},
		{"parent and link into the store", "link home/ada/x ../../persist/out", "home/ada/d", "home/ada/x"},
		{"place and link", "link home/ada/d/x ../../../out/dir", "home/ada/d/dir", "home/ada/d/x"},
		{"place and FIFO", "fifo home/ada/d/x 0666", "home/ada/d/dir", "home/ada/d/x"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := config.Entry{Path: "/home/ada/d/dir", Directory: true}
			g := newGround(t, e)
			testenv.Need(t, testenv.TierRoot)
			g.tree("file out/secret 0600 0:0 canary", "dir out/dir 0755 0:0", "file out/dir/file 0644 0:0 canary",
				"file persist/out/dir/file 0600 0:0 canary")
			outside, store := testenv.Fingerprint(t, g.path("out")), testenv.Fingerprint(t, g.path("persist/out"))
			states, swaps := map[State]int{}, 0
			for range appliedInRace {
				g.tree("dir home/ada 0777 1000:100", "dir home/ada/d 0755 1000:100", "dir home/ada/d/dir 0755 1000:100",
					"file home/ada/d/dir/file 0644 1000:100 live", test.other)
				state, swapped := g.applyInRace(test.a, test.b)
				states[state]++
				swaps += swapped
				g.requireHarmless()
				if diff := outside.Diff(testenv.Fingerprint(t, g.path("out"))) + store.Diff(testenv.Fingerprint(t, g.path("persist/out"))); diff != "" {
					t.Fatalf("outside of the entry:\n%s", diff)
				}
			}
			t.Logf("%d exchanges, states: %v", swaps, states)
			if swaps < 10*appliedInRace || states[Kept] == 0 {
				t.Error("who should be in each other's way is not")
			}
			// Without the race it is applied: the ground is not what keeps it away.
			g.tree("dir home/ada/d/dir 0755 1000:100", "file home/ada/d/dir/file 0644 1000:100 live")
			g.requireStates(map[string]State{e.Path: Kept})
			g.requireContent("persist/home/ada/d/dir/file", "live")
		})
	}
}

// applyInRace applies while two names are exchanged without pause, and counts
// how often they were.
func (g *ground) applyInRace(a, b string) (state State, swaps int) {
	ctx, cancel := context.WithCancel(context.Background())
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ctx.Err() == nil; n++ {
			// A name that something is mounted on cannot be exchanged (EBUSY).
			if unix.Renameat2(unix.AT_FDCWD, g.path(a), unix.AT_FDCWD, g.path(b), unix.RENAME_EXCHANGE) == nil {
				swaps++
			}
			if n == 10 {
				close(begun)
			}
		}
	}()
	<-begun
	states, _ := g.apply()
	cancel()
	<-ended
	return states["/home/ada/d/dir"], swaps
}

// requireHarmless fails the test when the data are nowhere, or when something
// is mounted outside of the home, and clears up.
func (g *ground) requireHarmless() {
	g.t.Helper()
	table, err := mounts.ReadMountInfo()
	if err != nil {
		g.t.Fatal(err)
	}
	for i := len(table) - 1; i >= 0; i-- {
		at := table[i].MountPoint
		switch {
		case !strings.HasPrefix(at, g.dir+"/") || at == g.path("persist"):
			continue
		case !strings.HasPrefix(at, g.path("home/ada")+"/"):
			g.t.Fatalf("%s is mounted on", at)
		}
		if err := unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			g.t.Fatalf("unmount %s: %v", at, err)
		}
	}
	found := 0
	for _, dir := range []string{"home", "persist/home"} {
		_ = filepath.WalkDir(g.path(dir), func(p string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if data, err := os.ReadFile(p); err == nil && string(data) == "live" {
					found++
				}
			}
			return nil
		})
		if err := os.RemoveAll(g.path(dir)); err != nil {
			g.t.Fatal(err)
		}
	}
	if found == 0 {
		g.t.Fatal("the data are nowhere")
	}
}
