package initrd

import (
	"errors"
	"io/fs"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// RollbackNotStarted records that the service manager never started a rollback
// in this boot, and returns why; configErr is what was wrong with the config,
// if it could not be read. It does nothing when a rollback has left its own
// record.
func (h *Host) RollbackNotStarted(cfg *config.Config, configErr error) error {
	if h.rollbackTold() {
		return nil
	}
	record := &RollbackRecord{Started: now()}
	if configErr != nil {
		return h.finishRollback(record, configErr)
	}
	if cfg.Root.Kind == config.KindNone {
		return nil
	}
	record.Kind, record.Device = string(cfg.Root.Kind), cfg.Root.Device
	return h.finishRollback(record, whyNotStarted(&cfg.Root))
}

// rollbackTold reports whether a rollback has left its record in this boot.
func (h *Host) rollbackTold() bool {
	record, err := ReadRecord(h.RunDir, h.BootID)
	return err == nil && record.Rollback != nil
}

// whyNotStarted finds out what the rollback waited for in vain. There is one
// thing that ebb-rollback.service requires: the device.
func whyNotStarted(root *config.Root) error {
	if root.Kind == config.KindBtrfs {
		if err := sys.Exists(root.Device); errors.Is(err, fs.ErrNotExist) {
			return &refusal{
				reason: "the device " + root.Device + " did not appear",
				hint:   "is the disk attached, and is the name right? ls /dev/disk/by-* shows which there are",
			}
		}
	}
	if s, err := btrfs.ReadSuperblock(root.Device); err == nil && s.Devices > 1 {
		return &refusal{
			reason: format.Sprintf("of the %d devices of the file system on %s one did not appear", s.Devices, root.Device),
			hint:   "attach it, or go on without it, on the old root: " + MountDegraded(root),
		}
	}
	return &refusal{
		reason: "the rollback was not started",
		hint:   "systemctl status ebb-rollback.service tells why",
	}
}

// MountDegraded is the command for the emergency shell by which a machine boots
// without one of its root's devices. Once the file system is mounted so, the
// kernel has it for ready, which udev has to ask for again (64-btrfs.rules), as
// the other mounts wait for udev.
func MountDegraded(root *config.Root) string {
	return "mount -o degraded,subvol=" + root.Subvolume + " " + root.Device + " /sysroot && udevadm trigger --settle --subsystem-match=block && systemctl default"
}
