package btrfs

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// resolveDirectories fills in Directory. A directory that has no usable path
// does not spoil the listing: only [Listing.Path] needs it.
func resolveDirectories(fd int, listing Listing) {
	type directory struct{ treeID, inode uint64 }
	type answer struct {
		path string
		err  error
	}
	known := make(map[directory]answer)
	for i := range listing {
		subvolume := &listing[i]
		if subvolume.ID == TopLevelID {
			continue
		}
		key := directory{subvolume.ParentID, subvolume.DirectoryID}
		result, done := known[key]
		if !done {
			result.path, result.err = lookUpDirectory(fd, key.treeID, key.inode)
			known[key] = result
		}
		subvolume.Directory, subvolume.directoryErr = result.path, result.err
	}
}

// lookUpDirectory returns the path of a directory in the subvolume treeID,
// relative to the root of that subvolume: "" for the root itself, "a/b" else.
//
// The kernel answers with at most 4079 bytes. Anyone who may create
// directories can make a longer path, so that is walked upwards, one search
// for each directory. BTRFS_IOC_INO_LOOKUP.
func lookUpDirectory(fd int, treeID, inode uint64) (string, error) {
	if inode == rootDirectoryInode {
		return "", nil
	}
	args := &inodeLookupArgs{treeID: treeID, objectID: inode}
	_, err := ioctl(fd, requestInodeLookup, unsafe.Pointer(args))
	found := strings.TrimSuffix(cString(args.path[:]), "/")
	if errors.Is(err, unix.ENAMETOOLONG) {
		found, err = climb(fd, treeID, inode)
	}
	if err == nil {
		err = checkPath(found)
	}
	if err != nil {
		return "", failID(opLookup, inode, format.Errorf("in subvolume %d: %w", treeID, err))
	}
	return found, nil
}

func checkPath(path string) error {
	for component := range strings.SplitSeq(path, "/") {
		if err := checkName(component); err != nil {
			return format.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	return nil
}

// maxDepth bounds [climb], so that it ends when directories form a loop. A
// path of this many components is not made by accident.
const maxDepth = 100_000

// climb finds the path of a directory from its references to the directories
// above.
func climb(fd int, treeID, inode uint64) (string, error) {
	var components []string
	for inode != rootDirectoryInode {
		if len(components) == maxDepth {
			return "", format.Errorf("%w: directory at a depth of more than %d", ErrCorrupt, maxDepth)
		}
		var name string
		var parent uint64
		first := itemKey{objectID: inode, kind: typeInodeReference}
		last := itemKey{objectID: inode, kind: typeInodeReference, offset: math.MaxUint64}
		err := searchTree(fd, treeID, first, last, func(key itemKey, data []byte) (err error) {
			parent = key.offset
			name, err = parseInodeReference(data)
			return err
		})
		if err != nil {
			return "", err
		}
		if name == "" {
			return "", format.Errorf("inode %d: %w", inode, unix.ENOENT)
		}
		components = append(components, name)
		inode = parent
	}
	slices.Reverse(components)
	return strings.Join(components, "/"), nil
}

// inodeReferenceSize is the size of struct btrfs_inode_ref before the name:
// u64 index, u16 name_len.
const inodeReferenceSize = 10

// parseInodeReference returns the name of a directory in the one above. A
// directory has one name only.
func parseInodeReference(data []byte) (string, error) {
	if len(data) < inodeReferenceSize {
		return "", format.Errorf("%w: inode reference of %d bytes", ErrCorrupt, len(data))
	}
	length := int(binary.LittleEndian.Uint16(data[8:]))
	if length > len(data)-inodeReferenceSize {
		return "", format.Errorf("%w: name of %d bytes, %d are left", ErrCorrupt, length, len(data)-inodeReferenceSize)
	}
	name := string(data[inodeReferenceSize : inodeReferenceSize+length])
	if err := checkName(name); err != nil {
		return "", format.Errorf("%w: %w", ErrCorrupt, err)
	}
	return name, nil
}
