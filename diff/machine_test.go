package diff

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/catalog"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.RunInNamespaces(m)) }

// machine is a root that is made fresh by the code that does so in stage 1.
type machine struct {
	t        *testing.T
	cfg      *config.Config
	fixture  *testenv.Fixture // of a btrfs
	sysroot  string           // of a tmpfs
	boots    int
	baseline Baseline
	noted    []byte // of a tmpfs
}

func newBtrfsMachine(t *testing.T) *machine {
	t.Helper()
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "subvolume @blank", "file @blank/in-blank 0644 0:0 blank")
	cfg, err := config.Parse([]byte(fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, f.Device())))
	if err != nil {
		t.Fatal(err)
	}
	return &machine{t: t, cfg: cfg, fixture: f}
}

func newTmpfsMachine(t *testing.T) *machine {
	t.Helper()
	testenv.Need(t, testenv.TierNamespaces)
	m := &machine{t: t, sysroot: filepath.Join(t.TempDir(), "sysroot"), cfg: &config.Config{Root: config.Root{
		Kind: config.KindTmpfs, Mode: 0o755, Size: config.Size{Bytes: 64 << 20, RAMPercent: 100},
	}}}
	t.Cleanup(func() { _ = unix.Unmount(m.sysroot, unix.MNT_DETACH) })
	return m
}

// boot makes the root fresh, runs activation and notes that it is over.
func (m *machine) boot() {
	m.t.Helper()
	m.boots++
	if m.sysroot != "" && m.boots > 1 {
		if err := unix.Unmount(m.sysroot, 0); err != nil {
			m.t.Fatal(err)
		}
	}
	h := &initrd.Host{
		RunDir: m.t.TempDir(), Sysroot: m.sysroot, BootID: fmt.Sprint("boot-", m.boots), Kernel: "6.12", Log: &kmsg.Logger{},
	}
	if m.sysroot == "" {
		h.Sysroot = "/nonexistent/sysroot"
	}
	if err := h.Rollback(m.cfg); err != nil {
		m.t.Fatal(err)
	}
	activate(m.t, m.root())
	m.settle()
}

// settle ends activation: from then on all is the user's. A file may have a time
// that the clock of the ticks only reaches with the next one (ktime_get_coarse_real_ts64_mg).
func (m *machine) settle() {
	m.t.Helper()
	if m.fixture == nil {
		fd, err := unix.Open(m.root(), unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil {
			m.noted, err = Directories(fd)
			unix.Close(fd)
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
	end := time.Now()
	for m.baseline = m.now(); !m.baseline.Time.After(end); m.baseline = m.now() {
	}
	if m.fixture != nil { // what follows is in another transaction, as it is after some seconds
		fd, err := unix.Open(m.root(), unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil {
			err = btrfs.Sync(fd)
			unix.Close(fd)
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *machine) now() Baseline {
	var generation uint64
	if m.fixture != nil {
		fd, err := unix.Open(m.root(), unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			m.t.Fatal(err)
		}
		defer unix.Close(fd)
		info, err := btrfs.FSInfo(fd)
		if err != nil {
			m.t.Fatal(err)
		}
		generation = info.Generation
	}
	now, err := Now(generation)
	if err != nil {
		m.t.Fatal(err)
	}
	return now
}

func (m *machine) root() string {
	if m.fixture != nil {
		return m.fixture.Path("@")
	}
	return m.sysroot
}

// activate makes what is made at each boot, the same each time.
func activate(t *testing.T, root string) {
	t.Helper()
	specs := []string{"link etc/passwd-link /etc/static/passwd", "dir home/ann 0700 1000:100", "dir var/empty", "dir tmp 1777"}
	for i := range 40 {
		specs = append(specs, fmt.Sprintf("file etc/conf-%d 0644 0:0 made at activation %d", i, i),
			fmt.Sprintf("dir var/lib/service-%d/empty", i), fmt.Sprintf("file var/lib/service-%d/state 0644 0:0 made at activation", i))
	}
	testenv.Tree(t, root, specs...)
	if err := os.Link(filepath.Join(root, "etc/conf-1"), filepath.Join(root, "etc/conf-1-linked")); err != nil {
		t.Fatal(err)
	}
}

// judge says what is lost, as ebb diff --all does.
func (m *machine) judge(how Judge) *Judged {
	m.t.Helper()
	fd, err := unix.Open(m.root(), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	defer unix.Close(fd)
	tree, err := Read([]Part{{Fd: fd, Path: "/", Directories: m.noted}}, m.baseline)
	if err != nil {
		m.t.Fatal(err)
	}
	if len(tree.Failures) > 0 {
		m.t.Errorf("failures: %v", tree.Failures)
	}
	if how.Catalog, err = catalog.Load(); err != nil {
		m.t.Fatal(err)
	}
	if how.Since == 0 {
		how.Since = -1 << 63
	}
	return tree.Judge(how)
}

// names are the paths of what is lost.
func names(t *testing.T, j *Judged, below string) (paths []string) {
	t.Helper()
	node, ok := j.Find(below)
	if !ok {
		return nil
	}
	if err := j.Each(node, func(l Line) error { paths = append(paths, l.Path); return nil }); err != nil {
		t.Fatal(err)
	}
	sort.Strings(paths)
	return paths
}

// inventory is what is in a root: files and links by what they hold, and
// directories that are empty.
func inventory(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name := strings.TrimPrefix(path, root)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			entries, err := os.ReadDir(path)
			if err == nil && len(entries) == 0 {
				all[name] = "empty directory"
			}
			return err
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if !strings.HasPrefix(target, "/etc/static/") { // activation makes it again
				all[name] = "link to " + target
			}
			return err
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			all[name] = fmt.Sprintf("%v %x", info.Mode(), sha256.Sum256(data))
			return err
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

// gone are the paths that one inventory has and the other has not, or not the
// same: what a reboot has lost.
func gone(before, after map[string]string) (paths []string) {
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if after[path] != before[path] {
			paths = append(paths, path)
		}
	}
	return paths
}

// compare holds what was listed against what is gone.
func compare(t *testing.T, listed, lost []string, what string) {
	t.Helper()
	var report bytes.Buffer
	for _, path := range lost {
		if !slices.Contains(listed, path) {
			fmt.Fprintf(&report, "\n  %q was lost, and not listed", path)
		}
	}
	for _, path := range listed {
		if !slices.Contains(lost, path) {
			fmt.Fprintf(&report, "\n  %q was listed, and not lost", path)
		}
	}
	if report.Len() > 0 {
		t.Errorf("%s:%s", what, report.String())
	}
}
