package jsontext

import (
	"encoding"
	"reflect"
	"strings"
)

// TextParser is what reads its own text. It is not encoding.TextUnmarshaler,
// which brings the parser of package time along.
type TextParser interface {
	ParseText(text string) error
}

// types remembers what is known of the types in a value.
type types map[reflect.Type]*typeInfo

// typeInfo is what is to be known of a type.
type typeInfo struct {
	marshals bool // it is written by its own method
	fields   []field
}

// field is a field of a struct, by its tag.
type field struct {
	name      string
	index     int
	omitEmpty bool
}

func (t types) of(typ reflect.Type) *typeInfo {
	info := t[typ]
	if info == nil {
		info = &typeInfo{marshals: typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && typ.Kind() != reflect.Pointer}
		if typ.Kind() == reflect.Struct && !info.marshals {
			info.fields = fieldsOf(typ)
		}
		t[typ] = info
	}
	return info
}

func fieldsOf(typ reflect.Type) (fields []field) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields = append(fields, field{name: name, index: i, omitEmpty: options == "omitempty"})
	}
	return fields
}
