package doctor

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/sys"
)

// examineLog recognises a log that cannot be replayed: what is fsynced between
// two commits is written there, and a mount that fails over it fails for ever.
// A file system that is mounted has a log, too, and nobody may touch that one.
func (x *Examination) examineLog() {
	device := x.Config.Root.Device
	if x.Host.RootIsMounted() {
		return
	}
	s, err := btrfs.ReadSuperblock(device)
	if err != nil || !s.HasLog || !x.openFailed() && !x.replayFailed(s) {
		return
	}
	x.add(Fault, "the file system can be read but not mounted, and it has a log: probably the log cannot be replayed",
		"dmesg | grep -i btrfs    # names the log; where it is the disk that gives errors, copy, and change nothing",
		"# What was fsynced in the last seconds before the power cut is in that log alone.",
		"mkdir -p /tmp/top && mount -o ro,rescue=nologreplay,subvolid=5 "+device+" /tmp/top",
		"# Copy away what you cannot do without, from /tmp/top, then:",
		"umount /tmp/top && btrfs rescue zero-log "+device+" && systemctl reboot")
}

// openFailed reports whether the rollback of this boot failed at the mount, and
// in a way that a bad log makes it fail.
func (x *Examination) openFailed() bool {
	record, err := initrd.ReadRecord(x.Host.RunDir, x.Host.BootID)
	if err != nil || record.Rollback == nil || record.Rollback.State != initrd.StateFailed {
		return false
	}
	steps := record.Rollback.Steps
	return len(steps) > 0 && steps[len(steps)-1].Name == initrd.StepOpen && isOfBadLog(unix.Errno(record.Rollback.Errno))
}

// isOfBadLog reports whether a log that cannot be replayed makes a mount fail
// with errno: these are the errors that have been seen with "Failed to recover
// log tree". Want of memory (ENOMEM), a disk that is write-protected (EACCES,
// EROFS) or missing are mended without giving up what was fsynced.
func isOfBadLog(errno unix.Errno) bool {
	switch errno {
	case unix.EIO, unix.EUCLEAN, unix.EEXIST, unix.ENOENT, unix.EINVAL:
		return true
	}
	return false
}

// replayFailed reports whether the kernel has logged that the replay failed, of
// the root's file system (btrfs_replay_log in fs/btrfs/disk-io.c): with
// ebb.rollback=no the mount is not the rollback's. Of several devices it may
// name any.
func (x *Examination) replayFailed(s btrfs.Superblock) bool {
	resolved, err := sys.Resolve(x.Config.Root.Device)
	if err != nil {
		return false
	}
	name := "(device " + path.Base(resolved)
	for _, line := range strings.Split(x.KernelLog, "\n") {
		bad := strings.Contains(line, "Failed to recover log tree") || strings.Contains(line, "failed to read log tree")
		if !bad || strings.Contains(line, "errno=-12 ") {
			continue
		}
		if s.Devices > 1 || strings.Contains(line, name+")") || strings.Contains(line, name+" ") {
			return true
		}
	}
	return false
}
