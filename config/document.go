package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a document; the format itself needs seven.
const maxDepth = 16

// object is a JSON object that keeps the order of its members, which is the
// order in which stores are brought in, and remembers the repeated ones, which
// encoding/json would let win silently.
type object struct {
	members  []member
	repeated []string
}

type member struct {
	name  string
	value any // *object, []any, string, json.Number, bool or nil
}

// has reports whether the object, which may be nil, has a member.
func (o *object) has(name string) bool {
	if o == nil {
		return false
	}
	for i := range o.members {
		if o.members[i].name == name {
			return true
		}
	}
	return false
}

// maxMembers bounds the members of one object: each new one is compared with
// all before it.
const maxMembers = 10_000

// parseDocument turns JSON text into a tree. Its errors name line and column.
//
// encoding/json says whether the text is JSON at all; what walks it then may
// rely on that. The decoder of encoding/json would do, too, but takes as long
// for the tokens of a config with thousands of entries as the kernel does for
// their mounts.
func parseDocument(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("is not valid UTF-8")
	}
	var valid json.RawMessage
	if err := json.Unmarshal(data, &valid); err != nil {
		return nil, syntaxError(data, err)
	}
	w := walker{rest: data}
	value, err := w.value(0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", position(data, int64(len(data)-len(w.rest))), err)
	}
	return value, nil
}

func syntaxError(data []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	if int(syntax.Offset) >= len(data) && strings.Contains(err.Error(), "unexpected end") {
		return fmt.Errorf("%s: the document ends in the middle", position(data, int64(len(data))))
	}
	return fmt.Errorf("%s: %w", position(data, syntax.Offset-1), err)
}

func position(data []byte, offset int64) string {
	before := string(data[:min(int(offset), len(data))])
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndexByte(before, '\n')
	return fmt.Sprintf("line %d, column %d", line, column)
}

// walker goes through text that is known to be JSON.
type walker struct{ rest []byte }

// next returns the next byte that is not white space, without taking it.
func (w *walker) next() byte {
	w.rest = bytes.TrimLeft(w.rest, " \t\r\n")
	return w.rest[0]
}

// take takes the next byte if it is c.
func (w *walker) take(c byte) bool {
	if w.next() != c {
		return false
	}
	w.rest = w.rest[1:]
	return true
}

func (w *walker) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	switch w.next() {
	case '{':
		return w.object(depth)
	case '[':
		return w.array(depth)
	case '"':
		return w.text()
	}
	switch word := w.word(); word {
	case "null":
		return nil, nil
	case "true", "false":
		return word == "true", nil
	default:
		return json.Number(word), nil
	}
}

func (w *walker) object(depth int) (any, error) {
	o := &object{}
	for w.rest = w.rest[1:]; !w.take('}'); w.take(',') {
		w.next()
		name, err := w.text()
		if err != nil {
			return nil, err
		}
		w.take(':')
		value, err := w.value(depth + 1)
		switch {
		case err != nil:
			return nil, err
		case len(o.members) == maxMembers:
			return nil, fmt.Errorf("an object of more than %d members", maxMembers)
		case o.has(name):
			o.repeated = append(o.repeated, name)
		default:
			o.members = append(o.members, member{name, value})
		}
	}
	return o, nil
}

func (w *walker) array(depth int) (any, error) {
	list := []any{}
	for w.rest = w.rest[1:]; !w.take(']'); w.take(',') {
		value, err := w.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, nil
}

// text takes a string, quotes and all.
func (w *walker) text() (string, error) {
	end, escaped := 1, false
	for ; w.rest[end] != '"'; end++ {
		if w.rest[end] == '\\' {
			end, escaped = end+1, true
		}
	}
	quoted := w.rest[:end+1]
	w.rest = w.rest[end+1:]
	if !escaped {
		return string(quoted[1:end]), nil
	}
	var s string
	err := json.Unmarshal(quoted, &s)
	return s, err
}

// word takes a number, or one of the words that JSON has.
func (w *walker) word() string {
	end := bytes.IndexAny(w.rest, " \t\r\n,]}")
	if end < 0 {
		end = len(w.rest)
	}
	word := string(w.rest[:end])
	w.rest = w.rest[end:]
	return word
}
