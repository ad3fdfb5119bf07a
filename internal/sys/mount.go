package sys

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// Option is one parameter of a new file system, as fsconfig(2) takes it.
// An empty Value sets the Key as a flag.
type Option struct{ Key, Value string }

// NewMount creates a detached mount of a file system: it has no place in any
// mount namespace, so nobody else can see or reach it, and it is gone when the
// last descriptor to it is closed. Attributes are MOUNT_ATTR_*.
//
// fsopen(2), fsconfig(2), fsmount(2), Linux 5.2. What the file system itself
// says about a refused option is in the error.
func NewMount(fstype string, options []Option, attributes int) (int, error) {
	ctx, err := retryInt(func() (int, error) { return unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC) })
	if err != nil {
		return -1, format.Errorf("fsopen %s: %w", fstype, err)
	}
	defer unix.Close(ctx)
	for _, o := range options {
		if err := setOption(ctx, o); err != nil {
			return -1, contextError(ctx, format.Sprintf("set %s option %q", fstype, o), err)
		}
	}
	if err := retry(func() error { return unix.FsconfigCreate(ctx) }); err != nil {
		return -1, contextError(ctx, "create "+fstype+" superblock", err)
	}
	fd, err := retryInt(func() (int, error) { return unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, attributes) })
	if err != nil {
		return -1, contextError(ctx, "fsmount "+fstype, err)
	}
	return fd, nil
}

// String gives the option as it stands in an fstab.
func (o Option) String() string {
	if o.Value == "" {
		return o.Key
	}
	return o.Key + "=" + o.Value
}

func setOption(ctx int, o Option) error {
	if o.Value == "" {
		return retry(func() error { return unix.FsconfigSetFlag(ctx, o.Key) })
	}
	return retry(func() error { return unix.FsconfigSetString(ctx, o.Key, o.Value) })
}

// contextError adds the messages that wait in a file system context: each
// read(2) of it returns one line, "e message" for an error (fsopen(2)).
func contextError(ctx int, what string, err error) error {
	var lines []string
	buf := make([]byte, 1024)
	for len(lines) < 8 {
		n, readErr := unix.Read(ctx, buf)
		if readErr != nil || n <= 0 {
			break
		}
		lines = append(lines, strings.TrimSpace(strings.TrimPrefix(string(buf[:n]), "e ")))
	}
	if len(lines) == 0 {
		return format.Errorf("%s: %w", what, err)
	}
	return format.Errorf("%s: %w (%s)", what, err, strings.Join(lines, "; "))
}

// OpenTree clones the mount that fd lies in, rooted at fd: a detached bind
// mount, without the mounts below it. open_tree(2), Linux 5.2.
func OpenTree(fd int) (int, error) {
	tree, err := retryInt(func() (int, error) {
		return unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	})
	if err != nil {
		return -1, format.Errorf("open_tree: %w", err)
	}
	return tree, nil
}

// MountSetattr changes attributes and propagation of the mount that fd is the
// root of. mount_setattr(2), Linux 5.12.
func MountSetattr(fd int, set, clear, propagation uint64) error {
	attr := unix.MountAttr{Attr_set: set, Attr_clr: clear, Propagation: propagation}
	err := retry(func() error { return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr) })
	if err != nil {
		return format.Errorf("mount_setattr: %w", err)
	}
	return nil
}

// MoveMount attaches the detached mount to the object that target is open on.
// Both descriptors stay what they were. move_mount(2), Linux 5.2. The kernel
// takes any type of inode as a target, also a link: look at it before.
func MoveMount(mount, target int) error {
	err := retry(func() error {
		return unix.MoveMount(mount, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	})
	if err != nil {
		return format.Errorf("move_mount: %w", err)
	}
	return nil
}

// NoSuchCall reports whether err means that this kernel, or a seccomp filter
// in front of it, does not have the system call.
func NoSuchCall(err error) bool {
	return errors.Is(err, unix.ENOSYS)
}

// Reconfigure changes options of the mounted file system whose mount's root is
// open as dirFd, as a remount does. fspick(2), Linux 5.2.
func Reconfigure(dirFd int, options []Option) error {
	ctx, err := retryInt(func() (int, error) {
		return unix.Fspick(dirFd, "", unix.FSPICK_CLOEXEC|unix.FSPICK_EMPTY_PATH|unix.FSPICK_NO_AUTOMOUNT)
	})
	if err != nil {
		return format.Errorf("fspick: %w", err)
	}
	defer unix.Close(ctx)
	for _, o := range options {
		if err := setOption(ctx, o); err != nil {
			return contextError(ctx, format.Sprintf("set option %q", o), err)
		}
	}
	if err := retry(func() error { return unix.FsconfigReconfigure(ctx) }); err != nil {
		return contextError(ctx, "reconfigure", err)
	}
	return nil
}
