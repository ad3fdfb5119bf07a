package doctor

import (
	"path"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
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

// examineNames looks whether the root's device is the only one of its name: of
// two disks with one label, or of a disk and its copy, udev's link leads to the
// one that it has seen last, and that is the one that would be rolled back.
func (x *Examination) examineNames() {
	device := x.Config.Root.Device
	s, err := btrfs.ReadSuperblock(device)
	if err != nil {
		return
	}
	node, _ := sys.Resolve(device)
	seen := map[string]bool{node: true}
	x.eachSuperblock(func(link string, other btrfs.Superblock) {
		if node, _ = sys.Resolve(link); seen[node] {
			return
		}
		seen[node] = true
		switch {
		case other.UUID == s.UUID && other.DeviceID == s.DeviceID:
			x.add(Warning, format.Sprintf("%s is a copy of what is on %s, with the same uuid: either may become the root", link, device),
				"btrfstune -u "+link+"    # gives the copy a uuid of its own; or detach it")
		case other.UUID != s.UUID && other.Label == s.Label && path.Base(path.Dir(device)) == "by-label":
			x.add(Warning, format.Sprintf("%s has the label %q as well: %s may lead to either", link, s.Label, device),
				"btrfs filesystem label "+link+" other    # or name the root by its uuid: "+s.UUID.String())
		}
	})
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
