package main

import "fmt"

// verdict is the word for how a claim came out.
func (c *claim) verdict() string {
	switch {
	case !c.looked:
		return "?"
	case !c.so:
		return "NO"
	}
	return "yes"
}

// mark is the verdict as it stands in front of a line.
func (s *screen) mark(c *claim) string {
	padded := fmt.Sprintf("%-3s", c.verdict())
	if c.looked && c.so {
		return s.good(padded)
	}
	return s.bad(padded)
}

// claims are those of all chapters.
func claims(story []chapter) []*claim {
	var all []*claim
	for _, c := range story {
		all = append(all, c.claims...)
	}
	return all
}

// summarize writes a table of all claims and reports whether all of them were so. What could not be looked at was not.
func summarize(s *screen, all []*claim) bool {
	rows := [][]string{{"claim", "seen"}}
	so := 0
	for _, c := range all {
		seen := c.seen
		if !c.looked {
			seen = "not looked at"
		} else if c.so {
			so++
		}
		rows = append(rows, []string{c.text, seen})
	}
	s.heading("Summary")
	for n, line := range columns(rows) {
		if n == 0 {
			s.line("%s%s", indent, s.bold("so?  "+line))
			continue
		}
		s.line("%s%s  %s", indent, s.mark(all[n-1]), line)
	}
	if so < len(all) {
		s.line("\n%s", s.bad(fmt.Sprintf("%d of %d claims were so.", so, len(all))))
		return false
	}
	s.line("\n%s", s.good(fmt.Sprintf("All %d claims were so.", so)))
	return true
}
