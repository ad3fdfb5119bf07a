package catalog

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// down looks a path up with a cursor, going through every directory above it.
func down(c *Cursor, path string) *Entry {
	names := strings.Split(path[1:], "/")
	at := ""
	var found *Entry
	for i, name := range names {
		at += "/" + name
		last := i == len(names)-1
		found = c.Look(name, at, !last)
		if !last {
			c.Enter()
		}
	}
	for range names[1:] {
		c.Leave()
	}
	return found
}

// A cursor says the same as Lookup, of everything in the catalog and of random
// paths made of its names.
func TestCursorAgreesWithLookup(t *testing.T) {
	c := load(t)
	cursor := c.Cursor("/srv/people/ann")
	example := strings.NewReplacer("**", "some/where", "*", "x", "~/", "/home/ann/")
	random := rand.New(rand.NewPCG(1, 2))
	var paths, names []string
	for _, e := range c.Entries() {
		p := example.Replace(e.Path)
		paths = append(paths, p, p+"/below", p+"/a/Cache/b", strings.Replace(p, "/home/ann", "/srv/people/ann", 1))
		names = append(names, strings.Split(p[1:], "/")...)
	}
	for range 20000 {
		p := []string{"", "/home/x", "/root", "/srv/people/ann"}[random.IntN(4)]
		for range 1 + random.IntN(5) {
			p += "/" + names[random.IntN(len(names))]
		}
		paths = append(paths, p)
	}
	known := 0
	for _, p := range paths {
		want, got := c.Lookup(p, "/srv/people/ann"), down(cursor, p)
		if want != got {
			t.Fatalf("%s: cursor %v, lookup %v", p, got, want)
		}
		if got != nil {
			known++
		}
	}
	if known < 1000 || len(cursor.levels) != 1 {
		t.Errorf("%d known paths, cursor at level %d", known, len(cursor.levels))
	}
}
