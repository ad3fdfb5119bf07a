package format

import (
	"reflect"
	"strconv"
)

// appendValue appends arg as the verb wants it. Methods come before kinds, as
// in fmt: a value that has a text of its own is printed with it.
func appendValue(text []byte, d directive, arg any) []byte {
	if d.verb != 'd' && d.verb != 'o' && d.verb != 't' {
		switch arg := arg.(type) {
		case string:
			return appendText(text, d, arg)
		case []byte:
			if d.verb != 'v' {
				return appendText(text, d, string(arg))
			}
		case error:
			return appendText(text, d, arg.Error())
		case interface{ String() string }:
			return appendText(text, d, arg.String())
		}
	}
	return appendKind(text, d, reflect.ValueOf(arg))
}

// appendKind appends a value that is known by its kind alone.
func appendKind(text []byte, d directive, v reflect.Value) []byte {
	switch kind := v.Kind(); {
	case kind == reflect.Invalid:
		return append(text, "<nil>"...)
	case v.CanInt():
		n := v.Int()
		if n < 0 {
			return appendInteger(text, d, true, -uint64(n))
		}
		return appendInteger(text, d, false, uint64(n))
	case v.CanUint():
		return appendInteger(text, d, false, v.Uint())
	case v.CanFloat():
		verb, precision := byte('g'), d.precision
		if d.verb == 'f' {
			verb = 'f'
			if precision < 0 {
				precision = 6
			}
		}
		return strconv.AppendFloat(text, v.Float(), verb, precision, v.Type().Bits())
	case kind == reflect.Bool:
		return strconv.AppendBool(text, v.Bool())
	case kind == reflect.String:
		return appendText(text, d, v.String())
	case kind == reflect.Slice, kind == reflect.Array:
		return appendElements(text, d, v)
	}
	return append(append(append(text, "%!("...), v.Type().String()...), ')')
}

// appendElements appends a list in brackets; bytes may be a text.
func appendElements(text []byte, d directive, v reflect.Value) []byte {
	if d.verb != 'v' && d.verb != 'd' && v.Type().Elem().Kind() == reflect.Uint8 {
		var s []byte
		for i := range v.Len() {
			s = append(s, byte(v.Index(i).Uint()))
		}
		return appendText(text, d, string(s))
	}
	text = append(text, '[')
	for i := range v.Len() {
		if i > 0 {
			text = append(text, ' ')
		}
		text = appendValue(text, d, v.Index(i).Interface())
	}
	return append(text, ']')
}
