package catalog

import (
	"errors"
	"path"
	"strings"

	"github.com/ebb-nix/ebb/internal/format"
)

// node is a place in the tree of all paths of the catalog.
type node struct {
	entry    *Entry // what lies here, nil for what is only on the way
	names    map[string]*node
	patterns []pattern // the longest, which says most, first
	anywhere *node     // what lies here or in any directory below: after **
}

// pattern is a name with wildcards, and what it leads to.
type pattern struct {
	name string
	to   *node
}

// match is the best entry that was found, and how many names of the path it
// took to find it.
type match struct {
	entry *Entry
	depth int
}

const home = "~"

// split takes a path of the catalog apart: what it begins with, "" or a home,
// and what lies below that.
func split(p string) (top, below string, err error) {
	top, below, found := strings.Cut(p, "/")
	if !found || top != "" && top != home {
		return "", "", format.Errorf("path %q: neither absolute nor below ~/", p)
	}
	if below == "" || path.Clean("/"+below) != "/"+below {
		return "", "", format.Errorf("path %q: not clean", p)
	}
	return top, below, nil
}

// add puts an entry at a path below the node.
func (n *node) add(below string, e *Entry) error {
	for below != "" {
		name, rest, _ := strings.Cut(below, "/")
		next, err := n.step(name, rest)
		if err != nil {
			return format.Errorf("path %q: %w", e.Path, err)
		}
		n, below = next, rest
	}
	if n.entry != nil {
		return format.Errorf("path %q: is that of %q, too", e.Path, n.entry.Name)
	}
	n.entry = e
	return nil
}

// step gives the node that a name leads to, and makes it if need be. The rest
// is what follows the name.
func (n *node) step(name, rest string) (*node, error) {
	if name == "**" {
		// With a second one, or at the end, it would only take time.
		if rest == "" || strings.Contains("/"+rest+"/", "/**/") {
			return nil, errors.New("only one ** has a meaning, and something has to follow it")
		}
		if n.anywhere == nil {
			n.anywhere = &node{}
		}
		return n.anywhere, nil
	}
	if !strings.ContainsAny(name, `*?[\`) {
		if n.names == nil {
			n.names = make(map[string]*node)
		}
		if n.names[name] == nil {
			n.names[name] = &node{}
		}
		return n.names[name], nil
	}
	for _, p := range n.patterns {
		if p.name == name {
			return p.to, nil
		}
	}
	if _, err := path.Match(name, ""); err != nil {
		return nil, err
	}
	p := pattern{name: name, to: &node{}}
	i := 0
	for i < len(n.patterns) && len(n.patterns[i].name) >= len(name) {
		i++
	}
	n.patterns = append(n.patterns, p)
	copy(n.patterns[i+1:], n.patterns[i:])
	n.patterns[i] = p
	return p.to, nil
}

// find looks for what lies at a path below the node, and above it, and notes
// it when it is nearer to the path than the best so far. The depth is that of
// the node.
func (n *node) find(below string, depth int, best *match) {
	if n.entry != nil && depth > best.depth && (below == "" || !n.entry.File) {
		*best = match{n.entry, depth}
	}
	if below == "" {
		return
	}
	name, rest, _ := strings.Cut(below, "/")
	if next := n.names[name]; next != nil {
		next.find(rest, depth+1, best)
	}
	for _, p := range n.patterns {
		if ok, err := path.Match(p.name, name); ok && err == nil {
			p.to.find(rest, depth+1, best)
		}
	}
	for n.anywhere != nil && below != "" {
		n.anywhere.find(below, depth, best)
		_, below, _ = strings.Cut(below, "/")
		depth++
	}
}

// splitHome gives what lies below the home directory that a path is in, and
// how deep that directory lies; 0 for a path that is in none.
func splitHome(p string, homes []string) (below string, depth int) {
	length := usualHome(p)
	for _, h := range homes {
		if len(h) > length && len(p) > len(h) && p[len(h)] == '/' && p[:len(h)] == h {
			length = len(h)
		}
	}
	if length == 0 {
		return "", 0
	}
	return p[length+1:], strings.Count(p[:length], "/")
}

// usualHome gives how long the name of the home directory is that a path is
// in: /root, or one in /home; 0 when it is in neither.
func usualHome(p string) int {
	if strings.HasPrefix(p, "/root/") {
		return len("/root")
	}
	if in, found := strings.CutPrefix(p, "/home/"); found {
		if n := strings.IndexByte(in, '/'); n > 0 {
			return len("/home/") + n
		}
	}
	return 0
}
