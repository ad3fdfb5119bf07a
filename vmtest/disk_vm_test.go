package vmtest_test

import (
	"io"
	"os"
	"testing"

	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/testvm"
)

// Each kind of disk has what is asked for where it belongs. No machine is booted for that.
func TestDiskLayouts(t *testing.T) {
	kit := testvm.Kit(t)
	const (
		mib      = 1 << 20
		data     = 65 * mib // the partition with the file system
		size     = 320 * mib
		swapMark = data + size + 4096 - 10
	)
	volume := vmtest.LogicalVolume{Group: "vg", Name: "root"}
	subvolumes := []string{"@"}
	for _, c := range []struct {
		name   string
		layout vmtest.DiskLayout
		marks  map[int64]string
	}{
		{"btrfs", vmtest.DiskLayout{Subvolumes: subvolumes}, map[int64]string{data + 65536 + 64: "_BHRfS_M"}},
		{"bare", vmtest.DiskLayout{Subvolumes: subvolumes, Bare: true}, map[int64]string{65536 + 64: "_BHRfS_M"}},
		{"swap", vmtest.DiskLayout{Subvolumes: subvolumes, Swap: 16 * mib}, map[int64]string{data + 65536 + 64: "_BHRfS_M", swapMark: "SWAPSPACE2"}},
		{"ext4", vmtest.DiskLayout{Kind: vmtest.Ext4}, map[int64]string{data + 1024 + 56: "\x53\xef"}},
		{"xfs", vmtest.DiskLayout{Kind: vmtest.XFS}, map[int64]string{data: "XFSB"}},
		{"lvm", vmtest.DiskLayout{Subvolumes: subvolumes, Volume: volume}, map[int64]string{data + 512: "LABELONE", data + mib + 65536 + 64: "_BHRfS_M"}},
		{"luks", vmtest.DiskLayout{Subvolumes: subvolumes, Passphrase: "x"}, map[int64]string{data: "LUKS\xba\xbe\x00\x02"}},
		{"lvm on luks", vmtest.DiskLayout{Subvolumes: subvolumes, Volume: volume, Passphrase: "x"}, map[int64]string{data: "LUKS\xba\xbe\x00\x02"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.layout.Label, c.layout.Size = "kinds", size
			f, err := os.Open(testvm.Disk(t, kit, c.layout))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for at, want := range c.marks {
				got := make([]byte, len(want))
				if _, err := f.ReadAt(got, at); err != nil && err != io.EOF {
					t.Fatal(err)
				}
				if string(got) != want {
					t.Errorf("at %d: got %q, want %q", at, got, want)
				}
			}
		})
	}
}
