package diff

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/catalog"
)

// Judge says what of a tree is lost.
type Judge struct {
	// Kept has the paths that are not of this root, with all below: entries,
	// stores, and what else is mounted.
	Kept    map[string]bool
	Catalog *catalog.Catalog
	Homes   []string // of users, for the catalog
	Ignore  *Ignore
	All     bool  // caches and what is ignored count as well
	Since   int64 // ns since 1970: what was modified before that is left out
	// Present says whether a path is there in another root, and then it is not
	// lost; nil to ask nobody.
	Present func(path string) bool
}

// Sum adds up names.
type Sum struct {
	Files uint64 `json:"files"` // and links, and directories that are new and empty
	Bytes uint64 `json:"bytes"` // on the disk at most, without holes
}

// Judged is a tree of which it is known what is lost.
type Judged struct {
	*Tree
	Lost   Sum
	Hidden Sum // caches, and what is ignored
	known  []*catalog.Entry
}

// How much something matters, as a rank.
const (
	rankNone = iota // a cache, or made again
	rankUnknown
	rankShould
	rankMust
)

// judging is a judge at work, in one directory.
type judging struct {
	*Judge
	*Judged
	cursor  *catalog.Cursor
	numbers map[*catalog.Entry]uint16
	around  map[string]bool // the directories that something in Kept lies in
	counted map[inodeKey]bool
	path    []byte
	frames  []judged
}

// inodeKey is an inode with several names.
type inodeKey struct {
	inode uint64
	part  uint16
}

// judged is a directory on the way down.
type judged struct {
	node    uint32
	next    uint32 // to be looked at
	length  int    // of its path
	around  bool
	ignored bool // with all that is in it
	hidden  bool // it is not shown when it is empty
	absent  bool // the other root does not have it
	moved   bool // the directory, or one above: all in it has another path than at the baseline
}

// Judge goes over the whole tree, which is changed by it: once is enough.
func (t *Tree) Judge(how Judge) *Judged {
	j := &judging{
		Judge: &how, Judged: &Judged{Tree: t, known: []*catalog.Entry{nil}},
		cursor: how.Catalog.Cursor(how.Homes...), numbers: map[*catalog.Entry]uint16{},
		around: map[string]bool{}, counted: map[inodeKey]bool{},
	}
	for path := range how.Kept {
		j.around[path[:lastSlash(path)]] = true
	}
	j.frames = append(j.frames, judged{next: t.at(0).child, around: j.around[""]})
	for len(j.frames) > 0 {
		top := &j.frames[len(j.frames)-1]
		if top.next == 0 {
			j.leave(top)
			continue
		}
		i := top.next
		n := t.at(i)
		top.next = n.next
		j.path = append(append(j.path[:top.length], '/'), t.name(n)...)
		j.look(i, n, top)
	}
	j.Lost = Sum{uint64(t.at(0).files), t.at(0).size}
	return j.Judged
}

// text is the path as a string, for the time of a call.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func lastSlash(path string) int {
	i := len(path) - 1
	for i > 0 && path[i] != '/' {
		i--
	}
	return i
}

// look judges one name.
func (j *judging) look(i uint32, n *node, in *judged) {
	path := text(j.path)
	directory := n.isDirectory()
	if in.around && j.Kept[path] && n.flags&flagPart == 0 {
		return
	}
	entry := j.cursor.Look(path[in.length+1:], path, directory)
	j.describe(n, entry)
	ignored := in.ignored || j.Ignore.Match(path, directory)
	absent := in.absent || j.Present != nil && !j.Present(path)
	noise := ignored || entry != nil && entry.Class == catalog.No
	if directory {
		moved := in.moved || n.flags&flagMoved != 0
		switch {
		case absent || moved:
			n.flags |= flagNew
		case j.Present != nil:
			n.flags &^= flagNew
		}
		n.size, n.files = 0, 0
		j.cursor.Enter()
		j.frames = append(j.frames, judged{
			node: i, next: n.child, length: len(j.path), around: j.around[path],
			ignored: ignored, hidden: noise && !j.All, absent: absent, moved: moved,
		})
		return
	}
	switch n.mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFLNK:
	default:
		return
	}
	if n.flags&flagStore != 0 || n.flags&flagOld != 0 && !in.moved || n.time < j.Since || j.Present != nil && !absent {
		return
	}
	j.count(n)
	n.files = 1
	if noise && !j.All {
		j.Hidden.Files++
		j.Hidden.Bytes += n.size
		return
	}
	n.flags |= flagLost
	j.add(in, n)
}

// describe notes what the catalog knows.
func (j *judging) describe(n *node, e *catalog.Entry) {
	n.rank = rankUnknown
	if e == nil {
		return
	}
	number, known := j.numbers[e]
	if !known {
		number = uint16(len(j.known))
		j.known, j.numbers[e] = append(j.known, e), number
	}
	n.entry = number
	switch e.Class {
	case catalog.Must:
		n.rank = rankMust
	case catalog.Should:
		n.rank = rankShould
	default:
		n.rank = rankNone
	}
}

// count sees to it that the size of an inode counts once.
func (j *judging) count(n *node) {
	if n.flags&flagLinked == 0 {
		return
	}
	key := inodeKey{n.inode, n.part}
	if j.counted[key] {
		n.size = 0
	}
	j.counted[key] = true
}

// add adds what is lost to the directory that it lies in.
func (j *judging) add(in *judged, n *node) {
	d := j.at(in.node)
	if d.flags&flagLost == 0 {
		d.flags |= flagLost
		d.time, d.rank = n.time, n.rank
	}
	d.files += n.files
	d.size += n.size
	d.time, d.rank = max(d.time, n.time), max(d.rank, n.rank)
}

// leave adds what is lost in a directory to the one above.
func (j *judging) leave(top *judged) {
	n := j.at(top.node)
	frame := *top
	j.frames = j.frames[:len(j.frames)-1]
	if frame.node == 0 {
		return
	}
	j.cursor.Leave()
	if n.files == 0 && n.child == 0 && n.flags&flagNew != 0 && n.time >= j.Since {
		n.files = 1
		if frame.hidden {
			j.Hidden.Files++
		} else {
			n.flags |= flagLost
		}
	}
	if n.flags&flagLost != 0 {
		j.add(&j.frames[len(j.frames)-1], n)
	}
}
