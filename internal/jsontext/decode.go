package jsontext

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/ebb-nix/ebb/internal/format"
)

// maxDepth bounds the nesting of what Unmarshal reads; ebb's own texts have
// six levels.
const maxDepth = 32

// Unmarshal reads a text into what target points to. Members that the target
// has no field for are passed over, those that are missing leave their field as
// it is, and so does null.
func Unmarshal(data []byte, target any) error {
	value, err := Parse(string(data), maxDepth)
	if err != nil {
		return err
	}
	d := decoder{types: types{}}
	return d.set(reflect.ValueOf(target).Elem(), value)
}

type decoder struct{ types types }

// set puts a value of the text into v.
func (d *decoder) set(v reflect.Value, value any) error {
	if value == nil {
		return nil
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return d.set(v.Elem(), value)
	}
	switch value := value.(type) {
	case string:
		return d.setText(v, value)
	case Number:
		return setNumber(v, string(value))
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(value)
			return nil
		}
	case []any:
		if v.Kind() == reflect.Slice {
			return d.setList(v, value)
		}
	case *Object:
		switch {
		case len(value.Repeated) > 0:
			return format.Errorf("member %q stands there twice", value.Repeated[0])
		case v.Kind() == reflect.Struct:
			return d.setFields(v, value)
		case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
			return d.setMap(v, value)
		}
	}
	return wrongType(v, value)
}

func wrongType(v reflect.Value, value any) error {
	name := "an object"
	switch value.(type) {
	case []any:
		name = "a list"
	case string:
		name = "a string"
	case Number:
		name = "a number"
	case bool:
		name = "true or false"
	}
	return format.Errorf("%s where a %s has to be", name, v.Type())
}

func (d *decoder) setText(v reflect.Value, text string) error {
	switch target := v.Addr().Interface().(type) {
	case *time.Time:
		t, err := format.ParseTime(text)
		*target = t
		return err
	case TextParser:
		return target.ParseText(text)
	}
	if v.Kind() != reflect.String {
		return wrongType(v, text)
	}
	v.SetString(text)
	return nil
}

func setNumber(v reflect.Value, text string) error {
	var err error
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		n, err = strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var n uint64
		n, err = strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
	case reflect.Float64:
		var f float64
		f, err = parseFloat(text)
		v.SetFloat(f)
	default:
		return wrongType(v, Number(text))
	}
	if err != nil {
		return format.Errorf("%s is no %s", text, v.Type())
	}
	return nil
}

// parseFloat reads what is a number of JSON, of 18 digits at most. It is exact for
// numbers of 15 digits, 22 behind the point: those of ebb are seconds. Beyond
// that the last bits may differ from those of strconv.ParseFloat, which is 12 kB.
func parseFloat(text string) (f float64, err error) {
	power := 0
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		if power, err = strconv.Atoi(text[at+1:]); err != nil {
			return 0, err
		}
		text = text[:at]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	digits, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil {
		return 0, err
	}
	power -= len(fraction)
	scale := 1.0 // a power of ten is exact up to the 22nd
	for range min(max(power, -power), 400) {
		scale *= 10
	}
	if f = float64(digits) / scale; power > 0 {
		f = float64(digits) * scale
	}
	if f-f != 0 {
		return 0, strconv.ErrRange
	}
	return f, nil
}

func (d *decoder) setList(v reflect.Value, list []any) error {
	v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
	for i, value := range list {
		if err := d.set(v.Index(i), value); err != nil {
			return format.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

func (d *decoder) setFields(v reflect.Value, o *Object) error {
	for _, f := range d.types.of(v.Type()).fields {
		for i := range o.Members {
			if o.Members[i].Name != f.name {
				continue
			}
			if err := d.set(v.Field(f.index), o.Members[i].Value); err != nil {
				return format.Errorf("%s: %w", f.name, err)
			}
		}
	}
	return nil
}

func (d *decoder) setMap(v reflect.Value, o *Object) error {
	v.Set(reflect.MakeMapWithSize(v.Type(), len(o.Members)))
	for _, m := range o.Members {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := d.set(element, m.Value); err != nil {
			return format.Errorf("%s: %w", m.Name, err)
		}
		key := reflect.New(v.Type().Key()).Elem()
		key.SetString(m.Name)
		v.SetMapIndex(key, element)
	}
	return nil
}
