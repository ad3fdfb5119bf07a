package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
func parseDocument(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("is not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	value, err := parseValue(decoder, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", position(data, decoder.InputOffset()), plainSyntaxError(err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: something follows the document", position(data, decoder.InputOffset()))
	}
	return value, nil
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return parseObject(d, depth)
	case json.Delim('['):
		return parseArray(d, depth)
	}
	return token, nil
}

func parseObject(d *json.Decoder, depth int) (any, error) {
	o := &object{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("%v: the name of a member must be a string", token)
		}
		value, err := parseValue(d, depth+1)
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
	_, err := d.Token() // the closing brace
	return o, err
}

func parseArray(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		value, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := d.Token() // the closing bracket
	return list, err
}

// plainSyntaxError says in words what the decoder says as a bare "EOF".
func plainSyntaxError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the document ends in the middle")
	}
	return err
}

func position(data []byte, offset int64) string {
	before := string(data[:min(int(offset), len(data))])
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndexByte(before, '\n')
	return fmt.Sprintf("line %d, column %d", line, column)
}
