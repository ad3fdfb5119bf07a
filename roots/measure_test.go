package roots

import (
	"crypto/rand"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
)

func TestMeasure(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "subvolume in")
	d.archive(2)
	d.setReadOnly("@roots/000001/root", false)
	data := make([]byte, 1<<20)
	_, _ = rand.Read(data)
	if err := os.WriteFile(d.Path("@roots/000001/root/in/data"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	measure := func(count bool) []Root {
		t.Helper()
		if err := btrfs.Sync(d.Open()); err != nil {
			t.Fatal(err)
		}
		list, err := List(d.Open(), "@roots")
		if err == nil {
			err = Measure(d.Open(), list, count)
		}
		if err != nil || len(list) != 2 {
			t.Fatalf("%v, %v", list, err)
		}
		return list
	}
	for _, r := range measure(false) {
		if r.Exclusive != nil || r.Files != nil {
			t.Errorf("not asked for: %+v", r)
		}
	}
	list := measure(true)
	if large, small := list[1], list[0]; large.Exclusive != nil || *large.Files < 1<<20 || *large.Files > 1<<20+1<<17 || *small.Files > 1<<17 {
		t.Errorf("counted %d and %d", *large.Files, *small.Files)
	}
	enableQuota(t, d.Open())
	list = measure(false)
	if large, small := list[1], list[0]; large.Exclusive == nil || large.Files != nil || *large.Exclusive < 1<<20 || *large.Exclusive > 1<<20+1<<17 || *small.Exclusive > 1<<17 {
		t.Errorf("exclusive: %+v and %+v", large, small)
	}
}

// enableQuota enables quotas and waits until all is counted.
func enableQuota(t *testing.T, fd int) {
	t.Helper()
	for _, call := range []struct {
		name    string
		request uintptr // linux/btrfs.h
		args    [64]byte
	}{
		{"QUOTA_CTL", 0xc0109428, [64]byte{1}}, // BTRFS_QUOTA_CTL_ENABLE
		{"QUOTA_RESCAN_WAIT", 0x942e, [64]byte{}},
	} {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), call.request, uintptr(unsafe.Pointer(&call.args))); errno != 0 {
			t.Fatalf("%s: %v", call.name, errno)
		}
	}
}
