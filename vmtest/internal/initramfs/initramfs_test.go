package initramfs

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/internal/debian"
)

func TestWrite(t *testing.T) {
	var out bytes.Buffer
	list := []files.File{
		files.Text("/etc/systemd/system.conf", "[Manager]\n"),
		files.Symlink("init", "usr/lib/systemd/systemd"),
		files.Dir("tmp", 0o777|fs.ModeSticky),
		{Path: "etc", Mode: fs.ModeDir | 0o700},
		{Path: "home/me", Mode: fs.ModeDir | 0o700, UID: 1000, GID: 100},
	}
	if err := Write(&out, list); err != nil {
		t.Fatal(err)
	}
	if out.Len()%alignment != 0 {
		t.Errorf("%d bytes: the next archive would not be found", out.Len())
	}
	first := slices.Clone(out.Bytes())
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(out.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	modes := map[string]uint64{}
	for _, r := range records {
		names = append(names, r.Name)
		modes[r.Name] = r.Mode
		if r.Name == "home/me" && (r.UID != 1000 || r.GID != 100) {
			t.Errorf("owner of home/me: %d:%d", r.UID, r.GID)
		}
	}
	want := []string{"etc", "etc/systemd", "etc/systemd/system.conf", "home", "home/me", "init", "tmp"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	for name, mode := range map[string]uint64{
		"etc": cpio.S_IFDIR | 0o700, "etc/systemd": cpio.S_IFDIR | 0o755, "tmp": cpio.S_IFDIR | 0o1777,
		"etc/systemd/system.conf": cpio.S_IFREG | 0o644, "init": cpio.S_IFLNK | 0o777,
	} {
		if modes[name] != mode {
			t.Errorf("%s has mode %o, want %o", name, modes[name], mode)
		}
	}
	out.Reset()
	slices.Reverse(list)
	if err := Write(&out, list); err != nil || !bytes.Equal(out.Bytes(), first) {
		t.Errorf("the same files in another order make another archive (%v)", err)
	}
}

func TestWriteRefusesOutside(t *testing.T) {
	if err := Write(io.Discard, []files.File{files.Text("../etc/passwd", "")}); err == nil {
		t.Error("no error")
	}
}

const modulesDep = `kernel/fs/btrfs/btrfs.ko.xz: kernel/lib/raid6/raid6_pq.ko.xz kernel/crypto/xor.ko.xz
kernel/lib/raid6/raid6_pq.ko.xz:
kernel/crypto/xor.ko.xz:
kernel/arch/x86/crypto/crc32c-intel.ko.xz:
kernel/fs/fat/vfat.ko.xz: kernel/fs/fat/fat.ko.xz
kernel/fs/fat/fat.ko.xz:
`

func TestModuleClosure(t *testing.T) {
	got, err := moduleClosure(strings.NewReader(modulesDep), []string{"btrfs", "xor"}, []string{"crc32c_intel", "zfs"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"kernel/fs/btrfs/btrfs.ko.xz", "kernel/lib/raid6/raid6_pq.ko.xz", "kernel/crypto/xor.ko.xz",
		"kernel/arch/x86/crypto/crc32c-intel.ko.xz",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := moduleClosure(strings.NewReader(modulesDep), []string{"zfs"}, nil); err == nil {
		t.Error("a module that is not there: no error")
	}
}

// zstdFrame and lz4Frames compress as the build of a kernel does.
func zstdFrame(t *testing.T, data []byte) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return enc.EncodeAll(data, nil)
}

func lz4Frames(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	if err := w.Apply(lz4.LegacyOption(true)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// bzImage makes as much of a kernel image as the boot protocol says where the payload is.
func bzImage(payload, vmlinux []byte) []byte {
	payload = binary.LittleEndian.AppendUint32(payload, uint32(len(vmlinux)))
	const setupSects, offset = 1, 64
	image := make([]byte, (setupSects+1)*sectorSize+offset)
	image[setupSectsOffset] = setupSects
	copy(image[headerMagicOffset:], "HdrS")
	binary.LittleEndian.PutUint32(image[payloadOffsetOffset:], offset)
	binary.LittleEndian.PutUint32(image[payloadLengthOffset:], uint32(len(payload)))
	return append(append(image, payload...), "padding"...)
}

func TestExtractVmlinux(t *testing.T) {
	want := append([]byte("\x7fELF"), bytes.Repeat([]byte("kernel"), 1000)...)
	for name, payload := range map[string][]byte{"zstd": zstdFrame(t, want), "LZ4": lz4Frames(t, want)} {
		got, err := ExtractVmlinux(bzImage(payload, want))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(want))
		}
	}
	whole := bzImage(zstdFrame(t, want), want)
	for name, image := range map[string][]byte{
		"empty":      nil,
		"no header":  make([]byte, 4096),
		"cut":        whole[:len(whole)-100],
		"not ELF":    bzImage(zstdFrame(t, []byte("text")), nil),
		"compressed": bzImage([]byte("by something else"), want),
		"no payload": bzImage(nil, nil),
	} {
		if _, err := ExtractVmlinux(image); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestClosureFollowsLinks(t *testing.T) {
	tree := t.TempDir()
	err := files.Write(tree, []files.File{
		files.Text("usr/bin/dash", "#!"), files.Symlink("usr/bin/sh", "dash"), files.Symlink("usr/sbin/modprobe", "/usr/bin/sh"),
		files.Symlink("usr/lib/masked.service", "/dev/null"), files.Symlink("usr/bin/dangling", "nothing"),
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &closure{tree: tree, files: map[string]files.File{}}
	for _, name := range []string{"/usr/sbin/modprobe", "usr/lib/masked.service"} {
		if err := c.add(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"usr/bin/dash", "usr/bin/sh", "usr/sbin/modprobe", "usr/lib/masked.service"} {
		if _, ok := c.files[name]; !ok {
			t.Errorf("%s was left out", name)
		}
	}
	for _, name := range []string{"usr/bin/dangling", "usr/bin"} {
		if err := c.add(name); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A dynamic program brings its libraries, its linker, and nothing that is not there. The test's own tree is this
// machine's, where a program like that is sure to be.
func TestClosureFindsLibraries(t *testing.T) {
	tree := t.TempDir()
	c := &closure{tree: tree, files: map[string]files.File{}}
	if err := os.MkdirAll(filepath.Join(tree, "usr/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	sh, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "usr/bin/sh"), sh, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.add("usr/bin/sh"); err == nil {
		t.Skip("/bin/sh of this machine needs no library")
	}
	libc := filepath.Join(multiarch, "libc.so.6")
	for _, name := range []string{linker, libc} {
		if err := files.Write(tree, []files.File{files.Text(name, "library")}); err != nil {
			t.Fatal(err)
		}
	}
	c.files = map[string]files.File{}
	if err := c.add("usr/bin/sh"); err != nil {
		t.Skipf("/bin/sh of this machine needs more than libc: %v", err)
	}
	for _, name := range []string{"usr/bin/sh", linker, libc} {
		if _, ok := c.files[name]; !ok {
			t.Errorf("%s was left out", name)
		}
	}
}

// A set brings what is not in the base, and the links that start its units.
func TestSetFiles(t *testing.T) {
	tree := t.TempDir()
	list := []files.File{
		files.Text("usr/bin/shared", "#!"), files.Text("usr/bin/own", "#!"), files.Text(ruleDir+"/1.rules", ""),
		files.Text(unitDir+"/a.service", ""), files.Text(unitDir+"/b.service", ""),
		files.Symlink(unitDir+"/x.wants/a.service", "../a.service"), files.Symlink(unitDir+"/x.wants/b.service", "../b.service"),
	}
	if err := files.Write(tree, list); err != nil {
		t.Fatal(err)
	}
	s := Set{Name: "s", programs: []string{"usr/bin/shared", "usr/bin/own"}, rules: []string{"1.rules"}, units: []string{"a.service"}}
	found, err := s.Files(debian.Tree(tree), list[:1])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.Path)
	}
	slices.Sort(got)
	want := []string{"usr/bin/own", unitDir + "/a.service", unitDir + "/x.wants/a.service", ruleDir + "/1.rules"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	s.programs = append(s.programs, "usr/bin/missing")
	if _, err := s.Files(debian.Tree(tree), nil); err == nil {
		t.Error("a program that is not there: no error")
	}
}
