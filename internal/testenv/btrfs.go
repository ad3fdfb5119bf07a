package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
)

// defaultImageSize is 256 MiB, with which mkfs.btrfs takes the layout of
// larger file systems. The image is sparse.
const defaultImageSize = 256 << 20

// BtrfsOptions changes what [Btrfs] makes. The zero value is one device.
type BtrfsOptions struct {
	Size         int64    // bytes of each image, 256 MiB when 0
	Devices      int      // number of devices, 1 when 0
	MkfsOptions  []string // further options of mkfs.btrfs
	MountOptions string   // further btrfs options of the mount, comma separated
}

// Fixture is a btrfs file system on loop devices.
type Fixture struct {
	Dir     string   // where the top-level subvolume is mounted
	Devices []string // the block devices, for mounts of the test's own

	t         testing.TB
	loops     []*os.File
	options   string
	open      []int // given out by Open
	isMounted bool
}

// Btrfs makes a btrfs file system for one test and mounts its top-level
// subvolume. It is taken down when the test ends; whatever else the test has
// mounted from it must be unmounted by then. It needs [TierBtrfs].
func Btrfs(t testing.TB, options BtrfsOptions) *Fixture {
	t.Helper()
	Need(t, TierBtrfs)
	f := &Fixture{Dir: t.TempDir(), t: t, options: options.MountOptions}
	images := t.TempDir()
	for i := range max(options.Devices, 1) {
		f.attach(filepath.Join(images, fmt.Sprintf("image%d", i)), options.Size)
	}
	mkfs, err := findTool("mkfs.btrfs")
	if err != nil {
		t.Fatal(err)
	}
	arguments := append([]string{"-q", "-f"}, options.MkfsOptions...)
	output, err := exec.Command(mkfs, append(arguments, f.Devices...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("mkfs.btrfs: %v\n%s", err, output)
	}
	t.Cleanup(f.forget)
	f.Mount()
	t.Cleanup(func() {
		if f.isMounted {
			f.Unmount()
		}
	})
	return f
}

// Device returns the first block device.
func (f *Fixture) Device() string { return f.Devices[0] }

// Path returns the path of something on the mounted top-level subvolume.
func (f *Fixture) Path(elements ...string) string {
	return filepath.Join(append([]string{f.Dir}, elements...)...)
}

// Open returns a descriptor of a directory on the mounted top-level
// subvolume, which accepts ioctls. [Fixture.Unmount] and the end of the test
// close it.
func (f *Fixture) Open(elements ...string) int {
	f.t.Helper()
	fd := openDir(f.t, f.Path(elements...))
	f.open = append(f.open, fd)
	return fd
}

// Mount mounts the top-level subvolume at Dir again after [Fixture.Unmount].
func (f *Fixture) Mount() {
	f.t.Helper()
	options := "subvolid=5"
	if f.options != "" {
		options += "," + f.options
	}
	if err := unix.Mount(f.Device(), f.Dir, "btrfs", 0, options); err != nil {
		f.t.Fatalf("mount %s: %v", f.Device(), err)
	}
	f.isMounted = true
}

// Unmount closes what Open returned and unmounts Dir. Nothing else on it may
// be open any more.
func (f *Fixture) Unmount() {
	f.t.Helper()
	for _, fd := range f.open {
		unix.Close(fd)
	}
	f.open, f.isMounted = nil, false
	err := waitWhileBusy(func() error { return unix.Unmount(f.Dir, 0) })
	if err != nil {
		err = errors.Join(err, unix.Unmount(f.Dir, unix.MNT_DETACH))
		f.t.Errorf("unmount %s: something on it is still in use: %v", f.Dir, err)
	}
}

// Remount unmounts and mounts again, so that the kernel forgets all it has
// cached and finishes what it put off.
func (f *Fixture) Remount() {
	f.t.Helper()
	f.Unmount()
	f.Mount()
}

// attach makes an image and attaches a loop device to it.
func (f *Fixture) attach(image string, size int64) {
	f.t.Helper()
	if size == 0 {
		size = defaultImageSize
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		f.t.Fatal(err)
	}
	loop, err := attachLoop(image)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { loop.Close() })
	f.loops = append(f.loops, loop)
	f.Devices = append(f.Devices, loop.Name())
}

// forget makes the kernel forget devices of file systems with several, which
// it would otherwise take for present after the loop devices are gone.
func (f *Fixture) forget() {
	if len(f.Devices) == 1 {
		return
	}
	control, err := os.OpenFile(btrfs.ControlDevice, os.O_RDWR, 0)
	if err != nil {
		f.t.Error(err)
		return
	}
	defer control.Close()
	for _, device := range f.Devices {
		err := waitWhileBusy(func() error { return btrfs.ForgetDevice(int(control.Fd()), device) })
		if err != nil && !errors.Is(err, unix.ENOENT) {
			f.t.Errorf("after the test: %v", err)
		}
	}
}

// OpenDir returns a descriptor of a directory that accepts ioctls. It is
// closed when the test ends and must not be closed before.
func OpenDir(t testing.TB, path string) int {
	t.Helper()
	fd := openDir(t, path)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func openDir(t testing.TB, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open directory %s: %v", path, err)
	}
	return fd
}

// waitWhileBusy repeats a call for up to two seconds while it fails with
// EBUSY: udev and the like open devices and files for a moment.
func waitWhileBusy(call func() error) error {
	const wait = 10 * time.Millisecond
	for range 200 {
		if err := call(); !errors.Is(err, unix.EBUSY) {
			return err
		}
		time.Sleep(wait)
	}
	return call()
}
