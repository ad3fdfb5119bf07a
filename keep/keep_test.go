package keep

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestKeep(t *testing.T) {
	g := newGround(t)
	g.tree("dir var/lib/x 0750 7:8", "file var/lib/x/a 0640 7:8 text", "hardlink var/lib/x/b var/lib/x/a",
		"link var/lib/x/l ../y", "fifo var/lib/x/f 0600", "file var/lib/x/deep/er/c 0644 0:0 more", "xattr var/lib/x/a user.k v")
	before := testenv.Fingerprint(t, g.path("var/lib/x"))
	g.machine.DryRun = true
	r := g.keep("/var/lib/x", Planned)
	g.requireMissing("persist/var")
	g.requireMissing("persist/.ebb")
	if want := `ebb.persist."/persist".directories = [ "/var/lib/x" ];` + "\n"; r.Nix != want {
		t.Errorf("nix: %s", r.Nix)
	}
	g.machine.DryRun = false
	r = g.keep("/var/lib/x", Kept)
	if r.Stats == nil || r.Stats.Files != 8 || r.Passes < 2 || r.Restless != nil || r.Late != nil || len(r.Notes) > 0 {
		t.Errorf("result: %+v, stats %+v", r, r.Stats)
	}
	g.requireSame("var/lib/x", "persist/var/lib/x", true)
	if diff := before.Diff(testenv.Fingerprint(t, g.path("persist/var/lib/x"))); diff != "" {
		t.Errorf("the copy is not the same:\n%s", diff)
	}
	if got := g.list(); !slices.Equal(got, []string{"/var/lib/x"}) {
		t.Errorf("list: %v", got)
	}
	info, err := os.Stat(g.path("persist/.ebb"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf(".ebb: %v, %v", info, err)
	}
	// The next boot, and a second run, find it in their stores.
	kept, _ := List(g.machine.Root.Fd, g.machine.Root.Stores)
	c := config.Config{Stores: g.machine.Root.Stores}
	stores, problems := c.WithKept(kept)
	if len(problems) > 0 || len(stores[0].Entries) != 1 {
		t.Fatalf("stores %+v, problems %v", stores, problems)
	}
	g.machine.Root.Stores = stores
	g.keep("/var/lib/x", Already)
	g.keep("/var/lib/x/deep", Already)
}

// TestKeepFiles also keeps what is only in the store, and empty directories.
func TestKeepFiles(t *testing.T) {
	g := newGround(t)
	g.tree("file etc/passwd 0644 0:0 u:x:9:9::/home/u:/bin/sh", "file var/db 0600 9:9 data", "file home/u/.bash_history 0600 9:9 ls",
		"dir var/empty 0711 9:9", "dir persist/var/gone 0755", "file persist/var/gone/f 0644 0:0 old")
	if r := g.keep("/var/db", Kept); r.How != config.Bind {
		t.Errorf("how: %s", r.How)
	}
	g.requireSame("var/db", "persist/var/db", true)
	r := g.keep("/home/u/.bash_history", Kept)
	if want := `ebb.persist."/persist".users.u.files = [ { path = ".bash_history"; how = "sync"; } ];` + "\n"; r.Nix != want {
		t.Errorf("nix: %s", r.Nix)
	}
	g.requireSame("home/u/.bash_history", "persist/home/u/.bash_history", false)
	g.requireContent("persist/home/u/.bash_history", "ls")
	g.keep("/var/empty", Kept)
	g.requireSame("var/empty", "persist/var/empty", true)
	g.keep("/var/gone", Kept)
	g.requireContent("var/gone/f", "old")
}

func TestKeepRefuses(t *testing.T) {
	g := newGround(t, directory("/declared"))
	g.tree("dir declared/x", "dir mounted/below", "dir other", "dir persist/var/both", "file persist/var/both/a 0644 0:0 store",
		"file var/both/a 0644 0:0 live", "file var/both/b", "link link var", "fifo pipe", "dir run/x")
	mountTmpfs(t, g.path("mounted/below"), "")
	mountTmpfs(t, g.path("other"), "")
	g.tree("dir other/inside")
	before := testenv.Fingerprint(t, g.dir)
	for p, want := range map[string]string{
		"/": "absolute and clean", "relative": "absolute and clean", "/a/../b": "absolute and clean", "/run/x": "never outlives",
		"/persist": "is a store", "/persist/x": "lies in the store", "/none": "not there", "/link": "symbolic link", "/link/sub": "on the way",
		"/pipe": "FIFO", "/mounted": "is mounted in it", "/other/inside": "another file system", "/other": "another file system",
		"/nix/store/x": "not there",
	} {
		r := g.machine.Keep(p, "/persist", "")
		if r.OK() || !strings.Contains(r.Reason, want) {
			t.Errorf("keep %s: %s (%s), want %q", p, r.State, r.Reason, want)
		}
	}
	g.keep("/declared/x", Already)
	r := g.keep("/var/both", Conflict)
	if r.Differs == nil || r.Differs.Changed != 1 || r.Differs.Only != 1 || len(r.WayOut) != 2 {
		t.Errorf("conflict: %+v", r)
	}
	if diff := before.Diff(testenv.Fingerprint(t, g.dir)); diff != "" {
		t.Errorf("refusals changed:\n%s", diff)
	}
	// An ephemeral home is a mount that a boot makes fresh.
	g.machine.Ephemeral = []string{"/other"}
	g.keep("/other/inside", Kept)
	// The same in both is as good as copied.
	g.tree("dir var/same", "file var/same/a 0644 0:0 x", "dir persist/var/same", "file persist/var/same/a 0644 0:0 x")
	g.keep("/var/same", Kept)
}

func TestKeepInterrupted(t *testing.T) {
	g := newGround(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		g.tree("file var/x/" + name + " 0644 0:0 " + name)
	}
	before := testenv.Fingerprint(t, g.path("var"))
	interrupted := errors.New("interrupted")
	for at := 1; ; at++ {
		calls := 0
		g.machine.Progress = func(string, *copytree.Stats) error {
			if calls++; calls == at {
				return interrupted
			}
			return nil
		}
		r := g.machine.Keep("/var/x", "/persist", "")
		if r.State == Kept {
			if at < 8 {
				t.Errorf("only %d moments to interrupt", at)
			}
			break
		}
		if r.State != Failed || !strings.Contains(r.Reason, "interrupted") {
			t.Fatalf("at %d: %+v", at, r)
		}
		g.requireMissing("persist/var/x")
		g.requireMissing("persist/var/.x.ebb-new")
		if got := g.list(); len(got) > 0 {
			t.Errorf("list: %v", got)
		}
		if diff := before.Diff(testenv.Fingerprint(t, g.path("var"))); diff != "" {
			t.Fatalf("at %d:\n%s", at, diff)
		}
	}
	g.requireSame("var/x", "persist/var/x", true)
}

func TestForget(t *testing.T) {
	g := newGround(t)
	g.tree("file var/x/a 0644 0:0 a", "file var/y/b 0644 0:0 b")
	g.keep("/var/x", Kept)
	g.keep("/var/y", Kept)
	for range 2 {
		g.machine.DryRun = !g.machine.DryRun
		if store, err := g.machine.Forget("/var/x"); err != nil || store != "/persist" {
			t.Errorf("forget: %q, %v", store, err)
		}
	}
	if got := g.list(); !slices.Equal(got, []string{"/var/y"}) {
		t.Errorf("list: %v", got)
	}
	g.requireContent("persist/var/x/a", "a")
	g.requireSame("var/x", "persist/var/x", true)
	if _, err := g.machine.Forget("/var/x"); !errors.Is(err, ErrNotKept) {
		t.Errorf("twice: %v", err)
	}
}

// TestKeepFullStore leaves nothing of a copy that has no room.
func TestKeepFullStore(t *testing.T) {
	g := newGround(t)
	mountTmpfs(t, g.path("persist"), "size=64k")
	g.tree("dir var/x")
	if err := os.WriteFile(g.path("var/x/big"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	r := g.keep("/var/x", Failed)
	if !strings.Contains(r.Reason, unix.ENOSPC.Error()) {
		t.Errorf("reason: %s", r.Reason)
	}
	names, err := os.ReadDir(g.path("persist/var"))
	if err != nil || len(names) > 0 {
		t.Errorf("left in the store: %v, %v", names, err)
	}
	g.requireSame("var/x", "var/x", true)
}

// A name that Nix cannot write is told of, and does nothing to the terminal.
func TestNixOfOddNames(t *testing.T) {
	m := &Machine{Passwd: "/nonexistent"}
	text := m.Nix("/persist", []config.Entry{{Path: "/a\x1b]0;x\a", Directory: true, How: config.Bind}, {Path: "/b", Directory: true, How: config.Symlink}})
	if want := "ebb.persist.\"/persist\".directories = [ { path = \"/b\"; how = \"symlink\"; } ];\n# \"/a\\x1b]0;x\\a\" cannot be written in Nix\n"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
}
