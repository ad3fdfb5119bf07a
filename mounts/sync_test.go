package mounts

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func synced(path string) config.Entry {
	return config.Entry{Path: path, How: config.Sync}
}

func (g *ground) syncBack(paths ...string) map[string]EntryResult {
	g.t.Helper()
	return byPath(g.root.SyncBack(paths...))
}

func (g *ground) write(rel, content string) {
	g.t.Helper()
	if err := os.WriteFile(g.path(rel), []byte(content), 0o644); err != nil {
		g.t.Fatal(err)
	}
}

// setTime sets the time of modification, in seconds from now.
func (g *ground) setTime(rel string, seconds int) {
	g.t.Helper()
	at := time.Now().Add(time.Duration(seconds) * time.Second)
	if err := os.Chtimes(g.path(rel), at, at); err != nil {
		g.t.Fatal(err)
	}
}

func TestSyncIn(t *testing.T) {
	g := newGround(t)
	g.tree("file persist/etc/a 0604 0:0 kept", "xattr persist/etc/a user.x y",
		"file persist/etc/older 0644 0:0 store", "file etc/older 0644 0:0 stale",
		"file persist/etc/newer 0644 0:0 store", "file etc/newer 0644 0:0 fresh",
		"file persist/etc/same 0644 0:0 text", "file etc/same 0644 0:0 text")
	g.setTime("etc/older", -100)
	g.setTime("etc/newer", 100)
	g.entries(synced("/etc/a"), synced("/etc/older"), synced("/etc/newer"), synced("/etc/same"), synced("/etc/x/none"))
	results := g.mount()
	for path, want := range map[string]State{
		"/etc/a": InPlace, "/etc/older": InPlace, "/etc/newer": Already, "/etc/same": Already, "/etc/x/none": Waiting,
	} {
		g.requireState(results, path, want)
	}
	g.requireContent("etc/older", "store")
	g.requireContent("etc/newer", "fresh")
	g.requireMissing("etc/x/none")
	g.requireMissing("persist/etc/x/none")
	g.requireStat("persist/etc/x", "dir 0755")
	all := testenv.Fingerprint(t, g.dir)
	if all["etc/a"] != all["persist/etc/a"] {
		t.Errorf("%s\nbecame %s", all["persist/etc/a"], all["etc/a"])
	}
	g.mount()
	if diff := all.Diff(testenv.Fingerprint(t, g.dir)); diff != "" {
		t.Errorf("the second run changed:\n%s", diff)
	}
}

