package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"
	"unicode"

	"golang.org/x/sys/unix"
)

// width of the text. What programs print may be wider.
const width = 78

// indent is in front of everything but headings and plain text.
const indent = "  "

// screen is what the user looks at: a terminal, or a file.
type screen struct {
	out io.Writer
	// live is a terminal, where a line can be written over. colour is one whose user has not asked for none.
	live, colour bool
	// shown is whether the last line is one to be written over.
	shown bool
}

func newScreen(f *os.File) *screen {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	live := err == nil && os.Getenv("TERM") != "dumb"
	return &screen{out: f, live: live, colour: live && os.Getenv("NO_COLOR") == ""} // https://no-color.org
}

func (s *screen) good(text string) string { return s.paint("32", text) }
func (s *screen) bad(text string) string  { return s.paint("31", text) }
func (s *screen) bold(text string) string { return s.paint("1", text) }

func (s *screen) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// line writes one line.
func (s *screen) line(format string, args ...any) {
	s.wipe()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// status shows a line that the next one takes the place of, where that is possible, and nothing elsewhere.
func (s *screen) status(text string) {
	if s.live {
		fmt.Fprint(s.out, "\r\x1b[K"+text)
		s.shown = true
	}
}

func (s *screen) wipe() {
	if s.shown {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.shown = false
	}
}

func (s *screen) heading(text string) {
	s.line("\n%s", s.bold(text))
}

// text writes a paragraph.
func (s *screen) text(paragraph string) {
	for _, line := range wrap(paragraph, width) {
		s.line("%s", line)
	}
}

// wrap breaks a paragraph into lines. A word that is longer than a line gets one of its own.
func wrap(paragraph string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(paragraph) {
		last := len(lines) - 1
		if last < 0 || len(lines[last])+1+len(word) > width {
			lines = append(lines, word)
			continue
		}
		lines[last] += " " + word
	}
	return lines
}

// session shows a command and what it has printed, as on a terminal in the machine.
func (s *screen) session(command, output string) {
	s.line("\n%s%s", indent, s.bold("$ "+command))
	s.block(output)
}

// block writes the lines of somebody else.
func (s *screen) block(text string) {
	for line := range strings.Lines(text) {
		s.line("%s%s", indent, printable(line))
	}
}

// printable is a line without what could move the cursor: escape sequences and control characters.
func printable(line string) string {
	line = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-~])`).ReplaceAllString(line, "")
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, line)
}

// columns makes lines of rows of cells, each column as wide as its widest cell.
func columns(rows [][]string) []string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t")) // a Builder never fails to write
	}
	w.Flush()
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// table writes rows of cells.
func (s *screen) table(rows [][]string) {
	for _, line := range columns(rows) {
		s.line("%s%s", indent, line)
	}
}
