package disk

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The checksum, bit by bit.
func TestLVMCRC(t *testing.T) {
	for _, data := range []string{"", "a", "LVM2 001", strings.Repeat("\xff\x00", 300)} {
		want := uint32(lvmCRCSeed)
		for _, b := range []byte(data) {
			want ^= uint32(b)
			for range 8 {
				want = want>>1 ^ want&1*0xedb88320
			}
		}
		if got := lvmCRC([]byte(data)); got != want {
			t.Errorf("%.10q: got %#x, want %#x", data, got, want)
		}
	}
}

func TestWriteLVM(t *testing.T) {
	image := filepath.Join(t.TempDir(), "fs")
	contents := append(bytes.Repeat([]byte("x"), lvmExtent), "the end"...)
	if err := os.WriteFile(image, contents, 0o644); err != nil {
		t.Fatal(err)
	}
	v := LogicalVolume{Group: "vg", Name: "root"}
	if err := writeLVM(image, v); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if want := lvmDataAt + 2*lvmExtent; len(whole) != want {
		t.Errorf("%d bytes, want %d", len(whole), want)
	}
	if !bytes.Equal(whole[lvmDataAt:lvmDataAt+len(contents)], contents) {
		t.Error("the contents are not where the extents begin")
	}
	label := whole[lvmLabelAt : lvmLabelAt+lvmSectorBytes]
	if crc := binary.LittleEndian.Uint32(label[16:]); string(label[:8]) != "LABELONE" || crc != lvmCRC(label[20:]) {
		t.Errorf("label %q with checksum %#x", label[:8], crc)
	}
	area := whole[lvmMetadataAt:]
	size := binary.LittleEndian.Uint64(area[48:])
	text := area[lvmTextOffset : lvmTextOffset+size]
	if binary.LittleEndian.Uint32(area[56:]) != lvmCRC(text) || text[len(text)-1] != 0 {
		t.Error("the metadata and their checksum do not fit")
	}
	for _, want := range []string{"vg {", "root {", "pe_count = 2\n", "extent_count = 2\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in the metadata", want)
		}
	}
}

func TestLVMIDs(t *testing.T) {
	v := LogicalVolume{Group: "vg", Name: "root"}
	id := lvmID(v, "pv")
	if len(id) != 32 || id == lvmID(v, "lv") || id != lvmID(v, "pv") {
		t.Errorf("id %q", id)
	}
	if got := dashed("abcdef0123456789abcdef0123456789"); got != "abcdef-0123-4567-89ab-cdef-0123-456789" {
		t.Errorf("got %s", got)
	}
}

func TestMkfs(t *testing.T) {
	for _, c := range []struct{ kind, want string }{
		{"", "mkfs.btrfs --quiet --label l --rootdir /s /i"},
		{Btrfs, "mkfs.btrfs --quiet --label l --rootdir /s /i"},
		{Ext4, "mke2fs -q -t ext4 -L l -d /s /i"},
		{XFS, "mkfs.xfs -q -L l /i"},
	} {
		program, args := mkfs(Spec{Label: "l", Kind: c.kind}, "/s", "/i")
		if got := program + " " + strings.Join(args, " "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.kind, got, c.want)
		}
	}
}
