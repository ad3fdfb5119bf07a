package mounts

import (
	"reflect"
	"testing"
)

func TestParseMountInfo(t *testing.T) {
	tests := []struct {
		line string
		want MountInfo
	}{
		{
			`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`,
			MountInfo{36, 35, 98, 0, "/mnt1", "/mnt2", "rw,noatime", []string{"master:1"}, "ext3", "/dev/root", "rw,errors=continue"},
		},
		{
			`72 28 0:41 /@persist/var/log /sysroot/var/log rw,relatime shared:12 master:3 propagate_from:2 - btrfs /dev/mapper/x\040y rw,subvol=/@persist`,
			MountInfo{
				72, 28, 0, 41, "/@persist/var/log", "/sysroot/var/log", "rw,relatime",
				[]string{"shared:12", "master:3", "propagate_from:2"},
				"btrfs", "/dev/mapper/x y", "rw,subvol=/@persist",
			},
		},
		{
			`1 0 0:1 / /a\040b\011c\012d\134e\999\04 rw - tmpfs - rw`,
			MountInfo{1, 0, 0, 1, "/", "/a b\tc\nd\\e\\999\\04", "rw", nil, "tmpfs", "-", "rw"},
		},
		{`1 0 0:1 / / rw - tmpfs  rw`, MountInfo{1, 0, 0, 1, "/", "/", "rw", nil, "tmpfs", "", "rw"}},
	}
	for _, test := range tests {
		got, err := ParseMountInfo(test.line + "\n")
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], test.want) {
			t.Errorf("%s\ngot  %+v (%v)\nwant %+v", test.line, got, err, test.want)
		}
	}
	for _, line := range []string{
		"", "x", "1 0 0:1 / / rw tmpfs none rw", "x 0 0:1 / / rw - tmpfs none rw", "1 -1 0:1 / / rw - tmpfs none rw",
		"1 0 01 / / rw - tmpfs none rw", "1 0 0:4294967296 / / rw - tmpfs none rw", "1 0 0:1 / rw - tmpfs none rw",
		"1 0 0:1 / / rw - tmpfs none",
	} {
		if got, err := ParseMountInfo(line + "\n"); err == nil {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestReadMountInfo(t *testing.T) {
	mounts, err := ReadMountInfo()
	if err != nil || len(mounts) == 0 {
		t.Fatalf("%d mounts (%v)", len(mounts), err)
	}
}

func FuzzParseMountInfo(f *testing.F) {
	f.Add("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n")
	f.Add("1 0 0:1 / /a\\040b\\ rw - tmpfs - rw")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := ParseMountInfo(text)
		if err != nil && mounts != nil {
			t.Errorf("mounts and an error: %v", err)
		}
	})
}

func FuzzUnescape(f *testing.F) {
	f.Add("a b\tc\nd\\040e\\")
	f.Fuzz(func(t *testing.T, text string) {
		if got := unescape(escape(text)); got != text {
			t.Errorf("%q became %q on its way through %q", text, got, escape(text))
		}
	})
}