func TestSyncBack(t *testing.T) {
	g := newGround(t)
	g.tree("file persist/etc/kept 0644 0:0 old", "file persist/etc/changed 0644 0:0 old", "file persist/etc/mode 0644 0:0 x",
		"file etc/changed 0640 0:0 new", "file etc/deep/first 0600 0:0 id", "file etc/mode 0600 0:0 x",
		"file etc/busy 0644 0:0 a", "fifo etc/hostile", "link etc/linked /etc/passwd", "file run/id")
	if err := unix.Mount(g.path("run/id"), g.path("etc/busy"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	g.entries(synced("/etc/kept"), synced("/etc/changed"), synced("/etc/mode"), synced("/etc/deep/first"),
		synced("/etc/busy"), synced("/etc/hostile"), synced("/etc/linked"), synced("/etc/none"))
	untouched := testenv.Fingerprint(t, g.path("persist"))
	g.requireState(byPath(g.root.PlanSyncBack()), "/etc/changed", Planned)
	if diff := untouched.Diff(testenv.Fingerprint(t, g.path("persist"))); diff != "" {
		t.Errorf("planning changed:\n%s", diff)
	}
	results := g.syncBack()
	for path, want := range map[string]State{
		"/etc/kept": Already, "/etc/changed": InPlace, "/etc/mode": InPlace, "/etc/deep/first": InPlace,
		"/etc/busy": Unsettled, "/etc/hostile": Refused, "/etc/linked": Refused, "/etc/none": Waiting,
	} {
		g.requireState(results, path, want)
	}
	g.requireContent("persist/etc/kept", "old")
	g.requireContent("persist/etc/changed", "new")
	g.requireStat("persist/etc/changed", "file 0640")
	g.requireStat("persist/etc/mode", "file 0600")
	g.requireContent("persist/etc/deep/first", "id")
	for _, name := range []string{"busy", "hostile", "linked", "none"} {
		g.requireMissing("persist/etc/" + name)
	}
	before := testenv.Fingerprint(t, g.path("persist"))
	results = g.syncBack()
	g.requireState(results, "/etc/changed", Already)
	if diff := before.Diff(testenv.Fingerprint(t, g.path("persist"))); diff != "" {
		t.Errorf("the second run changed:\n%s", diff)
	}
	if results := g.syncBack("/etc/mode"); len(results) != 1 {
		t.Errorf("asked for one: %v", results)
	}
}

func TestSyncOverMount(t *testing.T) {
	g := newGround(t)
	g.tree("file persist/etc/machine-id 0444 0:0 kept", "file etc/machine-id", "file run/machine-id 0444 0:0 transient")
	if err := unix.Mount(g.path("run/machine-id"), g.path("etc/machine-id"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	g.entries(synced("/etc/machine-id"))
	g.requireState(g.mount(), "/etc/machine-id", Already)
	g.requireContent("etc/machine-id", "transient")
	g.requireContent("persist/etc/machine-id", "kept")
}

// TestWatch changes files in the ways that programs do.
func TestWatch(t *testing.T) {
	g := newGround(t)
	g.tree("file persist/etc/id 0444 0:0 old", "file etc/id 0444 0:0 old", "file etc/busy 0644 0:0 under", "file run/id 0644 0:0 over")
	if err := unix.Mount(g.path("run/id"), g.path("etc/busy"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	g.entries(synced("/etc/id"), synced("/etc/busy"), synced("/etc/late/file"), synced("/etc/last"))
	stop := g.watch()

	// A rename over the file, as most programs do it.
	time.Sleep(200 * time.Millisecond)
	g.write("etc/id.tmp", "renamed")
	if err := os.Rename(g.path("etc/id.tmp"), g.path("etc/id")); err != nil {
		t.Fatal(err)
	}
	g.waitContent("persist/etc/id", "renamed")
	// Writing in place.
	g.write("etc/id", "written")
	g.waitContent("persist/etc/id", "written")
	// Settling.
	if err := unix.Unmount(g.path("etc/busy"), 0); err != nil {
		t.Fatal(err)
	}
	g.waitContent("persist/etc/busy", "under")
	// The directory is replaced.
	if err := os.Rename(g.path("etc"), g.path("etc.old")); err != nil {
		t.Fatal(err)
	}
	g.tree("file etc/id 0644 0:0 replaced")
	g.waitContent("persist/etc/id", "replaced")
	// A last change, and the end.
	g.write("etc/last", "word")
	stop()
	g.root.SyncBack() // as the unit does at its end
	g.requireContent("persist/etc/last", "word")
	g.requireMissing("persist/etc/late/file")
}

// watch has the root watched until stop is called.
func (g *ground) watch() (stop func()) {
	g.t.Helper()
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		g.t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- g.root.Watch(event, func(Report) {}) }()
	return func() {
		g.t.Helper()
		_, err := unix.Write(event, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		if err == nil {
			err = <-ended
		}
		if err := errors.Join(err, unix.Close(event)); err != nil {
			g.t.Errorf("watch: %v", err)
		}
	}
}

// waitContent waits for up to ten seconds until a file holds something.
func (g *ground) waitContent(rel, want string) {
	g.t.Helper()
	var data []byte
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if data, _ = os.ReadFile(g.path(rel)); string(data) == want {
			return
		}
	}
	g.t.Errorf("%s holds %q, want %q", rel, data, want)
}

func TestCheck(t *testing.T) {
	g := newGround(t)
	g.tree("dir persist/bound", "dir persist/covered", "dir other")
	g.entries(directory("/bound"), directory("/covered"), directory("/gone"), symlinked(file("/link")), synced("/sync"))
	for path, r := range byPath(g.root.Check()) {
		want := Missing
		if path == "/sync" {
			want = Waiting
		}
		if r.State != want {
			t.Errorf("before: %s: %+v", path, r)
		}
	}
	g.mount()
	g.write("sync", "x")
	if err := unix.Mount(g.path("other"), g.path("covered"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	results := byPath(g.root.Check())
	for path, r := range results {
		if r.State != InPlace {
			t.Errorf("after: %s: %+v", path, r)
		}
	}
	if !strings.Contains(results["/covered"].Reason, "covers") || !strings.Contains(results["/sync"].Reason, "copied back") {
		t.Errorf("reasons: %q, %q", results["/covered"].Reason, results["/sync"].Reason)
	}
	// A further run does not stack another mount on top.
	table := readTable(t)
	g.requireState(g.mount(), "/covered", Already)
	if readTable(t) != table {
		t.Error("mounted again over what covers it")
	}
	if err := unix.Unmount(g.path("gone"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(g.path("link")); err != nil {
		t.Fatal(err)
	}
	results = byPath(g.root.Check())
	g.requireState(results, "/gone", Missing)
	g.requireState(results, "/link", Missing)
}

// A file that is too large to be read each time that anybody asks is told of, and
// keeps nothing else back.
func TestSyncTooLarge(t *testing.T) {
	g := newGround(t)
	g.tree("file persist/etc/large 0644 0:0 first", "file persist/etc/other 0644 0:0 first")
	g.entries(synced("/etc/large"), synced("/etc/other"))
	g.mount()
	if err := os.Truncate(g.path("etc/large"), 1<<60); err != nil {
		t.Fatal(err)
	}
	g.write("etc/other", "second")
	results := g.syncBack()
	if r := results["/etc/large"]; r.OK() || !strings.Contains(r.Reason, "too large") {
		t.Errorf("%+v", r)
	}
	g.requireContent("persist/etc/large", "first")
	g.requireContent("persist/etc/other", "second")
	for _, report := range []map[string]EntryResult{byPath(g.root.Check()), g.mount()} {
		if r := report["/etc/large"]; r.OK() || !strings.Contains(r.Reason, "too large") {
			t.Errorf("%+v", r)
		}
	}
}

// What a user's own mount shows as a set-user-ID program of root's is none in the
// store.
func TestSyncFromMountWithoutSetID(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("dir persist/home/ada", "dir home/ada")
	if err := unix.Mount("test", g.path("home/ada"), "tmpfs", unix.MS_NOSUID, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(g.path("home/ada"), unix.MNT_DETACH) })
	g.tree("file home/ada/.x 04755 0:0 program")
	g.entries(synced("/home/ada/.x"))
	g.requireState(g.syncBack(), "/home/ada/.x", InPlace)
	g.requireStat("persist/home/ada/.x", "file 0755 0:0")
}

// A source in a directory of somebody with a default ACL is as the entry says, and
// not as that.
func TestSourceInheritsNoACL(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("dir persist/home/ada 0755 1000:100")
	acl := []byte{2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0xe8, 3, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255}
	if err := unix.Setxattr(g.path("persist/home/ada"), "system.posix_acl_default", acl, 0); err != nil {
		t.Fatal(err)
	}
	g.entries(directory("/home/ada/vault"), file("/home/ada/key"))
	g.mount()
	for _, name := range []string{"persist/home/ada/vault", "persist/home/ada/key"} {
		for _, attribute := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
			if n, err := unix.Getxattr(g.path(name), attribute, nil); !errors.Is(err, unix.ENODATA) {
				t.Errorf("%s has %s: %d bytes, %v", name, attribute, n, err)
			}
		}
	}
}
