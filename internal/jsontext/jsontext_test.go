package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// colour is written as text.
type colour [3]byte

func (c colour) MarshalText() ([]byte, error) {
	if c == (colour{9, 9, 9}) {
		return nil, errors.New("no such colour")
	}
	return []byte{'a' + c[0], '"', 'a' + c[2]}, nil
}

func (c *colour) ParseText(text string) error {
	if len(text) != 3 {
		return errors.New("no colour")
	}
	*c = colour{text[0] - 'a', 0, text[2] - 'a'}
	return nil
}

type word string

type inner struct {
	Flag bool   `json:"flag"`
	Text word   `json:"text,omitempty"`
	List []word `json:"list"`
}

// whole has every kind of field that ebb's own types have.
type whole struct {
	Untagged int
	hidden   int
	Left     int       `json:"-"`
	Small    int8      `json:"small"`
	Wide     uint64    `json:"wide,omitempty"`
	Float    float64   `json:"float"`
	Time     time.Time `json:"time"`
	Zero     time.Time `json:"zero,omitempty"`
	Colour   colour    `json:"colour"`
	None     *colour   `json:"none,omitempty"`
	Some     *colour   `json:"some,omitempty"`
	Null     *inner    `json:"null"`
	Inner    inner     `json:"inner"`
	Inners   []inner   `json:"inners,omitempty"`
	Empty    []inner   `json:"empty"`
}

func wholes() []whole {
	return []whole{
		{},
		{
			Untagged: -1, hidden: 2, Left: 3, Small: -128, Wide: math.MaxUint64, Float: 0.25, Colour: colour{1, 0, 2}, Some: &colour{3, 0, 4},
			Time:  time.Date(2026, 11, 22, 1, 2, 3, 450, time.UTC),
			Inner: inner{Flag: true, Text: "a\x00\x1f\b\f\n\r\t\"\\/é\u2028\u2029😀\x7f", List: []word{"", "x"}},
			Null:  &inner{}, Inners: []inner{{}, {Text: "b"}}, Empty: []inner{},
		},
	}
}

// expect is what encoding/json writes, without its escapes for HTML.
// expect is what encoding/json writes, with the escapes that jsontext adds.
func expect(t *testing.T, value any, indent string) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(value); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		if r >= 0x7f && r <= 0xffff && !strconv.IsPrint(r) {
			fmt.Fprintf(&text, `\u%04x`, r)
		} else {
			text.WriteRune(r)
		}
	}
	return text.String()
}

func TestMarshalLikeEncodingJSON(t *testing.T) {
	values := []any{
		nil, true, "<&>", "\xff", "a\xffb\xc3", 1, -1, uint8(200), []string(nil),
		[]string{},
		[][]int{{}, {1}, nil},
		(*int)(nil),
		struct{}{},
		0.0, 1.0, -1.5, 1e20, 1e21, 1.5e300, 1e-6, 1e-7, 2.5e-10, math.MaxFloat64, math.SmallestNonzeroFloat64,
		[]any{nil, 1, "x", []int{}},
		colour{1, 2, 3},
		&colour{1, 2, 3},
	}
	for _, w := range wholes() {
		values = append(values, w, &w, []whole{w, w})
	}
	for _, value := range values {
		for _, indent := range []string{"", "  "} {
			got, err := Append(nil, value, indent)
			if want := expect(t, value, indent); err != nil || string(got) != want {
				t.Errorf("%#v:\n got %s, %v\nwant %s", value, got, err, want)
			}
		}
	}
}

func TestMarshalRefuses(t *testing.T) {
	for _, value := range []any{math.NaN(), math.Inf(1), []any{math.Inf(-1)}, make(chan int), func() {}, map[string]int{"a": 1}, []colour{{9, 9, 9}}, struct{ C colour }{colour{9, 9, 9}}} {
		if text, err := Marshal(value); err == nil {
			t.Errorf("%T was written as %s", value, text)
		}
	}
}

