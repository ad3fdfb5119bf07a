package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// table lines up its columns, two blanks apart.
type table struct{ rows [][]string }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(cell))
		}
	}
	var text strings.Builder
	for _, row := range t.rows {
		missing := 0
		for i, cell := range row {
			if cell != "" {
				text.WriteString(strings.Repeat(" ", missing))
				missing = 0
			}
			text.WriteString(cell)
			missing += widths[i] - width(cell) + 2
		}
		text.WriteByte('\n')
	}
	_, _ = io.WriteString(w, text.String())
}

// width is the number of characters that a terminal shows of s, which may hold
// colours.
func width(s string) int {
	n := 0
	for {
		before, after, found := strings.Cut(s, "\x1b[")
		n += utf8.RuneCountInString(before)
		if !found {
			return n
		}
		_, s, _ = strings.Cut(after, "m")
	}
}
