package diff

import (
	"bytes"
	"sort"
	"strings"

	"github.com/ebb-nix/ebb/catalog"
)

// Line is something that is lost: a file, or a directory with all in it.
type Line struct {
	Path      string
	Depth     int // how many of the lines above it lies in
	Directory bool
	Open      bool // what is in the directory follows
	More      int  // this many names of the directory Path are not shown: the sums are theirs
	Sum       Sum
	Time      int64 // ns since 1970: when any of it was last modified
	UID       uint32
	Known     *catalog.Entry // nil: nothing is known
}

// Find returns the node at an absolute, clean path; ok is false when nothing
// there is lost.
func (j *Judged) Find(path string) (node uint32, ok bool) {
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		i := j.at(node).child
		for i != 0 && (string(j.name(j.at(i))) != name || j.at(i).flags&flagLost == 0) {
			i = j.at(i).next
		}
		if i == 0 {
			return 0, false
		}
		node = i
	}
	return node, true
}

// Sum is what is lost at a node and below.
func (j *Judged) Sum(node uint32) Sum { return Sum{uint64(j.at(node).files), j.at(node).size} }

// lost are the names in a directory that are lost, the most important and the
// biggest first.
func (j *Judged) lost(directory uint32) (list []uint32) {
	for i := j.at(directory).child; i != 0; i = j.at(i).next {
		if j.at(i).flags&flagLost != 0 {
			list = append(list, i)
		}
	}
	sort.Slice(list, func(x, y int) bool { return j.before(list[x], list[y]) })
	return list
}

func (j *Judged) before(x, y uint32) bool {
	a, b := j.at(x), j.at(y)
	switch {
	case a.rank != b.rank:
		return a.rank > b.rank
	case a.size != b.size:
		return a.size > b.size
	}
	return bytes.Compare(j.name(a), j.name(b)) < 0
}

// Each calls visit with everything that is lost at a node and below, in the
// order of the lines, and files only.
func (j *Judged) Each(node uint32, visit func(Line) error) error {
	pending := []uint32{node}
	for len(pending) > 0 {
		i := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		inside := j.lost(i)
		if len(inside) == 0 && j.at(i).flags&flagLost != 0 {
			if err := visit(j.line(i, 0)); err != nil {
				return err
			}
		}
		for n := len(inside) - 1; n >= 0; n-- {
			pending = append(pending, inside[n])
		}
	}
	return nil
}

func (j *Judged) line(i uint32, depth int) Line {
	n := j.at(i)
	return Line{
		Path: j.path(i), Depth: depth, Directory: n.isDirectory(), Sum: j.Sum(i),
		Time: n.time, UID: n.uid, Known: j.known[n.entry],
	}
}

// cut is a choice of lines.
type cut struct {
	*Judged
	most  int // lines
	depth int // of the tree, 0: as far as there is room
	lines int
	open  map[uint32][]uint32 // directories, and what is shown in them
}

// widest is how many names of one directory are shown.
const widest = 12

// Lines is the tree of what is lost below a node, cut where there are more than
// most lines, or at a depth where that is not 0.
func (j *Judged) Lines(node uint32, depth, most int) (lines []Line) {
	c := &cut{Judged: j, most: most, depth: depth, open: map[uint32][]uint32{}}
	c.expand(node)
	c.print(node, 0, &lines)
	return lines
}

// expand opens directories, the most important and the biggest first, until
// there are enough lines.
func (c *cut) expand(node uint32) {
	type place struct {
		node  uint32
		depth int
	}
	pending := []place{{node, 0}}
	for len(pending) > 0 {
		best := 0
		for i := range pending {
			if c.before(pending[i].node, pending[best].node) {
				best = i
			}
		}
		p := pending[best]
		pending = append(pending[:best], pending[best+1:]...)
		inside := c.lost(p.node)
		shown := inside[:min(len(inside), widest)]
		if p.node != node && !c.isWorth(p.node, inside, p.depth) {
			continue
		}
		c.open[p.node] = inside
		c.lines += len(shown)
		for _, i := range shown {
			if i = c.chain(i); c.at(i).isDirectory() {
				pending = append(pending, place{i, p.depth + 1})
			}
		}
	}
}

// isWorth tells whether to open a directory.
func (c *cut) isWorth(i uint32, inside []uint32, depth int) bool {
	const few = 4
	if c.depth > 0 {
		return depth < c.depth && len(inside) > 0
	}
	directories := 0
	for _, name := range inside {
		if c.at(name).isDirectory() {
			directories++
		}
	}
	return len(inside) > 0 && c.lines+min(len(inside), widest) <= c.most &&
		(c.isBroad(i) || !c.isUnit(i)) && (directories > 0 || len(inside) <= few)
}

// isUnit tells whether the catalog knows this very directory: it is kept or
// lost as a whole.
func (j *Judged) isUnit(i uint32) bool {
	n := j.at(i)
	return n.entry != 0 && n.entry != j.at(n.parent).entry
}

// isBroad tells of directories that hold things which have nothing to do with
// one another.
func (j *Judged) isBroad(i uint32) bool {
	path := j.path(i)
	switch path {
	case "/", "/home", "/root", "/srv", "/opt", "/etc", "/usr", "/var", "/var/lib", "/var/cache", "/mnt", "/tmp", "/var/tmp":
		return true
	}
	below, inHome := strings.CutPrefix(path, "/home/")
	if !inHome {
		below = strings.TrimPrefix(path, "/root/")
		return below != path && isBroadBelow(below)
	}
	_, below, inside := strings.Cut(below, "/")
	return !inside || isBroadBelow(below)
}

func isBroadBelow(home string) bool {
	return home == ".config" || home == ".local" || home == ".local/share" || home == ".local/state"
}

// chain follows directories that hold nothing but another one.
func (c *cut) chain(i uint32) uint32 {
	for c.depth == 0 && c.at(i).isDirectory() && (!c.isUnit(i) || c.isBroad(i)) {
		inside := c.lost(i)
		if len(inside) != 1 || !c.at(inside[0]).isDirectory() && c.at(i).flags&flagNew != 0 {
			break
		}
		i = inside[0]
	}
	return i
}

func (c *cut) print(node uint32, depth int, lines *[]Line) {
	inside := c.open[node]
	for n, i := range inside {
		if n == widest {
			*lines = append(*lines, c.more(node, depth, inside[n:]))
			return
		}
		i = c.chain(i)
		line := c.line(i, depth)
		_, line.Open = c.open[i]
		*lines = append(*lines, line)
		c.print(i, depth+1, lines)
	}
}

// more stands for the names that are not shown.
func (c *cut) more(node uint32, depth int, names []uint32) Line {
	line := Line{Path: c.path(node), Depth: depth, More: len(names)}
	for _, i := range names {
		n := c.at(i)
		line.Sum.Files += uint64(n.files)
		line.Sum.Bytes += n.size
		line.Time = max(line.Time, n.time)
	}
	return line
}
