package jsontext

import (
	"encoding"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ebb-nix/ebb/internal/format"
)

// Marshal gives a value as JSON: see [Append].
func Marshal(value any) ([]byte, error) { return Append(nil, value, "") }

// Append appends a value as JSON, as encoding/json has it: the fields of
// structs by their tags, what implements [encoding.TextMarshaler] as a string,
// nil slices, maps and pointers as null. With an indent each member and each
// element has a line of its own.
func Append(text []byte, value any, indent string) ([]byte, error) {
	e := encoder{text: text, indent: indent, types: types{}}
	if err := e.value(reflect.ValueOf(value)); err != nil {
		return nil, err
	}
	return e.text, nil
}

// encoder writes one text.
type encoder struct {
	text   []byte
	indent string
	depth  int
	types  types
}

func (e *encoder) value(v reflect.Value) error {
	if !v.IsValid() {
		e.text = append(e.text, "null"...)
		return nil
	}
	if isNilable(v.Kind()) && v.IsNil() {
		e.text = append(e.text, "null"...)
		return nil
	}
	if e.types.of(v.Type()).marshals {
		return e.marshaler(v)
	}
	switch v.Kind() {
	case reflect.Bool:
		e.text = strconv.AppendBool(e.text, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.text = strconv.AppendInt(e.text, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.text = strconv.AppendUint(e.text, v.Uint(), 10)
	case reflect.Float64:
		return e.float(v.Float())
	case reflect.String:
		e.text = appendString(e.text, v.String())
	case reflect.Pointer, reflect.Interface:
		return e.value(v.Elem())
	case reflect.Slice:
		return e.list(v)
	case reflect.Struct:
		return e.fields(v)
	default:
		return format.Errorf("jsontext: cannot write a %s", v.Type())
	}
	return nil
}

func isNilable(k reflect.Kind) bool {
	return k == reflect.Pointer || k == reflect.Interface || k == reflect.Slice || k == reflect.Map
}

func (e *encoder) marshaler(v reflect.Value) error {
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return format.Errorf("jsontext: write a %s: %w", v.Type(), err)
	}
	e.text = appendString(e.text, string(text))
	return nil
}

// float writes a number as ECMAScript does, and encoding/json.
func (e *encoder) float(f float64) error {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return format.Errorf("jsontext: cannot write the number %v", f)
	}
	size := math.Abs(f)
	if size == 0 || size >= 1e-6 && size < 1e21 {
		e.text = strconv.AppendFloat(e.text, f, 'f', -1, 64)
		return nil
	}
	number := strconv.FormatFloat(f, 'e', -1, 64)
	e.text = append(e.text, strings.Replace(number, "e-0", "e-", 1)...)
	return nil
}

func (e *encoder) list(v reflect.Value) error {
	e.open('[')
	for i := range v.Len() {
		e.separate(i)
		if err := e.value(v.Index(i)); err != nil {
			return err
		}
	}
	e.close(']', v.Len())
	return nil
}

func (e *encoder) fields(v reflect.Value) error {
	e.open('{')
	count := 0
	for _, f := range e.types.of(v.Type()).fields {
		value := v.Field(f.index)
		if f.omitEmpty && isEmpty(value) {
			continue
		}
		e.separate(count)
		count++
		e.text = append(appendString(e.text, f.name), ':')
		if e.indent != "" {
			e.text = append(e.text, ' ')
		}
		if err := e.value(value); err != nil {
			return err
		}
	}
	e.close('}', count)
	return nil
}

// isEmpty is what "omitempty" leaves out; a struct never is.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String, reflect.Array:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func (e *encoder) open(bracket byte) {
	e.text = append(e.text, bracket)
	e.depth++
}

// separate begins the i-th member or element.
func (e *encoder) separate(i int) {
	if i > 0 {
		e.text = append(e.text, ',')
	}
	e.breakLine()
}

func (e *encoder) close(bracket byte, count int) {
	e.depth--
	if count > 0 {
		e.breakLine()
	}
	e.text = append(e.text, bracket)
}

func (e *encoder) breakLine() {
	if e.indent == "" {
		return
	}
	e.text = append(e.text, '\n')
	for range e.depth {
		e.text = append(e.text, e.indent...)
	}
}

// appendString appends a string, quotes and all. Bytes that are not UTF-8, as
// names of files may have, become U+FFFD. What cannot be printed is escaped: a
// terminal acts on DEL and on U+0080 to U+009F, characters that turn the
// direction make another name of a name, and JavaScript takes U+2028 and U+2029
// for ends of lines.
func appendString(text []byte, s string) []byte {
	text = append(text, '"')
	begin := 0
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if escape := escapeOf(r, size); escape != "" {
			text = append(append(text, s[begin:i]...), escape...)
			begin = i + size
		}
		i += size
	}
	return append(append(text, s[begin:]...), '"')
}

// escapeOf returns what is written instead of a character, "" for itself.
func escapeOf(r rune, size int) string {
	if r == utf8.RuneError && size == 1 {
		return `\ufffd`
	}
	if i := strings.IndexRune("\"\\\b\f\n\r\t", r); i >= 0 {
		return `\` + `"\bfnrt`[i:i+1]
	}
	if r <= 0xffff && !strconv.IsPrint(r) {
		return format.Sprintf(`\u%04x`, r)
	}
	return ""
}
