package mounts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.RunInNamespaces(m)) }

// ground is a root and a store to bring entries into place in, each a tmpfs of
// its own.
type ground struct {
	t     testing.TB
	dir   string // the root
	steps []string
	root  *Root
}

func newGround(t testing.TB) *ground {
	t.Helper()
	testenv.Need(t, testenv.TierNamespaces)
	g := &ground{t: t, dir: t.TempDir()}
	mountTmpfs(t, g.dir)
	if err := os.Mkdir(g.path("persist"), 0o755); err != nil {
		t.Fatal(err)
	}
	mountTmpfs(t, g.path("persist"))
	g.root = &Root{
		Fd: testenv.OpenDir(t, g.dir), Dir: g.dir,
		Adopt: config.Adopt{Files: 1000, CopiedBytes: 1 << 20},
		Observe: func(s Step) {
			g.steps = append(g.steps, s.String())
		},
	}
	return g
}

func mountTmpfs(t testing.TB, dir string) {
	t.Helper()
	if err := unix.Mount("test", dir, "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatalf("mount tmpfs on %s: %v", dir, err)
	}
	t.Cleanup(func() {
		unix.Unmount(dir, unix.MNT_DETACH) // a test may have done so already
	})
}

func (g *ground) path(rel string) string { return filepath.Join(g.dir, rel) }

func (g *ground) tree(specs ...string) {
	g.t.Helper()
	testenv.Tree(g.t, g.dir, specs...)
}

// store adds entries to the store /persist.
func (g *ground) entries(entries ...config.Entry) {
	g.store("/persist", entries...)
}

func (g *ground) store(path string, entries ...config.Entry) {
	for i := range entries {
		if entries[i].How == "" {
			entries[i].How = config.Bind
		}
	}
	g.root.Stores = append(g.root.Stores, config.Store{Path: path, Entries: entries})
}

// mount runs Mount and returns the results by path.
func (g *ground) mount() map[string]EntryResult {
	g.t.Helper()
	g.steps = nil
	report := g.root.Mount()
	for _, note := range report.Notes {
		g.t.Errorf("note: %s", note)
	}
	return byPath(report)
}

func byPath(report Report) map[string]EntryResult {
	results := map[string]EntryResult{}
	for _, r := range report.Entries {
		results[r.Path] = r
	}
	return results
}

// requireState fails the test unless the entry ended in the state.
func (g *ground) requireState(results map[string]EntryResult, path string, want State) {
	g.t.Helper()
	if got := results[path]; got.State != want {
		g.t.Errorf("%s: state %q (%s), want %q", path, got.State, got.Reason, want)
	}
}

// requireStat checks type and permissions ("dir 0755"), and owner when it is
// given ("dir 0755 0:0").
func (g *ground) requireStat(rel, want string) {
	g.t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(g.path(rel), &st); err != nil {
		g.t.Errorf("%s: %v, want %s", rel, err, want)
		return
	}
	kinds := map[uint32]string{
		unix.S_IFDIR: "dir", unix.S_IFREG: "file", unix.S_IFLNK: "link", unix.S_IFIFO: "fifo",
		unix.S_IFSOCK: "socket", unix.S_IFCHR: "char", unix.S_IFBLK: "block",
	}
	got := fmt.Sprintf("%s %04o %d:%d", kinds[st.Mode&unix.S_IFMT], st.Mode&0o7777, st.Uid, st.Gid)
	if !strings.HasPrefix(got+" ", want+" ") {
		g.t.Errorf("%s: %s, want %s", rel, got, want)
	}
}

func (g *ground) requireMissing(rel string) {
	g.t.Helper()
	if _, err := os.Lstat(g.path(rel)); !os.IsNotExist(err) {
		g.t.Errorf("%s: is there (%v), want nothing", rel, err)
	}
}

func (g *ground) requireContent(rel, want string) {
	g.t.Helper()
	data, err := os.ReadFile(g.path(rel))
	if err != nil || string(data) != want {
		g.t.Errorf("%s: holds %q (%v), want %q", rel, data, err, want)
	}
}

// requireSame fails the test unless both names lead to one inode.
func (g *ground) requireSame(a, b string) {
	g.t.Helper()
	sa, errA := os.Stat(g.path(a))
	sb, errB := os.Stat(g.path(b))
	if errA != nil || errB != nil || !os.SameFile(sa, sb) {
		g.t.Errorf("%s and %s are not the same (%v, %v)", a, b, errA, errB)
	}
}

func directory(path string) config.Entry { return config.Entry{Path: path, Directory: true} }
func file(path string) config.Entry      { return config.Entry{Path: path} }

func number32(n uint32) *uint32 { return &n }

// owned returns e with an owner and a mode.
func owned(e config.Entry, uid, gid, mode uint32) config.Entry {
	e.Owner = config.Owner{UID: &uid, GID: &gid}
	e.Mode = &mode
	return e
}
