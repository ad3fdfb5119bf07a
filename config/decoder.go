package config

import (
	"strconv"
	"strings"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/jsontext"
)

// decoder collects problems while it reads a document tree. Its methods return
// the zero value for what they refuse, so that the rest is still looked at.
//
// A config may have thousands of entries, and is read in the initrd of every
// boot: where in the document the decoder is becomes text only when there is
// something to say about it.
type decoder struct {
	problems Problems
	path     []step
	kept     bool // the document is a list of kept entries
}

// step is one step into the document: the name of a member, or an index.
type step struct {
	name  string
	index int // counts where the name is empty
}

// place gives where the decoder is, and below it, as text:
// stores./persist.directories[3].mode.
func (d *decoder) place(below ...string) string {
	var text []byte
	for _, s := range d.path {
		if s.name == "" {
			text = append(strconv.AppendInt(append(text, '['), int64(s.index), 10), ']')
			continue
		}
		text = appendName(text, s.name)
	}
	for _, name := range below {
		text = appendName(text, name)
	}
	return string(text)
}

func appendName(text []byte, name string) []byte {
	if len(text) > 0 {
		text = append(text, '.')
	}
	return append(text, name...)
}

// refuse notes a problem with what is being read.
func (d *decoder) refuse(format string, args ...any) {
	d.refuseAt(d.place(), format, args...)
}

// refuseIn notes a problem with a member of what is being read.
func (d *decoder) refuseIn(name, format string, args ...any) {
	d.refuseAt(d.place(name), format, args...)
}

func (d *decoder) refuseAt(place, reason string, args ...any) {
	d.problems = append(d.problems, Problem{Place: place, Reason: format.Sprintf(reason, args...)})
}

// object hands the members of value to read, one by one. Members that read
// does not know, and members that stand there twice, are refused. It returns
// nil for what is no object.
func (d *decoder) object(value any, read func(name string, value any) (known bool)) *jsontext.Object {
	o, ok := value.(*jsontext.Object)
	if !ok {
		d.refuse("%s: not an object", shown(value))
		return nil
	}
	for _, name := range o.Repeated {
		d.refuseIn(name, "stands there twice")
	}
	for i := range o.Members {
		m := &o.Members[i]
		d.path = append(d.path, step{name: m.Name})
		if !read(m.Name, m.Value) {
			d.refuse("unknown field")
		}
		d.path = d.path[:len(d.path)-1]
	}
	return o
}

// list hands the elements of an array to read, one by one.
func (d *decoder) list(value any, read func(value any)) {
	elements, ok := value.([]any)
	if !ok {
		d.refuse("%s: not a list", shown(value))
		return
	}
	for i, element := range elements {
		d.path = append(d.path, step{index: i})
		read(element)
		d.path = d.path[:len(d.path)-1]
	}
}

func (d *decoder) text(value any) string {
	s, ok := value.(string)
	switch {
	case !ok:
		d.refuse("%s: not a string", shown(value))
	case strings.ContainsRune(s, 0):
		d.refuse("%q: holds a NUL", s)
		return ""
	}
	return s
}

func (d *decoder) flag(value any) bool {
	b, ok := value.(bool)
	if !ok {
		d.refuse("%s: not true or false", shown(value))
	}
	return b
}

// number reads an integer from 0 to largest.
func (d *decoder) number(value any, largest uint64) uint64 {
	literal, ok := value.(jsontext.Number)
	if !ok {
		d.refuse("%s: not a number", shown(value))
		return 0
	}
	n, err := strconv.ParseUint(string(literal), 10, 64)
	if err != nil || n > largest {
		d.refuse("%s: not an integer from 0 to %d", literal, largest)
		return 0
	}
	return n
}

// oneOf reads a string that has to be one of the given words.
func oneOf[T ~string](d *decoder, value any, words ...T) T {
	s := d.text(value)
	known := make([]string, len(words))
	for i, word := range words {
		if T(s) == word {
			return word
		}
		known[i] = string(word)
	}
	d.refuse("%q: not one of %s", s, strings.Join(known, ", "))
	return ""
}

// shown names a value of the wrong type in a message, cut where it is long.
func shown(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case *jsontext.Object:
		return "an object"
	case []any:
		return "a list"
	case string:
		if len(v) > 60 {
			v = v[:60] + "..."
		}
		return strconv.Quote(v)
	default:
		return format.Sprint(v)
	}
}
