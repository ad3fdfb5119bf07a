package initrd

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// MountArchived mounts a subvolume of an archived root on the directory dir,
// read-only, and so that neither its setuid programs nor its device nodes work.
func MountArchived(root *config.Root, number uint64, name, dir string) error {
	if err := sys.CheckName(name); err != nil {
		return format.Errorf("subvolume %q: %w", name, err)
	}
	device, err := resolveDevice(root.Device)
	if err != nil {
		return err
	}
	target, err := sys.OpenDirectoryUnlinked(dir)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	subvolume := path.Join(root.Archive, archive.DirectoryName(number), name)
	mount, err := sys.NewMount("btrfs", []sys.Option{
		{Key: "source", Value: device}, {Key: "subvol", Value: "/" + subvolume}, {Key: "ro"},
	}, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return format.Errorf("mount %q: %w", subvolume, err)
	}
	defer unix.Close(mount)
	return sys.MoveMount(mount, target)
}

// UnmountArchived unmounts what [MountArchived] has mounted on dir, and
// nothing else.
func UnmountArchived(root *config.Root, dir string) error {
	absolute := path.Clean(dir)
	if !path.IsAbs(dir) {
		here, err := unix.Getwd()
		if err != nil {
			return err
		}
		absolute = path.Join(here, dir)
	}
	table, err := mounts.ReadMountInfo()
	if err != nil {
		return err
	}
	for _, m := range table {
		if m.MountPoint == absolute && m.Type == "btrfs" && strings.HasPrefix(m.Root, "/"+root.Archive+"/") {
			if err := sys.Retry(func() error { return unix.Unmount(absolute, unix.UMOUNT_NOFOLLOW) }); err != nil {
				return format.Errorf("unmount %s: %w", absolute, err)
			}
			return nil
		}
	}
	return format.Errorf("no archived root is mounted on %s", absolute)
}
