package keep

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/mounts"
)

func TestMain(m *testing.M) { os.Exit(testenv.RunInNamespaces(m)) }

// ground is a running system on a tmpfs, with a store on another one.
type ground struct {
	t       testing.TB
	dir     string
	machine *Machine
}

func newGround(t testing.TB, entries ...config.Entry) *ground {
	t.Helper()
	testenv.Need(t, testenv.TierNamespaces)
	unix.Umask(0)
	g := &ground{t: t, dir: t.TempDir()}
	mountTmpfs(t, g.dir, "mode=0755")
	testenv.Tree(t, g.dir, "dir persist", "dir etc")
	mountTmpfs(t, g.path("persist"), "mode=0755")
	for i := range entries {
		if entries[i].How == "" {
			entries[i].How = config.Bind
		}
	}
	g.machine = &Machine{
		Root: &mounts.Root{
			Fd: testenv.OpenDir(t, g.dir), Dir: g.dir, Fresh: true,
			Stores: []config.Store{{Path: "/persist", Entries: entries}},
		},
		Proc: "/proc", Passwd: g.path("etc/passwd"), Quote: strconv.Quote,
	}
	return g
}

func mountTmpfs(t testing.TB, dir, options string) {
	t.Helper()
	if err := unix.Mount("test", dir, "tmpfs", 0, options); err != nil {
		t.Fatalf("mount tmpfs on %s: %v", dir, err)
	}
	t.Cleanup(func() {
		for unix.Unmount(dir, unix.MNT_DETACH) == nil { // also what was mounted over it
		}
	})
}

func (g *ground) path(rel string) string { return filepath.Join(g.dir, rel) }

func (g *ground) tree(specs ...string) {
	g.t.Helper()
	testenv.Tree(g.t, g.dir, specs...)
}

func (g *ground) requireContent(rel, want string) {
	g.t.Helper()
	data, err := os.ReadFile(g.path(rel))
	if err != nil || string(data) != want {
		g.t.Errorf("%s: holds %q (%v), want %q", rel, data, err, want)
	}
}

func (g *ground) requireMissing(rel string) {
	g.t.Helper()
	if _, err := os.Lstat(g.path(rel)); !os.IsNotExist(err) {
		g.t.Errorf("%s: is there (%v), want nothing", rel, err)
	}
}

// requireSame fails the test unless both names lead to one inode.
func (g *ground) requireSame(a, b string, want bool) {
	g.t.Helper()
	sa, errA := os.Stat(g.path(a))
	sb, errB := os.Stat(g.path(b))
	if errA != nil || errB != nil || os.SameFile(sa, sb) != want {
		g.t.Errorf("%s and %s: the same is not %v (%v, %v)", a, b, want, errA, errB)
	}
}

// keep keeps a path and fails the test unless it ends in the state.
func (g *ground) keep(p string, want State) *Result {
	g.t.Helper()
	r := g.machine.Keep(p, "/persist", "")
	if r.State != want {
		g.t.Errorf("keep %s: %s (%s), want %s", p, r.State, r.Reason, want)
	}
	return r
}

// list gives the paths on the list of the store.
func (g *ground) list() (paths []string) {
	g.t.Helper()
	lists, problems := List(g.machine.Root.Fd, g.machine.Root.Stores)
	for _, p := range problems {
		g.t.Errorf("list: %s", p)
	}
	for _, e := range lists[0] {
		paths = append(paths, e.Path)
	}
	return paths
}

func directory(path string) config.Entry { return config.Entry{Path: path, Directory: true} }
