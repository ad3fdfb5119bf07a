package mounts

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// oldFlags pairs what mount_setattr(2), mount(2) and statfs(2) call one and
// the same property of a mount. The flags of statfs are ST_* of
// linux/statfs.h, which x/sys does not have all of.
var oldFlags = []struct {
	attribute uint64
	flag      uintptr
	statfs    int64
}{
	{unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY, 0x1},
	{unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID, 0x2},
	{unix.MOUNT_ATTR_NODEV, unix.MS_NODEV, 0x4},
	{unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC, 0x8},
	{unix.MOUNT_ATTR_NODIRATIME, unix.MS_NODIRATIME, 0x800},
	{unix.MOUNT_ATTR_NOSYMFOLLOW, unix.MS_NOSYMFOLLOW, 0x2000},
	{unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME, 0x400},
}

// mountOld does with mount(2) what mountTree does with newer calls: Linux
// before 5.12. mount(2) takes paths only, so it gets the magic links of the
// descriptors, which stay on their inodes whatever happens to the names. For a
// moment the mount can be seen with the options of the store's mount; and one
// that a user has moved away meanwhile stays where it is, over a directory of
// that user.
func (p *placing) mountOld(c change) (int, error) {
	if !p.target.exists() {
		if err := p.openTarget(); err != nil {
			return -1, err
		}
	}
	source, target := sys.DescriptorPath(p.source.fd), sys.DescriptorPath(p.target.fd)
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return -1, format.Errorf("mount with MS_BIND: %w", err)
	}
	// The name leads onto the new mount, the descriptor under it. attach
	// makes sure that it is the new mount.
	tree, err := sys.OpenComponent(p.target.trail.fd(), p.target.name, unix.O_PATH)
	if err != nil {
		return -1, err
	}
	if err := changeOld(tree, c); err != nil {
		err = errors.Join(err, sys.Detach(tree))
		unix.Close(tree)
		return -1, err
	}
	return tree, nil
}

func changeOld(tree int, c change) error {
	path := sys.DescriptorPath(tree)
	if err := unix.Mount("", path, "", unix.MS_PRIVATE, ""); err != nil {
		return format.Errorf("mount with MS_PRIVATE: %w", err)
	}
	if c == (change{}) {
		return nil
	}
	flags, err := remountFlags(tree, c)
	if err != nil {
		return err
	}
	if err := unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""); err != nil {
		return format.Errorf("mount with MS_REMOUNT|MS_BIND: %w", err)
	}
	return nil
}

// remountFlags are all flags of the mount after the change: a remount replaces
// those that are there, and strictatime has a flag while relatime is the
// absence of others.
func remountFlags(tree int, c change) (uintptr, error) {
	var st unix.Statfs_t
	if err := sys.StatFilesystem(tree, &st); err != nil {
		return 0, err
	}
	var flags uintptr
	for _, row := range oldFlags {
		isSet := int64(st.Flags)&row.statfs != 0
		if isSet && c.clear&row.attribute == 0 || c.set&row.attribute != 0 {
			flags |= row.flag
		}
	}
	const stRelatime = 0x1000
	wasStrict := int64(st.Flags)&(stRelatime|0x400) == 0
	if c.set&unix.MOUNT_ATTR_STRICTATIME != 0 || wasStrict && c.clear&unix.MOUNT_ATTR__ATIME == 0 {
		flags |= unix.MS_STRICTATIME
	}
	return flags, nil
}
