package diff

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// nixLines are entries for ebb.persist, in groups.
type nixLines struct {
	*Judged
	groups []nixGroup // the system first, then each user
	notes  []string
}

type nixGroup struct {
	user               string
	directories, files []string
}

// Nix returns what to put into the configuration to keep what is lost at a node
// and below, in a store: directories rather than files where a program has made
// the directory, too.
func (j *Judged) Nix(node uint32, store string) string {
	x := &nixLines{Judged: j, groups: []nixGroup{{}}}
	if node != 0 && !j.isBroad(node) {
		x.propose(node)
	} else {
		x.descend(node)
	}
	return x.text(store)
}

func (x *nixLines) descend(directory uint32) {
	for _, i := range x.lost(directory) {
		x.propose(i)
	}
}

func (x *nixLines) propose(i uint32) {
	n := x.at(i)
	whole := n.flags&flagNew != 0 || x.isUnit(i)
	switch {
	case n.rank == rankNone:
	case n.isDirectory() && (!whole || x.isBroad(i)):
		x.descend(i)
	default:
		x.add(i, n)
	}
}

func (x *nixLines) add(i uint32, n *node) {
	path := x.path(i)
	group, rel := x.group(path)
	quoted, ok := format.Nix(rel)
	if !ok || n.mode&unix.S_IFMT == unix.S_IFLNK {
		x.notes = append(x.notes, format.Sprintf("# %q is a link, or its name cannot be written in Nix\n", path))
		return
	}
	how, mode := "", ""
	if e := x.known[n.entry]; e != nil && x.isUnit(i) {
		how, mode = e.How, e.Mode
	}
	if how == "" && !n.isDirectory() {
		how = "sync" // a program may replace it by rename
	}
	switch {
	case how != "":
		quoted = format.Sprintf("{ path = %s; how = \"%s\"; }", quoted, how)
	case mode != "":
		quoted = format.Sprintf("{ path = %s; mode = \"%s\"; }", quoted, mode)
	}
	if n.isDirectory() {
		group.directories = append(group.directories, quoted)
	} else {
		group.files = append(group.files, quoted)
	}
}

// group is the one of the user whose home a path is in, and the path from there.
func (x *nixLines) group(path string) (*nixGroup, string) {
	user, rel := "", path
	if below, found := strings.CutPrefix(path, "/home/"); found {
		if name, in, inside := strings.Cut(below, "/"); inside {
			user, rel = name, in
		}
	}
	if _, ok := format.Nix(user); !ok {
		user, rel = "", path
	}
	for i := range x.groups {
		if x.groups[i].user == user {
			return &x.groups[i], rel
		}
	}
	x.groups = append(x.groups, nixGroup{user: user})
	return &x.groups[len(x.groups)-1], rel
}

func (x *nixLines) text(store string) string {
	quoted, _ := format.Nix(store)
	text := "ebb.persist." + quoted + " = {\n"
	for _, g := range x.groups {
		indent := "  "
		if g.user != "" {
			name, _ := format.Nix(g.user)
			text += "  users." + name + " = {\n"
			indent = "    "
		}
		text += nixList(indent, "directories", g.directories) + nixList(indent, "files", g.files)
		if g.user != "" {
			text += "  };\n"
		}
	}
	return text + "};\n" + strings.Join(x.notes, "")
}

func nixList(indent, name string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return indent + name + " = [\n" + indent + "  " + strings.Join(list, "\n"+indent+"  ") + "\n" + indent + "];\n"
}
