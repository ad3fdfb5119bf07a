package mounts

import "golang.org/x/sys/unix"

// change is what mount options ask of a mount: attributes to set and to clear
// (MOUNT_ATTR_*, mount_setattr(2)).
type change struct{ set, clear uint64 }

// optionTable gives the meaning of the options that a single mount can have.
// flag is what mount(2) calls the same thing (MS_*).
//
// The modes of access times are one field of three values: whoever changes it
// has to clear all of it. Relatime is what the kernel does by default, so that
// "atime", "norelatime" and "nostrictatime" come to the same.
var optionTable = []struct {
	name       string
	set, clear uint64
}{
	{"defaults", 0, 0},
	{"ro", unix.MOUNT_ATTR_RDONLY, 0},
	{"rw", 0, unix.MOUNT_ATTR_RDONLY},
	{"nosuid", unix.MOUNT_ATTR_NOSUID, 0},
	{"suid", 0, unix.MOUNT_ATTR_NOSUID},
	{"nodev", unix.MOUNT_ATTR_NODEV, 0},
	{"dev", 0, unix.MOUNT_ATTR_NODEV},
	{"noexec", unix.MOUNT_ATTR_NOEXEC, 0},
	{"exec", 0, unix.MOUNT_ATTR_NOEXEC},
	{"nosymfollow", unix.MOUNT_ATTR_NOSYMFOLLOW, 0},
	{"symfollow", 0, unix.MOUNT_ATTR_NOSYMFOLLOW},
	{"nodiratime", unix.MOUNT_ATTR_NODIRATIME, 0},
	{"diratime", 0, unix.MOUNT_ATTR_NODIRATIME},
	{"noatime", unix.MOUNT_ATTR_NOATIME, unix.MOUNT_ATTR__ATIME},
	{"atime", unix.MOUNT_ATTR_RELATIME, unix.MOUNT_ATTR__ATIME},
	{"relatime", unix.MOUNT_ATTR_RELATIME, unix.MOUNT_ATTR__ATIME},
	{"norelatime", unix.MOUNT_ATTR_RELATIME, unix.MOUNT_ATTR__ATIME},
	{"strictatime", unix.MOUNT_ATTR_STRICTATIME, unix.MOUNT_ATTR__ATIME},
	{"nostrictatime", unix.MOUNT_ATTR_RELATIME, unix.MOUNT_ATTR__ATIME},
}

// mountChange reads mount options; of two that contradict each other the later
// one counts, as in mount(8). What it does not know is for programs to read
// (x-...): the config has let nothing else through.
func mountChange(options []string) (c change) {
	for _, option := range options {
		for _, row := range optionTable {
			if row.name == option {
				c.set = c.set&^row.clear | row.set
				c.clear = c.clear&^row.set | row.clear
			}
		}
	}
	return c
}
