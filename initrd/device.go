package initrd

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/service"
	"github.com/ebb-nix/ebb/internal/sys"
)

// readyDeadline bounds the wait for the other devices of a btrfs of several;
// udev has waited for them before this program was started, in most cases.
const readyDeadline = 30 * time.Second

const readyPoll = 50 * time.Millisecond

// resolveDevice gives the name that mount(8) would use for the device, so that
// the kernel shows one and the same in mountinfo for all mounts of it: the
// target of the link, and for device mapper the name in /dev/mapper
// (libmount's canonicalization, mnt_resolve_path).
func resolveDevice(device string) (string, error) {
	resolved, err := sys.Resolve(device)
	if err != nil {
		return "", format.Errorf("look for device %s: %w", device, err)
	}
	if strings.HasPrefix(device, "/dev/mapper/") {
		return device, nil
	}
	if name, ok := strings.CutPrefix(resolved, "/dev/dm-"); ok {
		// Worst case of a name that cannot be read: mountinfo shows another one.
		if mapped, _ := firstLine("/sys/block/dm-" + name + "/dm/name"); mapped != "" {
			return "/dev/mapper/" + mapped, nil
		}
	}
	return resolved, nil
}

// waitReady waits until the kernel knows all devices of the btrfs. Kernels
// without btrfs answer at the mount that follows, so that is no error here.
func waitReady(device string) error {
	control, err := sys.OpenPath("/dev/btrfs-control", unix.O_RDWR)
	if err != nil {
		return nil
	}
	defer control.Close()
	for deadline := time.Now().Add(readyDeadline); ; time.Sleep(readyPoll) {
		ready, err := btrfs.DevicesReady(int(control), device)
		if err != nil || ready {
			return nil // the mount says what is wrong, and in better words
		}
		if time.Now().After(deadline) {
			return &refusal{
				reason: format.Sprintf("%s belongs to a btrfs of several devices, and not all of them are there after %s", device, readyDeadline),
				hint:   "attach the missing device; with the mount option \"degraded\" the root is mounted without it",
			}
		}
	}
}

// openTopLevel mounts the top-level subvolume detached: in no mount namespace,
// visible to nobody, gone when the descriptor is closed. It is the first mount
// of the file system in a boot, so it carries the root's own mount options,
// and the superblock that it makes is the one that the root is mounted from.
func openTopLevel(root *config.Root) (int, error) {
	device, err := resolveDevice(root.Device)
	if err != nil {
		return -1, err
	}
	options, attributes := splitOptions(root.Options)
	mayWait := !hasOption(options, "degraded")
	options = append([]sys.Option{{Key: "source", Value: device}}, options...)
	options = append(options, sys.Option{Key: "subvolid", Value: format.Sprint(btrfs.TopLevelID)})
	fd, err := mountTopLevel(device, options, attributes)
	if err == nil || !mayWait {
		return fd, err
	}
	// Without "degraded" the kernel refuses a btrfs of which a device is missing.
	// To ask before every mount would read each superblock once more.
	if err := waitReady(device); err != nil {
		return -1, err
	}
	return mountTopLevel(device, options, attributes)
}

func mountTopLevel(device string, options []sys.Option, attributes int) (int, error) {
	fd, err := sys.NewMount("btrfs", options, attributes)
	if err != nil {
		return -1, format.Errorf("mount %s: %w", device, err)
	}
	// A mount descriptor is O_PATH, which ioctls refuse.
	defer unix.Close(fd)
	return sys.OpenBeneath(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY)
}

// viewTopLevel opens the top-level subvolume for looking only. Nothing is
// written: not by a log replay either, which a read-only mount would still do.
func viewTopLevel(root *config.Root) (int, error) {
	device, err := resolveDevice(root.Device)
	if err != nil {
		return -1, err
	}
	options := []sys.Option{
		{Key: "source", Value: device},
		{Key: "subvolid", Value: format.Sprint(btrfs.TopLevelID)},
		{Key: "ro"},
		{Key: "rescue", Value: "nologreplay"},
	}
	return mountTopLevel(device, options, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
}

// mountAttributes are the options of an fstab that are not the file system's.
// A root that is mounted read-only at first ("ro") still has to be rolled back.
var mountAttributes = map[string]int{
	"defaults": 0, "rw": 0, "ro": 0, "auto": 0, "noauto": 0, "nofail": 0, "user": 0, "nouser": 0, "_netdev": 0,
	"exec": 0, "noexec": unix.MOUNT_ATTR_NOEXEC,
	"suid": 0, "nosuid": unix.MOUNT_ATTR_NOSUID,
	"dev": 0, "nodev": unix.MOUNT_ATTR_NODEV,
	"atime": 0, "relatime": 0, "norelatime": 0,
	"noatime":    unix.MOUNT_ATTR_NOATIME,
	"diratime":   0,
	"nodiratime": unix.MOUNT_ATTR_NODIRATIME, "strictatime": unix.MOUNT_ATTR_STRICTATIME, "nostrictatime": 0,
	"symfollow": 0, "nosymfollow": unix.MOUNT_ATTR_NOSYMFOLLOW,
}

// splitOptions takes the options of an fstab apart: those of the file system,
// and those of the single mount. The name of the subvolume is neither here.
func splitOptions(options []string) (filesystem []sys.Option, attributes int) {
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		attribute, general := mountAttributes[option]
		switch {
		case general:
			attributes |= attribute
		case strings.HasPrefix(option, "x-"), strings.HasPrefix(option, "X-"), key == "subvol", key == "comment":
		default:
			filesystem = append(filesystem, sys.Option{Key: key, Value: value})
		}
	}
	return filesystem, attributes
}

func hasOption(options []sys.Option, key string) bool {
	for _, o := range options {
		if o.Key == key {
			return true
		}
	}
	return false
}

// keepOpen hands a descriptor to the service manager, which holds it as long
// as this service is active: until switch-root. The superblock stays in use
// until sysroot.mount has mounted the root from it, and the first mount of a
// large btrfs, which costs more than all else here, is made once in a boot.
// sd_notify(3), FDSTORE=1. Worst case when that fails: a second first mount.
func keepOpen(fd int) error {
	if err := service.Notify("FDSTORE=1\nFDNAME=ebb-top-level", fd); err != nil {
		return format.Errorf("keep the file system open: %w", err)
	}
	return nil
}
