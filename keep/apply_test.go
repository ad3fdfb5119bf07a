package keep

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/internal/walk"
	"github.com/ebb-nix/ebb/mounts"
)

// apply runs Apply, and returns the states by path.
func (g *ground) apply() (states map[string]State, results map[string]*Result) {
	g.t.Helper()
	states, results = map[string]State{}, map[string]*Result{}
	told := 0
	for _, r := range g.machine.Apply(func(*Result) { told++ }) {
		states[r.Path], results[r.Path] = r.State, r
	}
	if told != len(results) {
		g.t.Errorf("told %d times of %d results", told, len(results))
	}
	return states, results
}

func (g *ground) requireStates(want map[string]State) map[string]*Result {
	g.t.Helper()
	got, results := g.apply()
	for p, state := range want {
		if got[p] != state {
			reason := ""
			if r := results[p]; r != nil {
				reason = r.Reason
			}
			g.t.Errorf("%s: %q (%s), want %q", p, got[p], reason, state)
		}
	}
	for p := range got {
		if want[p] == "" {
			g.t.Errorf("%s: %s (%s), was in place", p, got[p], results[p].Reason)
		}
	}
	return results
}

func file(path string, how config.How) config.Entry { return config.Entry{Path: path, How: how} }

func TestApply(t *testing.T) {
	g := newGround(t, directory("/var/moved"), directory("/var/new"), directory("/var/stored"), directory("/var/empty"),
		directory("/var/same"), directory("/var/both"), file("/etc/id", config.Bind), file("/etc/sync", config.Sync),
		file("/etc/synced", config.Sync), file("/etc/later", config.Sync),
		config.Entry{Path: "/var/link", Directory: true, How: config.Symlink}, config.Entry{Path: "/var/taken", Directory: true, How: config.Symlink},
		file("/etc/key", config.Symlink))
	g.tree("dir var/moved 0750 7:8", "file var/moved/a 0640 7:8 live", "dir persist/var/stored", "file persist/var/stored/a 0644 0:0 store",
		"dir var/empty", "dir persist/var/empty", "file persist/var/empty/a 0644 0:0 store",
		"dir var/same", "file var/same/a 0644 0:0 x", "dir persist/var/same", "file persist/var/same/a 0644 0:0 x",
		"dir var/both", "file var/both/a 0644 0:0 live", "dir persist/var/both", "file persist/var/both/a 0644 0:0 store",
		"file etc/id 0444 0:0 id", "file etc/sync 0644 0:0 live", "file persist/etc/synced 0644 0:0 store",
		"dir var/taken 0750 7:8", "file var/taken/a 0644 0:0 live", "dir var/taken.before-ebb-1", "file var/taken.before-ebb-1/other 0644 0:0 other",
		"file etc/key 0600 0:0 key", "file persist/etc/key 0600 0:0 key", "link etc/key.before-ebb-1 /persist/etc/key")
	before := testenv.Fingerprint(t, g.dir)
	g.machine.DryRun, g.machine.Measure = true, true
	planned := g.requireStates(map[string]State{
		"/var/moved": Planned, "/var/new": Planned, "/var/stored": Planned, "/var/empty": Planned, "/var/same": Planned, "/var/both": Conflict,
		"/etc/id": Planned, "/etc/sync": Planned, "/etc/synced": Planned, "/var/link": Planned, "/var/taken": Planned, "/etc/key": Planned,
	})
	if diff := before.Diff(testenv.Fingerprint(t, g.dir)); diff != "" {
		t.Errorf("a dry run changed:\n%s", diff)
	}
	for p, want := range map[string]string{"/var/moved": "into the store first", "/var/stored": "what the store has", "/var/new": "nothing yet"} {
		if got := planned[p].Reason; !strings.Contains(got, want) {
			t.Errorf("%s: planned: %q, want %q", p, got, want)
		}
	}
	for p, want := range map[string]*walk.Usage{"/var/moved": {Files: 1, Bytes: 4096}, "/etc/id": {Files: 1, Bytes: 4096}, "/var/new": nil, "/var/stored": nil, "/var/same": nil} {
		if got := planned[p].Size; (got == nil) != (want == nil) || got != nil && (got.Files != want.Files || got.Bytes != want.Bytes) {
			t.Errorf("%s: %+v would be copied, want %+v", p, got, want)
		}
	}
	g.machine.DryRun = false
	results := g.requireStates(map[string]State{
		"/var/moved": Kept, "/var/new": Placed, "/var/stored": Placed, "/var/empty": Placed, "/var/same": Placed, "/var/both": Conflict,
		"/etc/id": Kept, "/etc/sync": Kept, "/etc/synced": Placed, "/var/link": Placed, "/var/taken": Kept, "/etc/key": Placed,
	})
	for _, p := range []string{"moved", "new", "stored", "empty", "same"} {
		g.requireSame("var/"+p, "persist/var/"+p, true)
	}
	for _, link := range []string{"var/link", "var/taken", "etc/key"} {
		if to, err := os.Readlink(g.path(link)); err != nil || to != "/persist/"+link {
			t.Errorf("%s: the link leads to %q (%v)", link, to, err)
		}
	}
	// What they took the place of is beside them: the name of another is not taken, and the link that a run before this one
	// was interrupted with is.
	g.requireContent("var/taken.before-ebb-1/other", "other")
	g.requireContent("var/taken.before-ebb-2/a", "live")
	g.requireContent("persist/var/taken/a", "live")
	g.requireContent("etc/key.before-ebb-1", "key")
	if notes := results["/var/taken"].Notes; len(notes) != 1 || notes[0] != "what was there is /var/taken.before-ebb-2 now, and goes with this root" {
		t.Errorf("notes: %q", notes)
	}
	g.requireSame("etc/id", "persist/etc/id", true)
	g.requireContent("persist/var/moved/a", "live")
	g.requireContent("var/empty/a", "store")
	g.requireContent("var/both/a", "live")
	g.requireContent("persist/var/both/a", "store")
	g.requireContent("etc/synced", "store")
	g.requireContent("persist/etc/sync", "live")
	both := results["/var/both"]
	if both.Differs == nil || both.Differs.Changed != 1 || len(both.WayOut) != 2 || !strings.HasSuffix(both.WayOut[0], "ebb apply   # to take what the store has") {
		t.Errorf("conflict: %+v", both)
	}
	if got := g.list(); len(got) > 0 {
		t.Errorf("declared entries are on the list of what was kept: %v", got)
	}
	// The ways out work, and a further run finds nothing to do.
	if err := os.Rename(g.path("var/both"), g.path("var/both.live")); err != nil {
		t.Fatal(err)
	}
	g.requireStates(map[string]State{"/var/both": Placed})
	g.requireContent("var/both/a", "store")
	g.requireStates(nil)
}

