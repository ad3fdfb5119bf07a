package mounts

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestBindExisting(t *testing.T) {
	for _, old := range []bool{false, true} {
		g := newGround(t)
		g.root.NoAPI = old
		g.tree("dir persist/var/log 0750", "file persist/var/log/boot.log 0640", "file persist/etc/key 0600 0:0 secret")
		g.entries(directory("/var/log"), file("/etc/key"))
		before := testenv.Fingerprint(t, g.path("persist"))

		results := g.mount()
		g.requireState(results, "/var/log", InPlace)
		g.requireState(results, "/etc/key", InPlace)
		g.requireSame("var/log", "persist/var/log")
		g.requireSame("etc/key", "persist/etc/key")
		g.requireContent("etc/key", "secret")
		if diff := before.Diff(testenv.Fingerprint(t, g.path("persist"))); diff != "" {
			t.Errorf("the store changed:\n%s", diff)
		}

		// The second run does nothing.
		before = testenv.Fingerprint(t, g.dir)
		table := readTable(t)
		results = g.mount()
		g.requireState(results, "/var/log", Already)
		g.requireState(results, "/etc/key", Already)
		if len(g.steps) > 0 {
			t.Errorf("the second run took steps: %q", g.steps)
		}
		if diff := before.Diff(testenv.Fingerprint(t, g.dir)); diff != "" || table != readTable(t) {
			t.Errorf("the second run changed something:\n%s", diff)
		}

		// Below the mounts is what looks like them.
		for _, target := range []string{"var/log", "etc/key"} {
			if err := unix.Unmount(g.path(target), 0); err != nil {
				t.Fatal(err)
			}
		}
		g.requireStat("var/log", "dir 0750 0:0")
		g.requireStat("etc/key", "file 0600 0:0")
		g.requireContent("etc/key", "")
	}
}

