package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/jsontext"
)

func printJSON(w io.Writer, value any) error {
	text, err := jsontext.Append(nil, value, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// palette colours words on a terminal, and does nothing anywhere else.
type palette struct{ on bool }

// newPalette goes by https://no-color.org and by what is at the other end.
func newPalette(w io.Writer) palette {
	f, isFile := w.(*os.File)
	if !isFile || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return palette{}
	}
	return palette{on: isTerminal(f)}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
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
