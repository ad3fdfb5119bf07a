package doctor

import (
	"path"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
)

// examineMembers counts the devices of the root's file system: without all of
// them it does not mount, unless it is told to.
func (x *Examination) examineMembers() {
	root := &x.Config.Root
	s, err := btrfs.ReadSuperblock(root.Device)
	if err != nil || s.Devices < 2 {
		return
	}
	here := map[uint64]bool{s.DeviceID: true}
	x.eachSuperblock(func(_ string, other btrfs.Superblock) {
		if other.UUID == s.UUID {
			here[other.DeviceID] = true
		}
	})
	if missing := int(s.Devices) - len(here); missing > 0 {
		x.add(Fault, format.Sprintf("the file system on %s has %d devices, of which %d are not here: attach them, or go on without, on the old root", root.Device, s.Devices, missing),
			initrd.MountDegraded(root))
	}
}

// eachSuperblock calls do with each name of a disk that a btrfs is on. A disk
// has several names.
func (x *Examination) eachSuperblock(do func(link string, s btrfs.Superblock)) {
	for _, by := range append(namesIn(x.Disks), path.Join(path.Dir(x.Disks), "mapper")) {
		for _, link := range namesIn(by) {
			if s, err := btrfs.ReadSuperblock(link); err == nil {
				do(link, s)
			}
		}
	}
}
