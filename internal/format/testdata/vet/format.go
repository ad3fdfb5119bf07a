// Package format is fmt, as scripts/format-overlay shows it to go vet.
package format

import (
	"fmt"
	"io"
)

func Errorf(format string, args ...any) error         { return fmt.Errorf(format, args...) }
func Sprintf(format string, args ...any) string       { return fmt.Sprintf(format, args...) }
func Fprintf(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format, args...) }
func Appendf(text []byte, format string, args ...any) []byte {
	return fmt.Appendf(text, format, args...)
}
func Fprintln(w io.Writer, args ...any) { fmt.Fprintln(w, args...) }
func Fprint(w io.Writer, text string)   { fmt.Fprint(w, text) }
func Sprint(arg any) string             { return fmt.Sprint(arg) }
