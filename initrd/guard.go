package initrd

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// ErrRefused is the error of a guard: nothing was changed, because going on
// could have lost data.
var ErrRefused = errors.New("refused")

// refusal is a guard's word, with what to do about it.
type refusal struct {
	reason string
	hint   string
}

func (r *refusal) Error() string        { return r.reason }
func (r *refusal) Is(target error) bool { return target == ErrRefused }

// Hint returns what a person can do about err, if its author knew.
func Hint(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.hint
	}
	var problems config.Problems
	if errors.As(err, &problems) {
		return "ebb check lists all that is wrong with the config; until it is mended, boot an earlier generation"
	}
	if unix.Geteuid() != 0 && errors.Is(err, fs.ErrPermission) {
		return "only root may do that"
	}
	for _, known := range hints {
		if errors.Is(err, known.err) {
			return known.hint
		}
	}
	return ""
}

// hints for what the kernel says.
var hints = []struct {
	err  error
	hint string
}{
	{unix.ENOSPC, "the file system is full: free space in the running system, ebb prune deletes archived roots"},
	{unix.EDQUOT, "a quota is used up: raise it, or delete archived roots with ebb prune"},
	{unix.EROFS, "the file system is read-only: look for errors in dmesg, check it with btrfs check; or the subvolume is: btrfs property set PATH ro false"},
	{unix.EACCES, "the device refuses to be written to: is it write-protected, or broken? look into dmesg"},
	{unix.EIO, "the device gives errors: look into dmesg, save your data"},
	{unix.ENODEV, "the kernel has no such file system: is the btrfs module in the initrd?"},
	{unix.ENOENT, "is the name right? ls /dev/disk/by-* shows which disks are there"},
}

// guardSysroot refuses when something is mounted where the root will be: the
// machine runs on the subvolume already, or is about to.
func guardSysroot(sysroot string, table []mounts.MountInfo) error {
	for _, m := range table {
		if m.MountPoint == sysroot {
			return &refusal{
				reason: format.Sprintf("%s is mounted already (%s from %s)", sysroot, m.Type, m.Source),
				hint:   "a rollback has to run before the root is mounted; the next boot will make one",
			}
		}
	}
	return nil
}

// guardArchive opens the archive and locks it: -1 when it is not there. It
// refuses when another ebb works on it, and when it belongs to anybody but root.
func guardArchive(topFd int, name string) (fd int, err error) {
	fd, err = archive.Open(topFd, name)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	st, err := sys.Stat(fd)
	switch {
	case err != nil:
	case st.UID != 0:
		err = &refusal{
			reason: format.Sprintf("the archive %q belongs to user %d", name, st.UID),
			hint:   "nobody but root may own it: move it away, ebb makes a new one",
		}
	default:
		err = lockArchive(fd, name)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// lockArchive keeps a second ebb out while this one works. The lock ends with
// the descriptor, so a killed process leaves none.
func lockArchive(fd int, name string) error {
	err := sys.TryLock(fd)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return &refusal{reason: "another ebb is at work on this archive", hint: "wait for it, then look at ebb status"}
	}
	if err != nil {
		return format.Errorf("archive %q: %w", name, err)
	}
	return nil
}

// guardLiveRoot refuses when a subvolume that would be moved aside is mounted
// somewhere, or one that lies in it and would move along. The kernel would do
// it, and whoever writes there would go on writing into the archive.
func guardLiveRoot(top int, members []MemberFacts, table []mounts.MountInfo) error {
	for i := range table {
		m := &table[i]
		for _, member := range members {
			if m.Type != "btrfs" || member.Live == nil || !within(strings.TrimPrefix(m.Root, "/"), member.Path) {
				continue
			}
			is, err := isMountOf(m, top)
			if !is && err == nil {
				continue
			}
			reason := format.Sprintf("subvolume %q is mounted on %s, from %s", member.Path, m.MountPoint, m.Root)
			if err != nil {
				reason = "cannot tell whether " + reason + ": " + err.Error()
			}
			return &refusal{reason, "unmount it, or let the next boot make the rollback"}
		}
	}
	return nil
}

// isMountOf reports whether a mount is of the file system of fd. Device numbers
// would not tell: btrfs shows another one in mountinfo than in stat(2). What is
// at the mount's place may be another one that covers it; then what lies on the
// device tells.
func isMountOf(m *mounts.MountInfo, fd int) (bool, error) {
	ours, err := btrfs.FSInfo(fd)
	if err != nil {
		return false, err
	}
	at, err := sys.OpenPath(m.MountPoint, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW)
	if err == nil {
		defer at.Close()
		if st, err := sys.Stat(int(at)); err == nil && st.MountID == m.ID {
			its, err := btrfs.FSInfo(int(at))
			return its.UUID == ours.UUID, err
		}
	}
	s, err := btrfs.ReadSuperblock(m.Source)
	return s.UUID == ours.UUID, err
}

// within reports whether the clean path p is dir or lies below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }
