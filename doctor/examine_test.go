package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/cmdline"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// examination is one of a machine in stage 1 with nothing wrong but its config.
func examination(t *testing.T, device, document string) *Examination {
	t.Helper()
	cfg, err := config.Parse([]byte(strings.ReplaceAll(document, "DEVICE", device)))
	if err != nil {
		t.Fatal(err)
	}
	return &Examination{
		Host:   &initrd.Host{RunDir: t.TempDir(), Sysroot: "/nonexistent/sysroot", Stage1: true, BootID: "b", Kernel: "6.18.44", Log: kmsg.New(false)},
		Config: cfg, Root: t.TempDir(), Disks: "/dev/disk",
	}
}

// A hibernation image is told of before anything is mounted, with what to do,
// and ordinary swap is not.
func TestHibernationImage(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "dir @roots 0700 0:0")
	f.Unmount()
	swap := filepath.Join(t.TempDir(), "swap")
	for mark, want := range map[string]bool{"S1SUSPEND\x00": true, "SWAPSPACE2": false} {
		page := make([]byte, os.Getpagesize())
		copy(page[len(page)-len(mark):], mark)
		if err := os.WriteFile(swap, page, 0o600); err != nil {
			t.Fatal(err)
		}
		x := examination(t, f.Device(), btrfsConfig)
		x.Host.CommandLine = cmdline.Parse("resume=" + swap)
		findings := x.Run()
		if got := has(findings, Fault, "would refuse: a hibernation image is pending on "+swap) && has(findings, Fault, "# nothing was mounted: reboot"); got != want {
			t.Errorf("mark %q: %+v", mark, findings)
		}
	}
	f.Mount()
}

// A file system that is full is worth a word, and one with room is not.
func TestFullFileSystem(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "dir @roots 0700 0:0", "dir fill")
	for _, full := range []bool{false, true} {
		if full {
			fill(t, f.Path("fill"))
		}
		f.Unmount()
		findings := examination(t, f.Device(), btrfsConfig).Run()
		f.Mount()
		if got := has(findings, Warning, "of the file system is free") && has(findings, Warning, "ebb prune"); got != full {
			t.Errorf("full %v: %+v", full, findings)
		}
	}
}

// fill takes all the space for data.
func fill(t *testing.T, dir string) {
	t.Helper()
	for size := int64(64 << 20); size >= 64<<10; {
		file, err := os.CreateTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		err = unix.Fallocate(int(file.Fd()), 0, 0, size)
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		if errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// A store is a mount of its own, unless ebb leaves the root alone.
func TestStoreIsMounted(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	for _, test := range []struct {
		kind    string
		mounted bool
		want    bool
	}{{"tmpfs", false, true}, {"tmpfs", true, false}, {"none", false, false}, {"none", true, false}} {
		x := examination(t, "", `{"version": 1, "root": {"kind": "`+test.kind+`"}, "stores": {"/persist": {}}}`)
		store := filepath.Join(x.Root, "persist")
		if err := os.Mkdir(store, 0o700); err != nil {
			t.Fatal(err)
		}
		if test.mounted {
			if err := unix.Mount("tmpfs", store, "tmpfs", 0, "size=1M"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(store, 0); err != nil {
					t.Error(err)
				}
			})
		}
		findings := x.Run()
		if got := has(findings, Fault, store+" is not mounted") && has(findings, Fault, "systemctl status"); got != test.want {
			t.Errorf("%+v: %+v", test, findings)
		}
	}
}
