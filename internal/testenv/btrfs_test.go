package testenv

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/ebb-nix/ebb/btrfs"
)

func TestBtrfsFixture(t *testing.T) {
	f := Btrfs(t, BtrfsOptions{MountOptions: "compress=zstd"})
	Tree(t, f.Dir, "subvolume s 0750 1:2", "file s/f 0644 0:0 text", "dir d")
	before := Fingerprint(t, f.Dir)
	if !strings.HasPrefix(before["s"], "subvolume 0750 1:2") || !strings.HasPrefix(before["d"], "dir 0755") {
		t.Errorf("fingerprint: %v", before)
	}
	f.Open("s")
	f.Remount()
	if diff := before.Diff(Fingerprint(t, f.Dir)); diff != "" {
		t.Errorf("changed by a remount:\n%s", diff)
	}
	if info, err := btrfs.Info(f.Open()); err != nil || info.ID != btrfs.TopLevelID {
		t.Errorf("mounted subvolume %d, want the top level (%v)", info.ID, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || !strings.Contains(string(mounts), "compress=zstd") {
		t.Errorf("mount options are missing (%v)", err)
	}
}

// TestBtrfsInParallel has fixtures compete for loop devices, and makes sure
// that they are detached.
func TestBtrfsInParallel(t *testing.T) {
	Need(t, TierBtrfs)
	var mutex sync.Mutex
	used := make(map[string]int)
	t.Run("all", func(t *testing.T) {
		for range 8 {
			t.Run("one", func(t *testing.T) {
				t.Parallel()
				f := Btrfs(t, BtrfsOptions{Devices: 2})
				Tree(t, f.Dir, "file f")
				info, err := btrfs.FSInfo(f.Open())
				if err != nil || info.DeviceCount != 2 {
					t.Errorf("%d devices (%v)", info.DeviceCount, err)
				}
				mutex.Lock()
				defer mutex.Unlock()
				for _, device := range f.Devices {
					used[device]++
				}
			})
		}
	})
	if len(used) < 2 {
		t.Errorf("used devices: %v", used)
	}
}

func TestLoopIsDetached(t *testing.T) {
	Need(t, TierBtrfs)
	var device, image string
	t.Run("fixture", func(t *testing.T) {
		f := Btrfs(t, BtrfsOptions{})
		device = f.Device()
		image = backingFile(t, device)
	})
	// Another test may have taken the device since, with another image.
	if readBackingFile(device) == image {
		t.Errorf("%s still has %s", device, image)
	}
}

func backingFile(t *testing.T, device string) string {
	t.Helper()
	image := readBackingFile(device)
	if image == "" {
		t.Fatalf("%s has no image", device)
	}
	return image
}

func readBackingFile(device string) string {
	content, _ := os.ReadFile("/sys/block" + strings.TrimPrefix(device, "/dev") + "/loop/backing_file")
	return strings.TrimSuffix(strings.TrimSpace(string(content)), " (deleted)")
}

func BenchmarkBtrfsFixture(b *testing.B) {
	for b.Loop() {
		Btrfs(b, BtrfsOptions{})
	}
}
