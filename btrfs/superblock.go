package btrfs

import (
	"bytes"
	"encoding/binary"
	"io"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// The first superblock and its fields: struct btrfs_super_block of
// linux/btrfs_tree.h.
const (
	superblockOffset = 64 << 10
	superblockSize   = 4096
	superblockMagic  = "_BHRfS_M"

	superblockUUIDAt    = 0x20
	superblockMagicAt   = 0x40
	superblockLogAt     = 0x60
	superblockDevicesAt = 0x88
	superblockDeviceAt  = 0xc9 // dev_item, which begins with the number
	superblockLabelAt   = 0x12b
	superblockLabel     = 256
)

// Superblock is what a device tells of its file system without being mounted.
type Superblock struct {
	UUID  UUID
	Label string
	// HasLog: the last mount ended in a power cut, and there are fsyncs that
	// the next mount replays, unless it has the option rescue=nologreplay.
	HasLog bool
	// Devices is how many the file system has. It mounts when all of them are
	// there or, if its profiles allow for it, with the option degraded.
	Devices uint64
	// DeviceID is which of them this one is.
	DeviceID uint64
}

// ReadSuperblock reads the first superblock of a device or image. It fails
// with [ErrNotBtrfs] when there is none. Nothing is verified: it is for people
// who look for their file system.
func ReadSuperblock(path string) (Superblock, error) {
	f, err := sys.OpenPath(path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return Superblock{}, err
	}
	defer f.Close()
	block := make([]byte, superblockSize)
	if _, err := f.ReadAt(block, superblockOffset); err == io.EOF {
		return Superblock{}, format.Errorf("%s: %w", path, ErrNotBtrfs)
	} else if err != nil {
		return Superblock{}, err
	}
	return parseSuperblock(path, block)
}

func parseSuperblock(path string, block []byte) (s Superblock, err error) {
	if string(block[superblockMagicAt:][:len(superblockMagic)]) != superblockMagic {
		return s, format.Errorf("%s: %w", path, ErrNotBtrfs)
	}
	copy(s.UUID[:], block[superblockUUIDAt:])
	label, _, _ := bytes.Cut(block[superblockLabelAt:][:superblockLabel], []byte{0})
	s.Label = string(label)
	s.HasLog = binary.LittleEndian.Uint64(block[superblockLogAt:]) != 0
	s.Devices = binary.LittleEndian.Uint64(block[superblockDevicesAt:])
	s.DeviceID = binary.LittleEndian.Uint64(block[superblockDeviceAt:])
	return s, nil
}