func TestUnmarshalReadsWhatMarshalWrites(t *testing.T) {
	for _, want := range wholes() {
		want.hidden, want.Left = 0, 0
		text, err := Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got whole
		if err := Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

func TestUnmarshal(t *testing.T) {
	var ids map[string]uint32
	if err := Unmarshal([]byte(` {"a": 0, "b\u0063": 4294967295} `), &ids); err != nil || !reflect.DeepEqual(ids, map[string]uint32{"a": 0, "bc": 4294967295}) {
		t.Errorf("%v, %v", ids, err)
	}
	w := whole{Wide: 7, Small: 8}
	if err := Unmarshal([]byte(`{"unknown": [{}], "small": null, "float": 1e2, "FLOAT": 3}`), &w); err != nil || w.Wide != 7 || w.Small != 8 || w.Float != 100 {
		t.Errorf("%+v, %v", w, err)
	}
}

// Seconds come back as they were: in nanoseconds, and as a clock has them.
func TestUnmarshalFloats(t *testing.T) {
	texts := []string{"0", "-0.0", "-1.5", "1e2", "1E+2", "25e-1", "1.5e22", "123456789012345", "0.000000001", "-12.5e-7", "123.456789012345e-10"}
	for n := int64(1); n < 1e15; n = n*7 + 3 {
		text, err := Marshal(float64(n) / 1e9)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	for _, text := range texts {
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseFloat(text); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"1e999", "-1e400", "1e99999999999999999999", "12345678901234567890"} {
		if got, err := parseFloat(text); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
	if got, err := parseFloat("0e-999999999"); err != nil || got != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                   "line 1, column 1: the document ends in the middle",
		`[]`:                                 "a list where a jsontext.whole has to be",
		`{"small": 128}`:                     "small: 128 is no int8",
		`{"small": 1.0}`:                     "small: 1.0 is no int8",
		`{"wide": -1}`:                       "wide: -1 is no uint64",
		`{"float": 1e999}`:                   "float: 1e999 is no float64",
		`{"float": "1"}`:                     "float: a string where a float64 has to be",
		`{"colour": 1}`:                      "colour: a number where a jsontext.colour has to be",
		`{"colour": "long"}`:                 "colour: no colour",
		`{"some": {}}`:                       "some: an object where a jsontext.colour has to be",
		`{"inner": {"flag": 1}}`:             "inner: flag: a number where a bool has to be",
		`{"inner": {"text": true}}`:          "inner: text: true or false where a jsontext.word has to be",
		`{"inners": [{}, {"list": [{}]}]}`:   "inners: [1]: list: [0]: an object where a jsontext.word has to be",
		`{"small": 1, "small": 2}`:           `member "small" stands there twice`,
		"{\"small\": \"\xff\"}":              "is not valid UTF-8",
		strings.Repeat(`{"x":`, maxDepth+2):  "line 1, column 166: nested deeper than 32 levels",
		`{"inner": {"list": ["a", "b",]}}  `: `line 1, column 30: invalid character ']' looking for beginning of value`,
	} {
		var w whole
		if err := Unmarshal([]byte(text), &w); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestParseKeepsOrderAndRepeated(t *testing.T) {
	few := `{"b": 1, "a": [null, true, false, "x"], "b": 2, "b": 3, "": {}}`
	value, err := Parse(few, 3)
	want := &Object{
		Members:  []Member{{"b", Number("1")}, {"a", []any{nil, true, false, "x"}}, {"", &Object{}}},
		Repeated: []string{"b", "b"},
	}
	if err != nil || !reflect.DeepEqual(value, want) {
		t.Errorf("got %+v, %v", value, err)
	}
	// With many members these are not compared one by one.
	var many strings.Builder
	for i := range 3 * fewMembers {
		many.WriteString(`"` + strings.Repeat("x", i) + `": 1, `)
	}
	value, err = Parse("{"+many.String()+many.String()+`"last": 1}`, 3)
	if err != nil {
		t.Fatal(err)
	}
	if o := value.(*Object); len(o.Members) != 3*fewMembers+1 || len(o.Repeated) != 3*fewMembers || !o.Has("last") || o.Has("first") {
		t.Errorf("%d members, %d repeated", len(o.Members), len(o.Repeated))
	}
	if (*Object)(nil).Has("x") {
		t.Error("no object has a member")
	}
}

// plain is a parsed value as encoding/json has it. It passes over documents
// with repeated members: of these encoding/json knows the last only.
func plain(value any) (_ any, comparable bool) {
	comparable = true
	switch v := value.(type) {
	case *Object:
		m := map[string]any{}
		for _, member := range v.Members {
			element, ok := plain(member.Value)
			m[member.Name], comparable = element, comparable && ok
		}
		return m, comparable && len(v.Repeated) == 0
	case []any:
		list := []any{}
		for _, element := range v {
			element, ok := plain(element)
			list, comparable = append(list, element), comparable && ok
		}
		return list, comparable
	case Number:
		return json.Number(v), true
	}
	return value, true
}

// FuzzParse holds the parser against that of encoding/json: what they take,
// what they make of it, and where they say that it is wrong, and why.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		``, ` `, `{}`, `[]`, `{"a": [1, -0, 0.5, 1e9, 1E-9, -1.5e+3]}`, `"\ud83d\ude00\ud83d\u0041\ude00\u00e9\"\\\/\b\f\n\r\t"`, "\"a\nb\"", "\"\\\x01\"",
		`nul`, `nulL`, `tru`, `fals3`, `01`, `-`, `-a`, `1.`, `1.a`, `1e`, `1e+`, `1ea`, `+1`, `.5`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`,
		`{a: 1}`, `{"a" 1}`, `{"a": 1 2}`, `[1 2]`, `[1,]`, `[`, `[1`, `"`, `"\`, `"\x"`, `"\u12`, `"\u123g"`, `"\ud800\u12"`, `"\ud800\n"`, `{} {}`, "\x00", "0\x00", "[\x00", `'a'`,
		"{\n\"a\":\n\t\x0b}", `[é]`, `{"a":1,"a":2}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const depth = 100
		got, err := Parse(text, depth)
		if !utf8.ValidString(text) || strings.Count(text, "{")+strings.Count(text, "[") > depth {
			return
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var want any
		wantErr := json.Unmarshal([]byte(text), &want)
		if (err == nil) != (wantErr == nil) && !strings.Contains(wantErr.Error(), "cannot unmarshal number") {
			t.Fatalf("%q: got %v, want %v", text, err, wantErr)
		}
		if err != nil {
			sameError(t, text, err, wantErr)
			return
		}
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if got, comparable := plain(got); comparable && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %#v, want %#v", text, got, want)
		}
	})
}

func sameError(t *testing.T, text string, err, wantErr error) {
	t.Helper()
	var got *Error
	var want *json.SyntaxError
	if !errors.As(err, &got) || !errors.As(wantErr, &want) {
		t.Fatalf("%q: got %v, want %v", text, err, wantErr)
	}
	offset := int(want.Offset) - 1
	ends := got.Reason == "the document ends in the middle" // where encoding/json sees a blank more
	if ends {
		offset = len(text)
	}
	before := text[:offset]
	line, column := strings.Count(before, "\n")+1, len(before)-strings.LastIndexByte(before, '\n')
	if got.Line != line || got.Column != column {
		t.Errorf("%q: got %v, want line %d, column %d, %v", text, got, line, column, wantErr)
	}
	if ends || text[offset] >= utf8.RuneSelf { // encoding/json shows a byte, and not the character
		return
	}
	if got.Reason != want.Error() {
		t.Errorf("%q: got %q, want %q", text, got.Reason, want.Error())
	}
}

func FuzzStrings(f *testing.F) {
	for _, s := range []string{"", "plain", "\x7f\u009b31m\u202etxt\u00a0\ue000", "a\"\\\x00\x7f\u2028é😀", "\xff\xfe", "\xed\xa0\x80", "<script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Marshal(s)
		if want := expect(t, s, ""); err != nil || string(got) != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
		var back string
		if err := Unmarshal(got, &back); err != nil || utf8.ValidString(s) && back != s {
			t.Errorf("%q was read back as %q, %v", s, back, err)
		}
	})
}
