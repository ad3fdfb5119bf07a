package catalog

import "path"

// Cursor goes down the tree of a file system and knows at each place what
// [Catalog.Lookup] would say of it, without beginning anew for each path.
type Cursor struct {
	catalog *Catalog
	homes   []string
	spots   []spot // of all levels
	levels  []level
	last    level // of the name that was looked at
}

// spot is where the catalog may go on.
type spot struct {
	at       *node
	anywhere bool // it stays, whatever the next name is
}

// level is a directory that was entered.
type level struct {
	from  int // of its spots
	best  match
	depth int
}

// Cursor returns one that stands in the root directory. The homes are those of
// Lookup.
func (c *Catalog) Cursor(homes ...string) *Cursor {
	cursor := &Cursor{catalog: c, homes: homes, levels: []level{{}}}
	cursor.add(&c.root)
	return cursor
}

func (c *Cursor) add(n *node) {
	c.spots = append(c.spots, spot{at: n})
	if n.anywhere != nil {
		c.spots = append(c.spots, spot{n.anywhere, true})
	}
}

// Look says what is known of a name in the present directory. The path is that
// of the name, absolute.
func (c *Cursor) Look(name, path string, directory bool) *Entry {
	top := c.levels[len(c.levels)-1]
	end := len(c.spots)
	next := level{from: end, best: top.best, depth: top.depth + 1}
	for _, s := range c.spots[top.from:end] {
		c.step(s, name)
	}
	found := next.best
	for _, s := range c.spots[end:] {
		e := s.at.entry
		if e == nil || s.anywhere {
			continue
		}
		if next.depth > found.depth {
			found = match{e, next.depth}
		}
		if !e.File && next.depth > next.best.depth { // it knows what lies below, too
			next.best = match{e, next.depth}
		}
	}
	if directory && c.isHome(path) {
		c.add(&c.catalog.homes)
	}
	c.last = next
	if !directory {
		c.spots = c.spots[:end]
	}
	return found.entry
}

// step goes on from one spot.
func (c *Cursor) step(s spot, name string) {
	if below := s.at.names[name]; below != nil {
		c.add(below)
	}
	for _, p := range s.at.patterns {
		if ok, err := path.Match(p.name, name); ok && err == nil {
			c.add(p.to)
		}
	}
	if s.anywhere {
		c.spots = append(c.spots, s)
	}
}

func (c *Cursor) isHome(path string) bool {
	for _, h := range c.homes {
		if h == path {
			return true
		}
	}
	return usualHome(path+"/") == len(path)
}

// Enter goes into the directory that was looked at last.
func (c *Cursor) Enter() { c.levels = append(c.levels, c.last) }

// Leave goes back to the directory above.
func (c *Cursor) Leave() {
	top := len(c.levels) - 1
	c.spots = c.spots[:c.levels[top].from]
	c.levels = c.levels[:top]
}

// Skip forgets the directory that was looked at last, instead of entering it.
func (c *Cursor) Skip() { c.spots = c.spots[:c.last.from] }
