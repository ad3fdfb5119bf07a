package btrfs

import (
	"strings"
	"unsafe"

	"github.com/ebb-nix/ebb/internal/format"
)

// ControlDevice is the path of the device that the device requests go to. It
// is made by devtmpfs when btrfs is built in or loaded, and static device nodes
// load the module on open.
const ControlDevice = "/dev/btrfs-control"

// DevicesReady registers the block device at devicePath with the kernel and
// reports whether all devices of its file system have been registered, so that
// it can be mounted without the degraded option. controlFd is an open
// [ControlDevice]. It fails when the device is not btrfs.
// BTRFS_IOC_DEVICES_READY; needs CAP_SYS_ADMIN.
func DevicesReady(controlFd int, devicePath string) (bool, error) {
	missing, err := deviceRequest(controlFd, requestDevicesReady, devicePath)
	if err != nil {
		return false, failName(opReady, devicePath, err)
	}
	return missing == 0, nil
}

// ScanDevice registers the block device at devicePath with the kernel, as udev
// does when a device appears, so that file systems with several devices can be
// mounted by any one of them. BTRFS_IOC_SCAN_DEV; needs CAP_SYS_ADMIN.
func ScanDevice(controlFd int, devicePath string) error {
	if _, err := deviceRequest(controlFd, requestScanDevice, devicePath); err != nil {
		return failName(opScan, devicePath, err)
	}
	return nil
}

// ForgetDevice undoes [ScanDevice] for a device that is not mounted (EBUSY
// otherwise). For one that is not registered older kernels answer ENOENT and
// newer ones nothing. BTRFS_IOC_FORGET_DEV, Linux
// 5.1; needs CAP_SYS_ADMIN.
func ForgetDevice(controlFd int, devicePath string) error {
	if _, err := deviceRequest(controlFd, requestForgetDevice, devicePath); err != nil {
		return failName(opForget, devicePath, err)
	}
	return nil
}

// deviceRequest returns the result of the ioctl, which for DEVICES_READY is 1
// when a device is missing.
func deviceRequest(controlFd int, request uintptr, devicePath string) (int, error) {
	args := new(deviceArgs)
	if devicePath == "" || len(devicePath) >= len(args.name) || strings.ContainsRune(devicePath, 0) {
		return 0, format.Errorf("bad device path: want 1 to %d bytes without NUL", len(args.name)-1)
	}
	copy(args.name[:], devicePath)
	return ioctl(controlFd, request, unsafe.Pointer(args))
}