func readTable(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestBindMakesSource(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("dir persist/home/ada 0700 1000:100")
	key := file("/home/ada/.config/key")
	key.Owner = config.Owner{UID: number32(1000), GID: number32(100)}
	g.entries(
		owned(directory("/var/lib/app"), 5, 6, 0o2750),
		directory("/var/lib/private/x"),
		directory("/home/ada/.ssh"),
		directory("/tmp"),
		key,
	)
	g.mount()
	for _, side := range []string{"", "persist/"} {
		g.requireStat(side+"var", "dir 0755 0:0")
		g.requireStat(side+"var/lib", "dir 0755 0:0")
		g.requireStat(side+"var/lib/app", "dir 2750 5:6")
		g.requireStat(side+"var/lib/private", "dir 0700 0:0")
		g.requireStat(side+"var/lib/private/x", "dir 0755 0:0")
		g.requireStat(side+"home", "dir 0755 0:0")
		g.requireStat(side+"home/ada", "dir 0700 1000:100")
		g.requireStat(side+"home/ada/.config", "dir 0755 1000:100")
		g.requireStat(side+"home/ada/.config/key", "file 0600 1000:100")
		g.requireStat(side+"home/ada/.ssh", "dir 0700 1000:100")
		g.requireStat(side+"tmp", "dir 1777 0:0")
	}
}

func TestBindNested(t *testing.T) {
	g := newGround(t)
	g.tree("dir cache", "dir persist/home/ada 0700", "dir cache/home/ada/.cache 0711")
	g.store("/cache", directory("/home/ada/.cache"))
	g.store("/persist", directory("/home"))
	results := g.mount()
	g.requireState(results, "/home", InPlace)
	g.requireState(results, "/home/ada/.cache", InPlace)
	g.requireSame("home/ada/.cache", "cache/home/ada/.cache")
	g.requireStat("persist/home/ada/.cache", "dir 0711") // the mount point, in the store of the parent
	g.requireState(g.mount(), "/home/ada/.cache", Already)
}

func TestBindOptions(t *testing.T) {
	tests := []struct {
		options []string
		want    []string // in the options of the mount
		not     []string
	}{
		{nil, []string{"rw", "relatime"}, []string{"ro", "noexec"}},
		{[]string{"ro", "noexec", "nosuid", "nodev", "nosymfollow"}, []string{"ro", "noexec", "nosuid", "nodev", "nosymfollow"}, nil},
		{[]string{"ro", "rw"}, []string{"rw"}, []string{"ro"}},
		{[]string{"noatime", "nodiratime"}, []string{"noatime", "nodiratime"}, []string{"relatime"}},
		{[]string{"strictatime"}, nil, []string{"relatime", "noatime"}},
		{[]string{"noatime", "relatime", "x-test"}, []string{"relatime"}, []string{"noatime", "x-test"}},
	}
	for _, old := range []bool{false, true} {
		for _, test := range tests {
			g := newGround(t)
			g.root.NoAPI = old
			e := directory("/srv")
			e.Options = test.options
			g.entries(e)
			g.requireState(g.mount(), "/srv", InPlace)
			got := strings.Split(requireMount(t, g.path("srv")).Options, ",")
			for _, want := range test.want {
				if !slices.Contains(got, want) {
					t.Errorf("old %v: options %q: mounted with %q, without %s", old, test.options, got, want)
				}
			}
			for _, not := range test.not {
				if slices.Contains(got, not) {
					t.Errorf("old %v: options %q: mounted with %q, with %s", old, test.options, got, not)
				}
			}
		}
	}
}

// requireMount returns the topmost mount at path.
func requireMount(t testing.TB, path string) MountInfo {
	t.Helper()
	mounts, err := ReadMountInfo()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range slices.Backward(mounts) {
		if m.MountPoint == path {
			return m
		}
	}
	t.Fatalf("%s is not a mount point", path)
	return MountInfo{}
}

// TestBindIsNotInThePeerGroupOfTheStore mounts something below an entry whose
// store is a shared mount: it must not show up in the store. In the initrd the
// root is shared, too.
func TestBindIsNotInThePeerGroupOfTheStore(t *testing.T) {
	for _, old := range []bool{false, true} {
		for _, rootShared := range []bool{false, true} {
			g := newGround(t)
			g.root.NoAPI = old
			if rootShared {
				makeShared(t, g.dir)
			}
			makeShared(t, g.path("persist"))
			g.tree("dir persist/srv/inner")
			g.entries(directory("/srv"))
			g.requireState(g.mount(), "/srv", InPlace)
			store, mount := requireMount(t, g.path("persist")), requireMount(t, g.path("srv"))
			// mount(2) cannot do it in one step: the mount stays private then.
			shared := rootShared && !old
			if shared != (len(mount.Optional) == 1) || shared && mount.Optional[0] == store.Optional[0] {
				t.Errorf("old %v, root shared %v: store %v, mount %v", old, rootShared, store.Optional, mount.Optional)
			}
			mountTmpfs(t, g.path("srv/inner"))
			g.tree("file srv/inner/seen")
			g.requireMissing("persist/srv/inner/seen")
		}
	}
}

func makeShared(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
}

func TestStoreMissing(t *testing.T) {
	g := newGround(t)
	g.tree("dir persist/a", "link linked persist", "file plain")
	g.store("/persist", directory("/a"))
	g.store("/absent", directory("/b"))
	g.store("/linked", directory("/c"))
	g.store("/plain", directory("/d"))
	results := g.mount()
	g.requireState(results, "/a", InPlace)
	for _, path := range []string{"/b", "/c", "/d"} {
		g.requireState(results, path, Failed)
		g.requireMissing(path)
		if !strings.Contains(results[path].Reason, "open store") {
			t.Errorf("%s: reason %q", path, results[path].Reason)
		}
	}
}

func TestPlanChangesNothing(t *testing.T) {
	g := newGround(t)
	g.tree("dir persist/home/ada 0700", "dir cache")
	g.store("/persist", directory("/home"), directory("/var/lib/new"), directory("/var/lib/newer"), file("/etc/x"))
	g.store("/cache", directory("/home/ada/.cache"))
	before, table := testenv.Fingerprint(t, g.dir), readTable(t)
	plan := g.root.Plan()
	if diff := before.Diff(testenv.Fingerprint(t, g.dir)); diff != "" || readTable(t) != table {
		t.Errorf("the plan changed something:\n%s", diff)
	}
	var planned []string
	for _, r := range plan.Entries {
		if r.State != Planned {
			t.Errorf("%s: state %s (%s)", r.Path, r.State, r.Reason)
		}
		planned = append(planned, r.Steps...)
	}
	g.mount()
	if !slices.Equal(planned, g.steps) {
		t.Errorf("planned:\n%s\ndone:\n%s", strings.Join(planned, "\n"), strings.Join(g.steps, "\n"))
	}
}

// A store whose file system is not mounted is a directory of the root, and
// gone with it: nothing is made in it where the root is fresh at each boot.
func TestStoreNotMounted(t *testing.T) {
	g := newGround(t)
	g.tree("dir elsewhere")
	g.store("/elsewhere", directory("/var/log"))
	g.store("/persist", directory("/srv"))
	g.root.Fresh = true
	results := g.mount()
	g.requireState(results, "/var/log", Failed)
	g.requireMissing("elsewhere/var")
	g.requireMissing("var")
	g.requireState(results, "/srv", InPlace)
	g.root.Fresh = false
	g.root.Stores[0].Mounted = true
	g.requireState(g.mount(), "/var/log", Failed)
	g.requireMissing("elsewhere/var")
	g.root.Stores[0].Mounted = false
	g.requireState(g.mount(), "/var/log", InPlace)
}
