package diff

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/format"
)

// Part is a directory whose contents go with the root: the root itself, or an
// ephemeral home in it.
type Part struct {
	Fd   int
	Path string // in the root, absolute

	Directories []byte // what [Directories] noted at the baseline, if it did
}

// scan is the making of a tree.
type scan struct {
	tree     *Tree
	baseline Baseline
	since    int64
	part     uint16
	noted    map[uint64]uint32 // the hashes of paths of directories, by inode
}

// Read reads what has changed since the baseline in all of the parts, of which
// the root is the first. What could not be read is in the tree's Failures.
//
// Dirty data are written back first, since sizes are not in the tree of a btrfs
// before that. Without CAP_SYS_ADMIN a btrfs is walked as any other.
func Read(parts []Part, baseline Baseline) (*Tree, error) {
	now, err := Now(0)
	if err != nil {
		return nil, err
	}
	s := &scan{tree: newTree(), baseline: baseline, since: baseline.since(now)}
	for i, part := range parts {
		s.part = uint16(i) << 12 // the subvolumes in it count on from there
		s.noted = readDirectories(part.Directories)
		if err := s.read(part.Fd, s.tree.make(part.Path)); err != nil {
			return nil, format.Errorf("read %q: %w", part.Path, err)
		}
	}
	s.tree.connect()
	return s.tree, nil
}

func (s *scan) read(fd int, node uint32) error {
	if is, err := btrfs.IsSubvolume(fd); !is || err != nil {
		return s.walkInto(fd, node, err)
	}
	info, err := btrfs.Info(fd)
	if err != nil {
		return s.walkInto(fd, node, nil)
	}
	list, err := btrfs.List(fd)
	if errors.Is(err, unix.EPERM) {
		return s.walkInto(fd, node, nil)
	}
	if err == nil {
		err = btrfs.Sync(fd)
	}
	if err != nil {
		return err
	}
	return s.readSubvolume(fd, info.ID, node, list, false)
}

func (s *scan) walkInto(fd int, node uint32, err error) error {
	if err != nil {
		return err
	}
	return s.walk(fd, node)
}
