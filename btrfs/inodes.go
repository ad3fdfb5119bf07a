package btrfs

import (
	"bytes"
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// Inode is what an inode item says. It is what the tree holds: data that are
// not written back yet are not in its size ([Sync] writes them).
type Inode struct {
	Number      uint64
	Generation  uint64 // the transaction that made it
	Transaction uint64 // the last one that changed it, if only its access time
	Size        uint64 // bytes
	Allocated   uint64 // bytes on the disk before compression, without holes
	Links       uint32 // 0: deleted, but still open somewhere
	UID, GID    uint32
	Mode        uint32 // as in stat(2)
	Changed     int64  // ns since 1970: ctime
	Modified    int64  // mtime
	Created     int64  // otime
}

// InodeVisitor is told what [Inodes] finds. What it gets is valid only during
// the call.
type InodeVisitor interface {
	// Inode is called with each inode, in ascending order of the numbers, and
	// says whether its names are wanted.
	Inode(i *Inode) (names bool)
	// Name is called after it with each of its names, and the directory that
	// has it. The root directory of the subvolume has none.
	Name(directory uint64, name []byte)
	// Target is called after that with what a symbolic link holds.
	Target(target []byte)
	// Linked is called with each directory, or subvolume by its id, that a
	// directory of the tree has, and with the transaction that gave it its name
	// there.
	Linked(number uint64, subvolume bool, transaction uint64)
}

// RootInode is the number of the root directory of each subvolume.
const RootInode = rootDirectoryInode

// Inodes goes over the inodes of the subvolume id, in one pass over its tree;
// subvolumes inside of it are not entered. The parts of the tree that no
// transaction from oldest on has written are left out: what was changed since
// then is in the others. As with [List] this is not one instant: what is moved
// meanwhile can be missed or seen twice.
//
// BTRFS_IOC_TREE_SEARCH_V2, Linux 3.14; needs CAP_SYS_ADMIN.
func Inodes(fd int, id, oldest uint64, v InodeVisitor) error {
	return searchInodes(fd, id, oldest, RootInode, itemKey{lastSubvolumeID, typeExtentData, math.MaxUint64}, v)
}

// InodeOf is [Inodes] for one inode, of which nothing but its names is read.
func InodeOf(fd int, id, number uint64, v InodeVisitor) error {
	return searchInodes(fd, id, 0, number, itemKey{number, typeExtendedReference, math.MaxUint64}, v)
}

func searchInodes(fd int, id, oldest, first uint64, last itemKey, v InodeVisitor) error {
	if err := requireBtrfs(fd); err != nil {
		return failID(opSearch, id, err)
	}
	r := inodeReader{visitor: v}
	return searchTreeSince(fd, id, oldest, itemKey{objectID: first}, last, r.add)
}

// inodeReader takes the items of one subvolume.
type inodeReader struct {
	visitor InodeVisitor
	inode   Inode
	names   bool
}

func (r *inodeReader) add(key itemKey, data []byte) error {
	switch {
	case key.kind == typeInodeItem && key.objectID >= RootInode:
		return r.addInode(key.objectID, data)
	case key.kind == typeDirectoryIndex:
		return r.addLink(data)
	case key.objectID != r.inode.Number || !r.names:
		return nil
	case key.kind == typeInodeReference:
		return r.addNames(key.offset, data)
	case key.kind == typeExtendedReference:
		return r.addExtendedNames(data)
	case key.kind == typeExtentData && r.inode.Mode&unix.S_IFMT == unix.S_IFLNK && key.offset == 0:
		if len(data) > inlineExtentSize {
			r.visitor.Target(data[inlineExtentSize:])
		}
	}
	return nil
}

// Sizes of packed structures before what varies: struct btrfs_inode_item, u64
// index and u16 name_len of btrfs_inode_ref, the same after u64
// parent_objectid of btrfs_inode_extref, and btrfs_file_extent_item before the
// data of an inline extent.
const (
	inodeItemSize         = 160
	extendedReferenceSize = 18
	inlineExtentSize      = 21
)

// Offsets in struct btrfs_inode_item.
const (
	inodeTransaction = 8
	inodeBytes       = 16
	inodeAllocated   = 24
	inodeLinks       = 40
	inodeUID         = 44
	inodeGID         = 48
	inodeMode        = 52
	inodeChanged     = 124 // after the access time: s64 seconds, u32 nanoseconds
	inodeModified    = 136
	inodeCreated     = 148
)

// Offsets in struct btrfs_dir_item, behind the key that it leads to, and its
// size without the name.
const (
	linkKeyType       = 8
	linkTransaction   = 17
	linkType          = 29 // of the file, as in struct dirent
	linkSize          = 30
	linkTypeDirectory = 2
)

// addLink takes a name as its directory has it.
func (r *inodeReader) addLink(data []byte) error {
	if len(data) > linkSize && data[linkType] == linkTypeDirectory {
		r.visitor.Linked(binary.LittleEndian.Uint64(data), data[linkKeyType] == typeRootItem, binary.LittleEndian.Uint64(data[linkTransaction:]))
	}
	return nil
}

func (r *inodeReader) addInode(number uint64, data []byte) error {
	if len(data) < inodeItemSize {
		return format.Errorf("%w: inode %d has %d bytes, %d are needed", ErrCorrupt, number, len(data), inodeItemSize)
	}
	item := (*[inodeItemSize]byte)(data) // there is no other check of bounds
	r.inode = Inode{
		Number: number, Generation: binary.LittleEndian.Uint64(item[:]), Transaction: binary.LittleEndian.Uint64(item[inodeTransaction:]),
		Size: binary.LittleEndian.Uint64(item[inodeBytes:]), Allocated: binary.LittleEndian.Uint64(item[inodeAllocated:]),
		Links: binary.LittleEndian.Uint32(item[inodeLinks:]),
		UID:   binary.LittleEndian.Uint32(item[inodeUID:]), GID: binary.LittleEndian.Uint32(item[inodeGID:]),
		Mode:    binary.LittleEndian.Uint32(item[inodeMode:]),
		Changed: nanoseconds(item[inodeChanged:]), Modified: nanoseconds(item[inodeModified:]), Created: nanoseconds(item[inodeCreated:]),
	}
	r.names = r.visitor.Inode(&r.inode)
	return nil
}

// nanoseconds reads a struct btrfs_timespec: s64 seconds, u32 nanoseconds. Times
// that nobody has become the nearest that fit, those of 1677 and 2262.
func nanoseconds(data []byte) int64 {
	const most = int64(math.MaxInt64)/1e9 - 1
	seconds := int64(binary.LittleEndian.Uint64(data))
	return min(max(seconds, -most), most)*1e9 + int64(binary.LittleEndian.Uint32(data[8:]))
}

// addNames takes the names that an inode has in one directory.
func (r *inodeReader) addNames(directory uint64, data []byte) error {
	if directory == r.inode.Number {
		return nil // the root directory: ".."
	}
	for len(data) > 0 {
		name, rest, err := r.cutName(data, inodeReferenceSize)
		if err != nil {
			return err
		}
		r.visitor.Name(directory, name)
		data = rest
	}
	return nil
}

// addExtendedNames takes names that found no room in a usual reference; those
// whose hashes are equal share an item.
func (r *inodeReader) addExtendedNames(data []byte) error {
	for len(data) > 0 {
		name, rest, err := r.cutName(data, extendedReferenceSize)
		if err != nil {
			return err
		}
		r.visitor.Name(binary.LittleEndian.Uint64(data), name)
		data = rest
	}
	return nil
}

// cutName takes one name off a reference whose header ends in its length.
func (r *inodeReader) cutName(data []byte, header int) (name, rest []byte, err error) {
	if len(data) >= header {
		end := header + int(binary.LittleEndian.Uint16(data[header-2:]))
		if end <= len(data) && isName(data[header:end]) {
			return data[header:end], data[end:], nil
		}
	}
	return nil, nil, format.Errorf("%w: a name of inode %d", ErrCorrupt, r.inode.Number)
}

// isName is [checkName] for names by the million.
func isName(name []byte) bool {
	switch {
	case len(name) == 0 || len(name) > maxNameLength || name[0] == '.' && checkName(string(name)) != nil:
		return false
	}
	return bytes.IndexByte(name, '/') < 0 && bytes.IndexByte(name, 0) < 0
}
