package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// decoder collects problems while it reads a document tree. Its methods return
// the zero value for what they refuse, so that the rest is still looked at.
type decoder struct {
	problems Problems
}

// fields says what may stand in an object: how each member is read.
type fields map[string]func(at string, value any)

func (d *decoder) refuse(at, format string, args ...any) {
	d.problems = append(d.problems, Problem{Place: at, Reason: fmt.Sprintf(format, args...)})
}

// object reads the members of value by the table; members that the table does
// not have, and members that stand there twice, are refused. It returns which
// members there were.
func (d *decoder) object(at string, value any, table fields) map[string]bool {
	o, ok := value.(*object)
	if !ok {
		d.refuse(at, "%s: not an object", shown(value))
		return nil
	}
	for _, key := range o.repeated {
		d.refuse(join(at, key), "stands there twice")
	}
	present := map[string]bool{}
	for _, m := range o.members {
		present[m.key] = true
		read, known := table[m.key]
		if !known {
			d.refuse(join(at, m.key), "unknown field")
			continue
		}
		read(join(at, m.key), m.value)
	}
	return present
}

// list reads each element of an array.
func (d *decoder) list(at string, value any, read func(at string, value any)) {
	elements, ok := value.([]any)
	if !ok {
		d.refuse(at, "%s: not a list", shown(value))
		return
	}
	for i, element := range elements {
		read(at+"["+strconv.Itoa(i)+"]", element)
	}
}

func (d *decoder) text(at string, value any) string {
	s, ok := value.(string)
	switch {
	case !ok:
		d.refuse(at, "%s: not a string", shown(value))
	case strings.ContainsRune(s, 0):
		d.refuse(at, "%q: holds a NUL", s)
		return ""
	}
	return s
}

func (d *decoder) flag(at string, value any) bool {
	b, ok := value.(bool)
	if !ok {
		d.refuse(at, "%s: not true or false", shown(value))
	}
	return b
}

// number reads an integer from 0 to largest.
func (d *decoder) number(at string, value any, largest uint64) uint64 {
	literal, ok := value.(json.Number)
	if !ok {
		d.refuse(at, "%s: not a number", shown(value))
		return 0
	}
	n, err := strconv.ParseUint(literal.String(), 10, 64)
	if err != nil || n > largest {
		d.refuse(at, "%s: not an integer from 0 to %d", literal, largest)
		return 0
	}
	return n
}

// oneOf reads a string that has to be one of the given words.
func oneOf[T ~string](d *decoder, at string, value any, words ...T) T {
	s := d.text(at, value)
	known := make([]string, len(words))
	for i, word := range words {
		if T(s) == word {
			return word
		}
		known[i] = string(word)
	}
	d.refuse(at, "%q: not one of %s", s, strings.Join(known, ", "))
	return ""
}

// shown names a value of the wrong type in a message, cut where it is long.
func shown(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case *object:
		return "an object"
	case []any:
		return "a list"
	case string:
		if len(v) > 60 {
			v = v[:60] + "..."
		}
		return strconv.Quote(v)
	default:
		return fmt.Sprint(v)
	}
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}
