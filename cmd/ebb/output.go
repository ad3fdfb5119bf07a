package main

import (
	"io"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/jsontext"
	"github.com/ebb-nix/ebb/internal/sys"
)

func printJSON(w io.Writer, value any) error {
	text, err := jsontext.Append(nil, value, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// next prints what a person types next, as the last line.
func (i *invocation) next(command string) { format.Fprintf(i.stdout, "\n%s\n", command) }

// palette colours words on a terminal, and does nothing anywhere else.
type palette struct{ on bool }

// newPalette goes by https://no-color.org and by what is at the other end.
func newPalette(w io.Writer) palette {
	f, isFile := w.(sys.File)
	noColour, _ := unix.Getenv("NO_COLOR")
	terminal, _ := unix.Getenv("TERM")
	if !isFile || noColour != "" || terminal == "dumb" {
		return palette{}
	}
	return palette{on: f.IsTerminal()}
}

func (p palette) good(s string) string { return p.paint("32", s) }
func (p palette) bad(s string) string  { return p.paint("31", s) }
func (p palette) bold(s string) string { return p.paint("1", s) }

func (p palette) paint(code, s string) string {
	if !p.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
