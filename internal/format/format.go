// Package format does what package fmt does, for the verbs that ebb's texts
// need, in a sixth of its size: fmt alone is 5 % of the binary that goes into
// the initrd. The tests hold it against fmt.
//
// The verbs are %s %v %q %d %x %o %f %t %w and %%, with the flags -, 0 and #, a
// width and a precision. Anything else is printed as it stands, with a mark,
// as fmt does: a message is never lost for a mistake in its format.
package format

import (
	"io"
	"strconv"
	"unicode/utf8"
)

// Sprintf returns the text of format with args in place of its verbs.
func Sprintf(format string, args ...any) string {
	return string(Appendf(nil, format, args...))
}

// Fprintf writes to w what Sprintf returns, in one Write. Errors of w are
// dropped: all output of ebb goes to a terminal, a pipe or the journal, and
// nothing is to be done about one that is gone.
func Fprintf(w io.Writer, format string, args ...any) {
	_, _ = w.Write(Appendf(nil, format, args...))
}

// Sprint returns arg as %v prints it.
func Sprint(arg any) string { return string(Appendf(nil, "%v", arg)) }

// Fprint writes text to w, as Fprintf does.
func Fprint(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

// Fprintln writes args to w as %v prints them, with blanks between them and a
// newline at the end, in one Write.
func Fprintln(w io.Writer, args ...any) {
	var line []byte
	for i, arg := range args {
		if i > 0 {
			line = append(line, ' ')
		}
		line = appendValue(line, directive{verb: 'v', precision: -1}, arg)
	}
	_, _ = w.Write(append(line, '\n'))
}

// Appendf appends to text what Sprintf returns.
func Appendf(text []byte, format string, args ...any) []byte {
	used := 0
	for i := 0; i < len(format); {
		if format[i] != '%' {
			text = append(text, format[i])
			i++
			continue
		}
		var d directive
		d, i = parseDirective(format, i+1)
		switch {
		case d.verb == '%':
			text = append(text, '%')
		case used == len(args):
			text = append(append(text, "%!"...), d.verb)
			text = append(text, "(MISSING)"...)
		default:
			text = appendPadded(text, d, args[used])
			used++
		}
	}
	for ; used < len(args); used++ {
		text = append(appendValue(append(text, "%!(EXTRA "...), directive{verb: 'v', precision: -1}, args[used]), ')')
	}
	return text
}

// directive is one verb of a format with what stands before it.
type directive struct {
	verb      byte
	left      bool // fill up to the width on the right
	zero      bool // fill up with zeros
	alternate bool // octal numbers begin with 0
	width     int  // in characters
	precision int  // -1 for none
}

// parseDirective reads the directive that begins at i, behind its per cent
// sign, and returns where it ends.
func parseDirective(format string, i int) (directive, int) {
	d := directive{precision: -1}
	for ; i < len(format) && (format[i] == '-' || format[i] == '0' || format[i] == '#'); i++ {
		switch format[i] {
		case '-':
			d.left = true
		case '0':
			d.zero = true
		case '#':
			d.alternate = true
		}
	}
	d.width, i = parseNumber(format, i)
	if i < len(format) && format[i] == '.' {
		d.precision, i = parseNumber(format, i+1)
	}
	if i == len(format) {
		d.verb = '!' // "%!(NOVERB)" in fmt
		return d, i
	}
	d.verb = format[i]
	return d, i + 1
}

func parseNumber(format string, i int) (number, end int) {
	for ; i < len(format) && format[i] >= '0' && format[i] <= '9' && number < 1000; i++ {
		number = number*10 + int(format[i]-'0')
	}
	return number, i
}

// appendPadded appends arg, filled up to the width.
func appendPadded(text []byte, d directive, arg any) []byte {
	start := len(text)
	text = appendValue(text, d, arg)
	missing := d.width - utf8.RuneCount(text[start:])
	if missing <= 0 {
		return text
	}
	fill := byte(' ')
	if d.zero && !d.left {
		fill = '0'
		if start < len(text) && text[start] == '-' && d.verb != 's' && d.verb != 'q' {
			start++ // the sign comes first
		}
	}
	for range missing {
		text = append(text, fill)
	}
	if !d.left {
		copy(text[start+missing:], text[start:])
		for i := range missing {
			text[start+i] = fill
		}
	}
	return text
}

func appendInteger(text []byte, d directive, negative bool, magnitude uint64) []byte {
	base := 10
	switch d.verb {
	case 'x':
		base = 16
	case 'o':
		base = 8
	case 'q':
		return strconv.AppendQuoteRune(text, rune(magnitude))
	}
	if negative {
		text = append(text, '-')
	}
	if d.alternate && base == 8 && magnitude != 0 {
		text = append(text, '0')
	}
	return strconv.AppendUint(text, magnitude, base)
}

func appendText(text []byte, d directive, s string) []byte {
	if d.precision >= 0 && len(s) > d.precision {
		s = s[:d.precision]
	}
	switch d.verb {
	case 'q':
		return strconv.AppendQuote(text, s)
	case 'x':
		const digits = "0123456789abcdef"
		for i := range len(s) {
			text = append(text, digits[s[i]>>4], digits[s[i]&15])
		}
		return text
	}
	return append(text, s...)
}
