package btrfs

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// gathered is what a visitor was told.
type gathered struct {
	inodes  []Inode
	names   []string
	targets []string
	linked  []uint64
}

func (g *gathered) Inode(i *Inode) bool        { g.inodes = append(g.inodes, *i); return true }
func (g *gathered) Name(_ uint64, name []byte) { g.names = append(g.names, string(name)) }
func (g *gathered) Target(target []byte)       { g.targets = append(g.targets, string(target)) }
func (g *gathered) Linked(number uint64, subvolume bool, transaction uint64) {
	if subvolume {
		number = ^number
	}
	g.linked = append(g.linked, number, transaction)
}

func (g *gathered) read(buffer []byte, n uint32) error {
	r := inodeReader{visitor: g}
	_, err := eachItem(buffer, n, itemKey{}, r.add)
	return err
}

func inodeItemBytes(mode uint32, changed int64) []byte {
	data := make([]byte, inodeItemSize)
	binary.LittleEndian.PutUint32(data[inodeMode:], mode)
	binary.LittleEndian.PutUint64(data[inodeChanged:], uint64(changed))
	return data
}

func reference(header int, name string) []byte {
	data := make([]byte, header, header+len(name))
	binary.LittleEndian.PutUint16(data[header-2:], uint16(len(name)))
	return append(data, name...)
}

// link is a name in a directory.
func link(number uint64, kind uint8, transaction uint64, fileType byte) []byte {
	data := append(binary.LittleEndian.AppendUint64(nil, number), kind)
	data = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(data, 0), transaction)
	return append(data, 0, 0, 1, 0, fileType, 'n')
}

func TestInodesOfASearch(t *testing.T) {
	var buffer []byte
	for _, item := range []struct {
		key  itemKey
		data []byte
	}{
		{itemKey{256, typeInodeItem, 0}, inodeItemBytes(unix.S_IFDIR, 5)},
		{itemKey{256, typeInodeReference, 256}, reference(inodeReferenceSize, "..")},
		{itemKey{256, typeDirectoryIndex, 2}, link(258, typeInodeItem, 70, linkTypeDirectory)},
		{itemKey{256, typeDirectoryIndex, 3}, link(259, typeInodeItem, 70, 1)},
		{itemKey{256, typeDirectoryIndex, 4}, link(300, typeRootItem, 71, linkTypeDirectory)},
		{itemKey{256, typeDirectoryIndex, 5}, []byte("short")},
		{itemKey{257, typeInodeItem, 0}, inodeItemBytes(unix.S_IFLNK, math.MaxInt64)},
		{itemKey{257, typeInodeReference, 256}, append(reference(inodeReferenceSize, "a"), reference(inodeReferenceSize, "b\n")...)},
		{itemKey{257, typeExtendedReference, 1}, reference(extendedReferenceSize, "c")},
		{itemKey{257, typeExtentData, 0}, append(make([]byte, inlineExtentSize), "/target"...)},
	} {
		buffer = appendItem(buffer, item.key, item.data)
	}
	var g gathered
	if err := g.read(buffer, 10); err != nil {
		t.Fatal(err)
	}
	if len(g.inodes) != 2 || g.inodes[0].Changed != 5e9 || g.inodes[1].Changed < 9e18 {
		t.Errorf("inodes %+v", g.inodes)
	}
	if len(g.names) != 3 || g.names[0] != "a" || g.names[1] != "b\n" || g.names[2] != "c" {
		t.Errorf("names %q", g.names)
	}
	if want := []uint64{258, 70, ^uint64(300), 71}; !slices.Equal(g.linked, want) {
		t.Errorf("linked %d, want %d", g.linked, want)
	}
	if len(g.targets) != 1 || g.targets[0] != "/target" {
		t.Errorf("targets %q", g.targets)
	}
}

func TestInodesRefuse(t *testing.T) {
	inode := appendItem(nil, itemKey{257, typeInodeItem, 0}, inodeItemBytes(unix.S_IFREG, 0))
	for what, data := range map[string][]byte{
		"a slash": reference(inodeReferenceSize, "a/b"), "no name": reference(inodeReferenceSize, ""), "above": reference(inodeReferenceSize, ".."),
		"too short": {1, 2}, "a NUL": reference(inodeReferenceSize, "a\x00"), "a length beyond the item": reference(inodeReferenceSize, "abc")[:12],
	} {
		var g gathered
		err := g.read(appendItem(append([]byte(nil), inode...), itemKey{257, typeInodeReference, 256}, data), 2)
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var g gathered
	if err := g.read(appendItem(nil, itemKey{257, typeInodeItem, 0}, make([]byte, 100)), 1); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a short inode: %v", err)
	}
}

// Whatever a search returns, the names that come out of it can be names.
func FuzzInodes(f *testing.F) {
	f.Add(appendItem(appendItem(nil, itemKey{257, typeInodeItem, 0}, inodeItemBytes(unix.S_IFREG, 0)),
		itemKey{257, typeInodeReference, 256}, reference(inodeReferenceSize, "name")), uint32(2))
	f.Fuzz(func(t *testing.T, buffer []byte, n uint32) {
		var g gathered
		_ = g.read(buffer, n%1000)
		for _, name := range g.names {
			if err := checkName(name); err != nil {
				t.Errorf("name %q: %v", name, err)
			}
		}
	})
}
