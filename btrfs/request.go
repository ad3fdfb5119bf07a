//go:build linux && (amd64 || arm64 || loong64 || riscv64 || s390x)

package btrfs

import "unsafe"

// The parts of an ioctl request number, see asm-generic/ioctl.h. Some
// architectures have other direction bits and a narrower size field, which is
// why this file is restricted to those that use the generic ones.
const (
	typeShift      = 8
	sizeShift      = 16
	directionShift = 30

	directionNone  = 0
	directionWrite = 1
	directionRead  = 2

	// ioctlMagic is BTRFS_IOCTL_MAGIC. Other file systems use it too (FICLONE
	// is 0x94, 9), so the functions here make sure that they talk to btrfs.
	ioctlMagic = 0x94
)

// Requests of linux/btrfs.h. The arguments of TREE_SEARCH_V2 end in a buffer
// that is not counted in the size.
const (
	requestScanDevice = directionWrite<<directionShift | unsafe.Sizeof(deviceArgs{})<<sizeShift |
		ioctlMagic<<typeShift | 4
	requestForgetDevice = directionWrite<<directionShift | unsafe.Sizeof(deviceArgs{})<<sizeShift |
		ioctlMagic<<typeShift | 5
	requestTreeSearchV2 = (directionRead|directionWrite)<<directionShift |
		unsafe.Offsetof(searchArgs{}.buffer)<<sizeShift | ioctlMagic<<typeShift | 17
	requestInodeLookup = (directionRead|directionWrite)<<directionShift |
		unsafe.Sizeof(inodeLookupArgs{})<<sizeShift | ioctlMagic<<typeShift | 18
	requestSnapshotCreateV2 = directionWrite<<directionShift | unsafe.Sizeof(volumeArgs{})<<sizeShift |
		ioctlMagic<<typeShift | 23
	requestSubvolumeCreateV2 = directionWrite<<directionShift | unsafe.Sizeof(volumeArgs{})<<sizeShift |
		ioctlMagic<<typeShift | 24
	requestGetFlags = directionRead<<directionShift | unsafe.Sizeof(Flags(0))<<sizeShift |
		ioctlMagic<<typeShift | 25
	requestSetFlags = directionWrite<<directionShift | unsafe.Sizeof(Flags(0))<<sizeShift |
		ioctlMagic<<typeShift | 26
	requestFileSystemInfo = directionRead<<directionShift | unsafe.Sizeof(fileSystemInfoArgs{})<<sizeShift |
		ioctlMagic<<typeShift | 31
	requestDevicesReady = directionRead<<directionShift | unsafe.Sizeof(deviceArgs{})<<sizeShift |
		ioctlMagic<<typeShift | 39
	requestSubvolumeInfo = directionRead<<directionShift | unsafe.Sizeof(subvolumeInfoArgs{})<<sizeShift |
		ioctlMagic<<typeShift | 60
	requestSnapshotDestroyV2 = directionWrite<<directionShift | unsafe.Sizeof(volumeArgs{})<<sizeShift |
		ioctlMagic<<typeShift | 63
)
