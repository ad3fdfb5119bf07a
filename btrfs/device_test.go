package btrfs_test

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func openControl(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open(btrfs.ControlDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	requireNoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func TestDevicesReady(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{Devices: 2, MkfsOptions: []string{"-d", "raid0", "-m", "raid1"}})
	control := openControl(t)
	requireReady(t, control, f.Devices[0], true)
	requireError(t, btrfs.ForgetDevice(control, f.Devices[1]), unix.EBUSY)

	// As at boot, before the second device has appeared.
	f.Unmount()
	requireNoError(t, btrfs.ForgetDevice(control, f.Devices[0]))
	requireNoError(t, btrfs.ForgetDevice(control, f.Devices[1]))
	if err := btrfs.ForgetDevice(control, f.Devices[1]); err != nil {
		requireError(t, err, unix.ENOENT) // some kernels mind, others do not
	}
	requireReady(t, control, f.Devices[0], false)
	if err := unix.Mount(f.Devices[0], f.Dir, "btrfs", 0, ""); err == nil {
		t.Error("mounted without the second device")
		requireNoError(t, unix.Unmount(f.Dir, 0))
	}
	requireNoError(t, btrfs.ScanDevice(control, f.Devices[1]))
	requireReady(t, control, f.Devices[0], true)
	requireReady(t, control, f.Devices[1], true)
	f.Mount()
	info, err := btrfs.FSInfo(f.Open())
	if err != nil || info.DeviceCount != 2 {
		t.Errorf("%d devices, %v", info.DeviceCount, err)
	}
}

func requireReady(t *testing.T, control int, device string, want bool) {
	t.Helper()
	ready, err := btrfs.DevicesReady(control, device)
	requireNoError(t, err)
	if ready != want {
		t.Errorf("%s is ready: %v, want %v", device, ready, want)
	}
}

func TestDevicesReadySingle(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	control := openControl(t)
	requireReady(t, control, f.Device(), true)
	f.Unmount()
	requireReady(t, control, f.Device(), true)
	for _, path := range []string{"", "/dev/\x00", "/" + strings.Repeat("x", 4088)} {
		if _, err := btrfs.DevicesReady(control, path); err == nil || !strings.Contains(err.Error(), "bad device path") {
			t.Errorf("%.20q: %v", path, err)
		}
	}
	_, err := btrfs.DevicesReady(control, "/dev/missing")
	requireError(t, err, unix.ENOENT)
	if _, err := btrfs.DevicesReady(control, "/dev/zero"); err == nil {
		t.Error("/dev/zero is ready")
	}
}
