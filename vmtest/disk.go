package vmtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/internal/cache"
	"github.com/ebb-nix/ebb/vmtest/internal/disk"
)

// DefaultDiskSize is the size in bytes of a file system whose layout names none.
const DefaultDiskSize = 1 << 30

// Kinds of file systems.
const (
	Btrfs = disk.Btrfs
	Ext4  = disk.Ext4
	XFS   = disk.XFS // its Files and its Store must be empty
)

// LogicalVolume is a volume of an LVM group: /dev/GROUP/NAME.
type LogicalVolume = disk.LogicalVolume

// DiskLayout describes a disk: a GPT with an EFI system partition and one partition with a file system.
type DiskLayout struct {
	// Label is the label of the file system and the name of its partition.
	Label string
	// Kind of the file system, Btrfs when empty.
	Kind string
	// Size of the file system in bytes, DefaultDiskSize when zero.
	Size int64
	// Subvolumes are paths from the top level, parents before children, "@" or "nixos/@" say.
	Subvolumes []string
	// ReadOnly are more subvolumes, with the read-only flag: "@blank".
	ReadOnly []string
	// Store is the directory that is mounted on /nix, a subvolume or "/", and takes the system. A disk without one has
	// no system.
	Store string
	// Files are put in before the first boot, by their paths from the top level ("@persist/etc/x"). They belong to root.
	Files []files.File
	// Volume, when it has a name, is the logical volume that the file system lies in, the only one of its group.
	Volume LogicalVolume
	// Passphrase, when not empty, opens the LUKS2 device that the file system lies in, or the physical volume.
	Passphrase string
	// Swap is the size in bytes of one more partition, with swap space and the label "swap". Zero: none.
	Swap int64
	// Bare leaves out the partition table: the file system takes the whole disk.
	Bare bool
}

// Disk returns the path of a raw image with this layout. It is made once and kept; machines write to overlays of it.
func (k *Kit) Disk(ctx context.Context, layout DiskLayout) (string, error) {
	spec := layout.spec()
	if layout.Store != "" {
		spec.Trees = map[string]string{filepath.Join(layout.Store, "store", filepath.Base(k.closure)): k.system}
	}
	key := cache.Key(recipe, string(k.tools), fmt.Sprintf("%+v", spec))
	dir, err := k.cache.Build("disk-"+layout.Label, key, func(dir string) error {
		k.report("making disk %s", layout.Label)
		scratch, err := os.MkdirTemp(k.cache.Root(), ".disk-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(scratch) // what is left after a failure is only in the way
		return disk.Make(ctx, k.tools, spec, filepath.Join(dir, "disk.raw"), scratch)
	})
	return filepath.Join(dir, "disk.raw"), err
}

func (l DiskLayout) spec() disk.Spec {
	spec := disk.Spec{
		Label: l.Label, Kind: l.Kind, Size: l.Size, Files: l.Files,
		Volume: l.Volume, Passphrase: l.Passphrase, Swap: l.Swap, Bare: l.Bare,
	}
	if spec.Size == 0 {
		spec.Size = DefaultDiskSize
	}
	for _, name := range l.Subvolumes {
		spec.Subvolumes = append(spec.Subvolumes, disk.Subvolume{Name: name})
	}
	for _, name := range l.ReadOnly {
		spec.Subvolumes = append(spec.Subvolumes, disk.Subvolume{Name: name, ReadOnly: true})
	}
	return spec
}
