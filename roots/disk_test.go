package roots

import (
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// disk is a file system with a live root and an archive.
type disk struct {
	*testenv.Fixture
	t testing.TB
}

func newDisk(t testing.TB) *disk {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "subvolume @blank", "subvolume @persist", "file @persist/letter 0600 0:0 dear", "dir @roots 0700 0:0")
	return &disk{f, t}
}

// archive makes an archived root of that number, with a meta.json that knows it.
func (d *disk) archive(number uint64, trees ...string) {
	d.t.Helper()
	dir := "@roots/" + archive.DirectoryName(number)
	specs := []string{"dir " + dir + " 0700 0:0", "subvolume " + dir + "/root", "file " + dir + "/root/old 0644 0:0 old"}
	for _, tree := range trees {
		kind, rest, _ := strings.Cut(tree, " ")
		specs = append(specs, kind+" "+dir+"/root/"+rest)
	}
	testenv.Tree(d.t, d.Dir, specs...)
	d.describe(number)
	d.setReadOnly(dir+"/root", true)
}

func (d *disk) setReadOnly(path string, readOnly bool) {
	d.t.Helper()
	// What is open is not cleaned up.
	dir, err := os.Open(d.Path(path))
	if err != nil {
		d.t.Fatal(err)
	}
	defer dir.Close()
	if err := btrfs.SetReadOnly(int(dir.Fd()), readOnly); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) info(path string) btrfs.SubvolumeInfo {
	d.t.Helper()
	dir, err := os.Open(d.Path(path))
	if err != nil {
		d.t.Fatal(err)
	}
	defer dir.Close()
	info, err := btrfs.Info(int(dir.Fd()))
	if err != nil {
		d.t.Fatal(err)
	}
	return info
}

// describe writes the meta.json that a rollback would have written.
func (d *disk) describe(number uint64) {
	d.t.Helper()
	dir := "@roots/" + archive.DirectoryName(number)
	info := d.info(dir + "/root")
	meta := &archive.Info{Sequence: number, Archived: daysAgo(int(100 - number)), Subvolumes: []archive.Member{{Name: "root", Path: "@", Fresh: btrfs.UUID{1}, Old: info.UUID}}}
	data, err := meta.Marshal()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(d.Path(dir, "meta.json"), data, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// open begins a removal on the disk.
func (d *disk) open(protected ...Protected) *Remover {
	d.t.Helper()
	r := &Remover{Protected: protected, Members: []string{"root"}, Announce: func(format string, a ...any) { d.t.Logf(format, a...) }}
	if err := r.Open(d.Open("."), "@roots"); err != nil {
		d.t.Fatal(err)
	}
	return r
}

// subvolumes returns the paths of all subvolumes but the top level.
func (d *disk) subvolumes() string {
	d.t.Helper()
	list, err := btrfs.List(d.Open("."))
	if err != nil {
		d.t.Fatal(err)
	}
	var paths []string
	for _, s := range list[1:] {
		path, err := list.Path(s.ID)
		if err != nil {
			path = s.Name
		}
		paths = append(paths, path)
	}
	return strings.Join(paths, " ")
}

func mustRename(d *disk, from, to string) {
	d.t.Helper()
	if err := os.Rename(d.Path(from), d.Path(to)); err != nil {
		d.t.Fatal(err)
	}
}

// setDefault makes a subvolume the one that is mounted without subvol=.
func setDefault(d *disk, path string) {
	d.t.Helper()
	info := d.info(path)
	// BTRFS_IOC_DEFAULT_SUBVOL, _IOW(0x94, 19, __u64)
	const request = 1<<30 | 8<<16 | 0x94<<8 | 19
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.Open(".")), request, uintptr(unsafe.Pointer(&info.ID))); errno != 0 {
		d.t.Fatal(errno)
	}
}