// TestApplyTellsUsers names those who have the old place open: with data that
// was copied, and with the same data in both places.
func TestApplyTellsUsers(t *testing.T) {
	g := newGround(t, directory("/var/moved"), directory("/var/same"))
	g.tree("file var/moved/a 0644 0:0 x", "file var/same/a 0644 0:0 x", "file persist/var/same/a 0644 0:0 x")
	for _, name := range []string{"moved", "same"} {
		startIn(t, g.path("var/"+name))
	}
	results := g.requireStates(map[string]State{"/var/moved": Kept, "/var/same": Placed})
	for p, r := range results {
		if len(r.Users) != 1 || len(r.Users[0].PIDs) != 1 {
			t.Errorf("%s: users %+v, want the one process that is at work in it", p, r.Users)
		}
	}
}

// TestApplyTellsOfLateChanges: what was written between the comparison and the
// mount is below the mount now, and is told.
func TestApplyTellsOfLateChanges(t *testing.T) {
	for _, late := range []string{"", "late"} {
		g := newGround(t, directory("/var/same"))
		g.tree("file var/same/a 0644 0:0 x", "file persist/var/same/a 0644 0:0 x")
		r := &Result{Path: "/var/same", Store: "/persist", Source: "/persist/var/same", How: config.Bind, Directory: true, begun: time.Now().Unix() - slack}
		r.entry = g.machine.Root.Stores[0].Entries[0]
		root := g.machine.alone(&r.entry, r.Store)
		both := root.Compare(func(*config.Entry) bool { return true })[0]
		if late != "" {
			g.tree("file var/same/late 0644 0:0 x")
			if err := os.WriteFile(g.path("var/same/a"), []byte("y"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		g.machine.applyNow(root, r, &both)
		r.close()
		if r.State != Placed || (late != "") != (len(r.Late) == 2) || late == "" && len(r.Late) > 0 {
			t.Errorf("%q: %s, late %q, %v", late, r.State, r.Late, r.Notes)
		}
		g.requireContent("var/same/a", "x")
	}
}

// startIn starts a process that is at work in a directory until the test ends.
func startIn(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("sleep", "infinity")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// TestApplyRefuses leaves what is hostile, or would be hidden, as it is; the
// other entries come into place.
func TestApplyRefuses(t *testing.T) {
	g := newGround(t, directory("/link/x"), directory("/over"), directory("/covered"), file("/etc/pipe", config.Bind), directory("/good"),
		directory("/clash"))
	g.tree("link link persist", "dir over/inner", "dir covered", "fifo etc/pipe", "file over/a 0644 0:0 live",
		"dir clash/inner", "file clash/a 0644 0:0 live", "file persist/clash/a 0644 0:0 store")
	mountTmpfs(t, g.path("over/inner"), "")
	mountTmpfs(t, g.path("covered"), "")
	mountTmpfs(t, g.path("clash/inner"), "")
	before := testenv.Fingerprint(t, g.path("over"))
	results := g.requireStates(map[string]State{"/link/x": Refused, "/over": Refused, "/covered": Refused, "/etc/pipe": Refused, "/good": Placed, "/clash": Refused})
	// No way out moves "/clash" aside, and what is mounted in it along.
	for _, p := range []string{"/over", "/covered", "/clash"} {
		if !strings.Contains(results[p].Reason, "would be hidden") || len(results[p].WayOut) > 0 {
			t.Errorf("%s: %s", p, results[p].Reason)
		}
	}
	if diff := before.Diff(testenv.Fingerprint(t, g.path("over"))); diff != "" {
		t.Errorf("changed:\n%s", diff)
	}
	g.requireMissing("persist/x")
	g.requireSame("good", "persist/good", true)
}

func TestRemoved(t *testing.T) {
	g := newGround(t, directory("/var/a"), directory("/var/b"), directory("/var/gone"))
	g.tree("dir var/a", "dir var/b")
	report := g.machine.Root.Mount()
	g.machine.Root.Stores[0].Entries = []config.Entry{{Path: "/var/a", Directory: true, How: config.Bind}}
	before := append(slices.Clone(report.Entries), report.Entries[1], mounts.EntryResult{Path: "/var/never", Store: "/persist", How: config.Bind, Directory: true})
	var got []string
	for _, e := range g.machine.Removed(before) {
		got = append(got, e.Path)
	}
	if !slices.Equal(got, []string{"/var/b", "/var/gone"}) {
		t.Errorf("removed: %q", got)
	}
	g.requireStates(nil)
	g.requireSame("var/b", "persist/var/b", true) // it stays
}

func TestWhy(t *testing.T) {
	g := newGround(t, directory("/var/outer"), file("/etc/id", config.Sync))
	g.tree("dir var/outer/x", "dir var/outer/tmp", "dir other", "dir var/lost", "file etc/id", "link link var")
	mountTmpfs(t, g.path("other"), "")
	g.tree("file other/f")
	if fate, by, reason := g.machine.Why("/var/outer/x"); fate != FateLost || by == nil || !strings.Contains(reason, "not in place") {
		t.Errorf("before it is in place: %s by %v (%s)", fate, by, reason)
	}
	g.apply()
	mountTmpfs(t, g.path("var/outer/tmp"), "")
	g.tree("file var/outer/tmp/f", "dir ext")
	if err := unix.Mount("proc", g.path("ext"), "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(g.path("ext"), unix.MNT_DETACH) })
	for p, want := range map[string]Fate{
		"/var/outer": FateKept, "/var/outer/x": FateKept, "/var/outer/none": FateKept, "/etc/id": FateKept, "/etc/id/x": FateUnknown,
		"/var": FateLost, "/var/lost": FateLost, "/var/outerx": FateMissing, "/none/x": FateMissing, "/other": FateLost, "/other/f": FateLost,
		"/ext": FateStays, "/ext/self": FateStays, "/var/outer/tmp/f": FateLost, "/link": FateLost,
		"/persist": FateStore, "/persist/var/outer": FateStore, "/link/lost": FateUnknown, "/": FateLost,
	} {
		fate, by, reason := g.machine.Why(p)
		if fate != want || (by != nil) != (fate == FateKept) || fate == FateKept && reason != "" || (fate == FateStays || fate == FateStore || fate == FateUnknown) && reason == "" {
			t.Errorf("%s: %s by %v (%s), want %s", p, fate, by, reason, want)
		}
	}
}
