package roots

import (
	"path"
	"strings"

	"github.com/ebb-nix/ebb/internal/format"
)

// globs are patterns for paths, taken apart into one list of components: what
// is left to be matched is a set of places in it, which a walk carries along.
// So directories in which nothing can match are not entered.
type globs struct {
	components []string // "" where a pattern has come to its end
	start      places
}

// places is a set of indexes of globs.components.
type places uint64

// mostComponents is how many a set holds.
const mostComponents = 64

// anyDirectories is the component that stands for any number of them.
const anyDirectories = "**"

// parseGlobs reads patterns of the kind of path.Match, with "**" for any number
// of directories. One that does not begin with a slash matches at any depth.
func parseGlobs(patterns []string) (*globs, error) {
	g := &globs{}
	for _, pattern := range patterns {
		rest, anchored := strings.CutPrefix(path.Clean(pattern), "/")
		if !anchored {
			rest = anyDirectories + "/" + rest
		}
		first := len(g.components)
		for _, c := range strings.Split(rest, "/") {
			if _, err := path.Match(c, ""); err != nil || c == "" || c == "." || c == ".." {
				return nil, format.Errorf("pattern %q cannot match anything: see path.Match", pattern)
			}
			g.components = append(g.components, c)
		}
		g.components = append(g.components, "")
		if len(g.components) > mostComponents {
			return nil, format.Errorf("the patterns have more than %d components", mostComponents)
		}
		g.start |= g.at(first)
	}
	return g, nil
}

// at is the set of one place, and of those that "**" lets skip to.
func (g *globs) at(i int) (p places) {
	for ; g.components[i] == anyDirectories; i++ {
		p |= 1 << i
	}
	return p | 1<<i
}

// step goes over one name of a path. Nothing can match below it when the
// result is empty.
func (g *globs) step(from places, name string) (to places, matches bool) {
	for i, c := range g.components {
		if from&(1<<i) == 0 || c == "" {
			continue
		}
		if c == anyDirectories {
			to |= g.at(i)
		} else if ok, _ := path.Match(c, name); ok {
			to |= g.at(i + 1)
		}
	}
	for i, c := range g.components {
		if c == "" && to&(1<<i) != 0 {
			matches, to = true, to&^(1<<i)
		}
	}
	return to, matches
}
