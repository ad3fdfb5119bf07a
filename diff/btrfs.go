package diff

import (
	"math"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/format"
)

// subvolumeReader puts one subvolume into the tree.
type subvolumeReader struct {
	tree        *Tree
	fd          int
	id          uint64
	root        uint32 // where it begins
	since       int64
	generation  uint64
	part        uint16
	directories map[uint64]uint32 // inode number to node

	unnamed []uint64 // directories that were met as those of others
	linked  []uint64 // directories, and subvolumes, that have their names since the baseline
	whole   bool     // what has not changed is wanted, too
	old     bool     // this is the pass for that

	inode  btrfs.Inode
	first  uint32 // of the nodes of the present inode, 0 for none yet
	parent struct {
		inode uint64
		node  uint32
	}
}

// readSubvolume reads the subvolume id at a node, and those inside of it.
//
// What a snapshot holds is older than the snapshot: of one that was made after
// the baseline all counts as new. Whole is for a subvolume of which what has not
// changed may be lost as well, since it has another path.
func (s *scan) readSubvolume(fd int, id uint64, root uint32, list btrfs.Listing, whole bool) error {
	r := &subvolumeReader{
		tree: s.tree, fd: fd, id: id, root: root, part: s.part, since: s.since, generation: s.baseline.Generation, whole: whole,
		directories: map[uint64]uint32{btrfs.RootInode: root},
	}
	s.part++
	if self, _ := list.ByID(id); root != 0 && (self.Created >= s.since || self.CreateID > r.generation) {
		r.since, r.generation = math.MinInt64, 0
	}
	oldest := r.generation
	if oldest == 0 && r.since != math.MinInt64 {
		r.generation = math.MaxUint64 // not known: times alone have to tell
	}
	if err := btrfs.Inodes(fd, id, oldest, r); err != nil {
		return err
	}
	if err := r.readMoved(); err != nil {
		return err
	}
	var inside []btrfs.Subvolume
	for _, child := range list {
		if child.ParentID == id && child.ID != id {
			r.directory(child.DirectoryID)
			inside = append(inside, child)
		}
	}
	if err := r.readMissing(); err != nil {
		return err
	}
	for _, child := range inside {
		at := s.tree.add()
		n := s.tree.at(at)
		n.parent, n.mode = r.directories[child.DirectoryID], unix.S_IFDIR
		s.tree.setName(n, []byte(child.Name))
		moved := slices.Contains(r.linked, child.ID|isSubvolume)
		if moved {
			n.flags |= flagMoved
		}
		if err := s.readSubvolume(fd, child.ID, at, list, moved || r.whole); err != nil {
			return format.Errorf("subvolume %q: %w", child.Name, err)
		}
	}
	return nil
}

// Inode takes an inode; names are wanted of directories, and of what has
// changed.
func (r *subvolumeReader) Inode(i *btrfs.Inode) bool {
	r.inode, r.first = *i, 0
	isNew := i.Generation > r.generation || i.Created >= r.since
	switch {
	case i.Mode&unix.S_IFMT == unix.S_IFDIR:
		n := r.tree.at(r.directory(i.Number))
		n.mode, n.uid, n.inode, n.time = uint16(i.Mode), i.UID, i.Number, i.Modified
		if isNew {
			n.flags |= flagNew
		}
		return i.Number != btrfs.RootInode && n.flags&flagNamed == 0
	case i.Links == 0:
		return false
	}
	return r.old != (isNew || i.Changed >= r.since)
}

// isSubvolume tells subvolumes from directories: neither has so high a number.
const isSubvolume = 1 << 63

// Linked notes what has its name since the baseline. What was renamed in the
// seconds between the baseline and the next commit is not noticed, if it was
// made before: it has the transaction of all that activation made.
func (r *subvolumeReader) Linked(number uint64, subvolume bool, transaction uint64) {
	if r.generation == 0 || transaction <= r.generation || r.old {
		return
	}
	if subvolume {
		number |= isSubvolume
	}
	r.linked = append(r.linked, number)
}

// readMoved marks the directories that are older than their names. What is in
// them is lost with these names, and the pass over what has changed has left it
// out: there is one more over the rest.
func (r *subvolumeReader) readMoved() error {
	for _, number := range r.linked {
		if i, known := r.directories[number]; known && r.tree.at(i).flags&flagNew == 0 {
			r.tree.at(i).flags |= flagMoved
			r.whole = true
		}
	}
	if !r.whole || r.generation == 0 {
		return nil
	}
	r.old = true
	return btrfs.Inodes(r.fd, r.id, 0, r)
}

// directory is the node of a directory, with or without its name.
func (r *subvolumeReader) directory(inode uint64) uint32 {
	if inode == r.parent.inode {
		return r.parent.node
	}
	i, known := r.directories[inode]
	if !known {
		i = r.tree.add()
		r.tree.at(i).mode = unix.S_IFDIR
		r.directories[inode] = i
		r.unnamed = append(r.unnamed, inode)
	}
	r.parent.inode, r.parent.node = inode, i
	return i
}

// Name takes a name of the inode.
func (r *subvolumeReader) Name(directory uint64, name []byte) {
	var i uint32
	if r.inode.Mode&unix.S_IFMT == unix.S_IFDIR {
		i = r.directory(r.inode.Number)
	} else {
		i = r.tree.add()
		n := r.tree.at(i)
		n.part, n.mode, n.uid, n.inode, n.time = r.part, uint16(r.inode.Mode), r.inode.UID, r.inode.Number, r.inode.Modified
		n.size = min(r.inode.Size, r.inode.Allocated)
		if r.inode.Links > 1 {
			n.flags |= flagLinked
		}
		if r.old {
			n.flags |= flagOld
		}
		if r.first == 0 {
			r.first = i
		}
	}
	n := r.tree.at(i)
	if n.flags&flagNamed == 0 {
		r.tree.setName(n, name)
	}
	n.parent = r.directory(directory)
}

// Target marks a link that leads into the store.
func (r *subvolumeReader) Target(target []byte) {
	if r.first == 0 || !isStoreLink(string(target)) {
		return
	}
	for i := r.first; i < r.tree.count; i++ {
		if n := r.tree.at(i); n.inode == r.inode.Number {
			n.flags |= flagStore
		}
	}
}

// isStoreLink tells links that activation and home-manager make again.
func isStoreLink(target string) bool {
	return strings.HasPrefix(target, "/nix/store/") || strings.HasPrefix(target, "/etc/static/")
}

// readMissing reads the directories that are only known as those of others:
// they lie in parts of the tree that were left out, or were made behind the
// pass. What is gone by now stays without a name.
func (r *subvolumeReader) readMissing() error {
	for len(r.unnamed) > 0 {
		last := len(r.unnamed) - 1
		inode := r.unnamed[last]
		r.unnamed = r.unnamed[:last]
		if r.tree.at(r.directories[inode]).flags&flagNamed != 0 {
			continue
		}
		if err := btrfs.InodeOf(r.fd, r.id, inode, r); err != nil {
			return err
		}
	}
	return nil
}
