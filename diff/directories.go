package diff

import (
	"encoding/binary"
	"math"
)

// Directories notes which directories a root has: those are known later that
// were renamed. It is for file systems that do not note by themselves when a
// name was given, as btrfs does. A directory takes 12 bytes: the number of its
// inode, and a hash of its path, both in little endian.
func Directories(fd int) ([]byte, error) {
	s := &scan{tree: newTree(), since: math.MaxInt64} // no file is that new
	if err := s.walk(fd, 0); err != nil {
		return nil, err
	}
	var noted []byte
	for i := uint32(1); i < s.tree.count; i++ {
		noted = binary.LittleEndian.AppendUint64(noted, s.tree.at(i).inode)
		noted = binary.LittleEndian.AppendUint32(noted, hash(s.tree.path(i)))
	}
	return noted, nil
}

// readDirectories is what Directories has noted.
func readDirectories(noted []byte) map[uint64]uint32 {
	paths := map[uint64]uint32{}
	for ; len(noted) >= 12; noted = noted[12:] {
		paths[binary.LittleEndian.Uint64(noted)] = binary.LittleEndian.Uint32(noted[8:])
	}
	return paths
}

// hash is FNV-1a. Worst case, where two paths have the same: a rename from one
// to the other is not noticed.
func hash(path string) uint32 {
	h := uint32(2166136261)
	for i := range len(path) {
		h = (h ^ uint32(path[i])) * 16777619
	}
	return h
}
