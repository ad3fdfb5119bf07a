package sys

import (
	"golang.org/x/sys/unix"
)

// MoveMountTo attaches the detached mount to name in dirFd, without following
// a link: what it is must be certain, also for the next moment. move_mount(2).
func MoveMountTo(mount, dirFd int, name string) error {
	if err := CheckName(name); err != nil {
		return pathError("move_mount", name, err)
	}
	err := retry(func() error { return unix.MoveMount(mount, "", dirFd, name, unix.MOVE_MOUNT_F_EMPTY_PATH) })
	if err != nil {
		return pathError("move_mount", name, err)
	}
	return nil
}
