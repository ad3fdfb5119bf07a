package initrd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestSmallerSize(t *testing.T) {
	const gib = 1 << 30
	for _, test := range []struct {
		size      config.Size
		ram, want uint64
	}{
		{config.Size{RAMPercent: 33}, 8 * gib, 8 * gib / 100 * 33 / 4096 * 4096},
		{config.Size{Bytes: 2 * gib, RAMPercent: 33}, 8 * gib, 2 * gib},
		{config.Size{Bytes: 2 * gib, RAMPercent: 33}, 1 * gib, gib / 100 * 33 / 4096 * 4096},
		{config.Size{RAMPercent: 100}, 4096 * 100, 4096 * 100},
	} {
		if got := smallerSize(test.size, test.ram); got != test.want {
			t.Errorf("%+v of %d: got %d, want %d", test.size, test.ram, got, test.want)
		}
	}
}

func tmpfsConfig() *config.Config {
	return &config.Config{Root: config.Root{
		Kind: config.KindTmpfs, Mode: 0o750, Inodes: 1000,
		Size: config.Size{Bytes: 8 << 20, RAMPercent: 100}, Options: []string{"noexec", "x-initrd.mount"},
	}}
}

func TestTmpfsRoot(t *testing.T) {
	testenv.Need(t, testenv.TierNamespaces)
	sysroot := filepath.Join(t.TempDir(), "sysroot")
	h := &Host{RunDir: t.TempDir(), Sysroot: sysroot, BootID: "a", Log: &kmsg.Logger{}}

	planned, err := h.PlanRollback(tmpfsConfig())
	if err != nil || len(planned) != 1 || !strings.Contains(planned[0], "8388608 bytes") {
		t.Errorf("planned %q, %v", planned, err)
	}
	if _, err := os.Stat(sysroot); err == nil {
		t.Error("planning made the directory")
	}
	if err := h.Rollback(tmpfsConfig()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(sysroot, unix.MNT_DETACH) })
	wantTmpfs(t, sysroot)

	// A second run leaves it alone, whatever is in it by now.
	write(t, sysroot+"/file", "data")
	if err := h.Rollback(tmpfsConfig()); err != nil {
		t.Errorf("second run: %v", err)
	}
	// A run that does not know of the first one sees that it is in use.
	h.BootID = "b"
	if err := h.Rollback(tmpfsConfig()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a tmpfs in use: %v", err)
	}
}

func TestTmpfsThatIsMountedAlready(t *testing.T) {
	testenv.Need(t, testenv.TierNamespaces)
	for _, test := range []struct {
		name, fstype, data, want string
	}{
		{"tmpfs", "tmpfs", "size=1m,mode=0755", ""},
		{"something else", "ramfs", "", "no tmpfs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			sysroot := t.TempDir()
			if err := unix.Mount("none", sysroot, test.fstype, 0, test.data); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(sysroot, unix.MNT_DETACH) })
			h := &Host{RunDir: t.TempDir(), Sysroot: sysroot, BootID: "a", Log: &kmsg.Logger{}}
			err := h.Rollback(tmpfsConfig())
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				wantTmpfs(t, sysroot)
			} else if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// An fstab with a size of its own undoes what the config says.
func TestTmpfsWithAnotherSize(t *testing.T) {
	testenv.Need(t, testenv.TierNamespaces)
	sysroot := t.TempDir()
	h := &Host{RunDir: t.TempDir(), Sysroot: sysroot, BootID: "a", Log: &kmsg.Logger{}}
	if err := h.Rollback(tmpfsConfig()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(sysroot, unix.MNT_DETACH) })
	for size, want := range map[string]bool{"size=8m": false, "size=4m": true} {
		if err := unix.Mount("none", sysroot, "tmpfs", unix.MS_REMOUNT, size); err != nil {
			t.Fatal(err)
		}
		status, err := h.Status(tmpfsConfig(), sysroot)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(fmt.Sprint(status.Problems), "the root has"); got != want {
			t.Errorf("%s: problems %v", size, status.Problems)
		}
	}
}

func wantTmpfs(t *testing.T, dir string) {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	if size := fs.Blocks * uint64(fs.Bsize); fs.Type != unix.TMPFS_MAGIC || size != 8<<20 || fs.Files != 1000 {
		t.Errorf("type %#x, %d bytes, %d inodes", fs.Type, size, fs.Files)
	}
	st, err := os.Stat(dir)
	if err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

func TestMain(m *testing.M) { os.Exit(testenv.RunInNamespaces(m)) }
