package diff

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tree holds the names below a root: each directory, and what else has changed.
// It is made for millions of them: a name takes 64 bytes and its text, and
// nothing in it is looked at by the garbage collector.
type Tree struct {
	chunks [][]node
	arena  [][]byte // the texts: a byte for the length, and the name
	count  uint32
	pages  pages // for both

	Gone     uint64  // names that went away while the tree was read
	Failures []error // what could not be read
}

// node is one name.
type node struct {
	size   uint64 // bytes; of a directory those of what is lost below
	inode  uint64
	time   int64  // ns since 1970: mtime; of a directory the newest below
	parent uint32 // all of these are indices of nodes; 0 is the root, or none
	child  uint32
	next   uint32 // in the same directory
	files  uint32 // of a directory: how many are lost below
	name   uint32 // where the text begins, 0 for none
	uid    uint32
	mode   uint16
	flags  uint8
	rank   uint8  // how much it matters, see [rank]
	entry  uint16 // what the catalog knows of it, see [Judged]; 0: nothing
	part   uint16 // the subvolume or file system that the inode is in
}

// Flags of a node.
const (
	flagNew    = 1 << iota // it was made after the baseline
	flagStore              // a link into the Nix store
	flagLinked             // the inode has other names
	flagLost               // it goes with the root
	flagNamed              // its name is known
	flagPart               // another part of the root begins here
	flagMoved              // a directory that had another name at the baseline
	flagOld                // it has not changed: it is lost where a directory above was moved
)

const (
	chunkBits = 13
	arenaBits = 16
)

func newTree() *Tree {
	t := &Tree{arena: [][]byte{make([]byte, 1, 1<<arenaBits)}}
	t.at(t.add()).mode = unix.S_IFDIR
	t.at(0).flags = flagNamed
	return t
}

// add makes a node.
func (t *Tree) add() uint32 {
	i := t.count
	if i>>chunkBits == uint32(len(t.chunks)) {
		chunk := t.pages.take(unsafe.Sizeof(node{}) << chunkBits)
		t.chunks = append(t.chunks, unsafe.Slice((*node)(unsafe.Pointer(unsafe.SliceData(chunk))), 1<<chunkBits))
	}
	t.count++
	return i
}

func (t *Tree) at(i uint32) *node { return &t.chunks[i>>chunkBits][i&(1<<chunkBits-1)] }

// setName keeps the text of a name, of 255 bytes at most.
func (t *Tree) setName(n *node, name []byte) {
	last := len(t.arena) - 1
	if len(t.arena[last])+1+len(name) > 1<<arenaBits {
		t.arena = append(t.arena, t.pages.take(1 << arenaBits)[:0])
		last++
	}
	n.name = uint32(last)<<arenaBits | uint32(len(t.arena[last]))
	n.flags |= flagNamed
	t.arena[last] = append(append(t.arena[last], byte(len(name))), name...)
}

func (t *Tree) name(n *node) []byte {
	if n.name == 0 {
		return nil
	}
	text := t.arena[n.name>>arenaBits][n.name&(1<<arenaBits-1):]
	return text[1 : 1+int(text[0])]
}

func (n *node) isDirectory() bool { return n.mode&unix.S_IFMT == unix.S_IFDIR }

// connect makes the lists of what lies in each directory.
func (t *Tree) connect() {
	for i := uint32(1); i < t.count; i++ {
		n := t.at(i)
		if n.flags&flagNamed == 0 {
			t.Gone++
			continue
		}
		parent := t.at(n.parent)
		n.next, parent.child = parent.child, i
	}
}

// path is that of a node, absolute.
func (t *Tree) path(i uint32) string {
	length := 0
	for at := i; at != 0; at = t.at(at).parent {
		length += 1 + len(t.name(t.at(at)))
	}
	if length == 0 {
		return "/"
	}
	text := make([]byte, length)
	for at := i; at != 0; at = t.at(at).parent {
		name := t.name(t.at(at))
		length -= len(name)
		copy(text[length:], name)
		length--
		text[length] = '/'
	}
	return string(text)
}

// make adds the directories of a path that a part of the root begins at.
func (t *Tree) make(path string) (at uint32) {
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		i := t.add()
		n := t.at(i)
		n.mode, n.parent = unix.S_IFDIR, at
		t.setName(n, []byte(name))
		at = i
	}
	t.at(at).flags |= flagPart
	return at
}
