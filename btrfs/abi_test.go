package btrfs

import (
	"testing"
	"unsafe"
)

// The expected numbers are those that a C compiler gives for linux/btrfs.h.
func TestLayout(t *testing.T) {
	tests := []struct {
		name      string
		got, want uintptr
	}{
		{"btrfs_ioctl_vol_args", unsafe.Sizeof(deviceArgs{}), 4096},
		{"btrfs_ioctl_vol_args.name", unsafe.Offsetof(deviceArgs{}.name), 8},
		{"btrfs_ioctl_vol_args_v2", unsafe.Sizeof(volumeArgs{}), 4096},
		{"btrfs_ioctl_vol_args_v2.flags", unsafe.Offsetof(volumeArgs{}.flags), 16},
		{"btrfs_ioctl_vol_args_v2.name", unsafe.Offsetof(volumeArgs{}.nameOrID), 56},
		{"btrfs_ioctl_timespec", unsafe.Sizeof(timespec{}), 16},
		{"btrfs_ioctl_get_subvol_info_args", unsafe.Sizeof(subvolumeInfoArgs{}), 504},
		{"btrfs_ioctl_get_subvol_info_args.parent_id", unsafe.Offsetof(subvolumeInfoArgs{}.parentID), 264},
		{"btrfs_ioctl_get_subvol_info_args.uuid", unsafe.Offsetof(subvolumeInfoArgs{}.uuid), 296},
		{"btrfs_ioctl_get_subvol_info_args.otime", unsafe.Offsetof(subvolumeInfoArgs{}.createTime), 392},
		{"btrfs_ioctl_search_key", unsafe.Sizeof(searchKey{}), 104},
		{"btrfs_ioctl_search_key.min_type", unsafe.Offsetof(searchKey{}.minType), 56},
		{"btrfs_ioctl_search_key.nr_items", unsafe.Offsetof(searchKey{}.itemCount), 64},
		{"btrfs_ioctl_search_args_v2", unsafe.Offsetof(searchArgs{}.buffer), 112},
		{"btrfs_ioctl_ino_lookup_args", unsafe.Sizeof(inodeLookupArgs{}), 4096},
		{"btrfs_ioctl_fs_info_args", unsafe.Sizeof(fileSystemInfoArgs{}), 1024},
		{"btrfs_ioctl_fs_info_args.nodesize", unsafe.Offsetof(fileSystemInfoArgs{}.nodeSize), 32},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("%s: %d, want %d", test.name, test.got, test.want)
		}
	}
}

func TestRequests(t *testing.T) {
	tests := []struct {
		name      string
		got, want uintptr
	}{
		{"BTRFS_IOC_SCAN_DEV", requestScanDevice, 0x50009404},
		{"BTRFS_IOC_FORGET_DEV", requestForgetDevice, 0x50009405},
		{"BTRFS_IOC_TREE_SEARCH_V2", requestTreeSearchV2, 0xc0709411},
		{"BTRFS_IOC_INO_LOOKUP", requestInodeLookup, 0xd0009412},
		{"BTRFS_IOC_SNAP_CREATE_V2", requestSnapshotCreateV2, 0x50009417},
		{"BTRFS_IOC_SUBVOL_CREATE_V2", requestSubvolumeCreateV2, 0x50009418},
		{"BTRFS_IOC_SUBVOL_GETFLAGS", requestGetFlags, 0x80089419},
		{"BTRFS_IOC_SUBVOL_SETFLAGS", requestSetFlags, 0x4008941a},
		{"BTRFS_IOC_FS_INFO", requestFileSystemInfo, 0x8400941f},
		{"BTRFS_IOC_DEVICES_READY", requestDevicesReady, 0x90009427},
		{"BTRFS_IOC_GET_SUBVOL_INFO", requestSubvolumeInfo, 0x81f8943c},
		{"BTRFS_IOC_SNAP_DESTROY_V2", requestSnapshotDestroyV2, 0x5000943f},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("%s: %#x, want %#x", test.name, test.got, test.want)
		}
	}
}
