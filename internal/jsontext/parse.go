package jsontext

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ebb-nix/ebb/internal/format"
)

// Object is a JSON object. It keeps the order of its members, and remembers
// the names of those that stand there again.
type Object struct {
	Members  []Member
	Repeated []string
}

// Member is a name and its value: *Object, []any, string, [Number], bool or nil.
type Member struct {
	Name  string
	Value any
}

// Number is a number as it is written.
type Number string

// Has reports whether the object, which may be nil, has a member.
func (o *Object) Has(name string) bool {
	if o == nil {
		return false
	}
	for i := range o.Members {
		if o.Members[i].Name == name {
			return true
		}
	}
	return false
}

// Error says what is wrong with a text, and where.
type Error struct {
	Line, Column int // in bytes, from 1
	Reason       string
}

func (e *Error) Error() string {
	return format.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// ErrNotUTF8 is the error of a text that is not UTF-8, as JSON has to be
// (RFC 8259, 8.1).
var ErrNotUTF8 = errors.New("is not valid UTF-8")

// Parse reads a text of one value, nested maxDepth levels deep at most. Strings
// in the result share memory with the text.
func Parse(text string, maxDepth int) (any, error) {
	if !utf8.ValidString(text) {
		return nil, ErrNotUTF8
	}
	p := parser{text: text, maxDepth: maxDepth}
	p.next()
	value, err := p.value(0)
	if p.next(); err == nil && p.at < len(text) {
		err = p.unexpected("after top-level value")
	}
	if err != nil {
		return nil, err
	}
	return value, nil
}

// parser is at one place in a text.
type parser struct {
	text     string
	at       int
	maxDepth int
}

// peek returns the byte that the parser is at, 0 at the end: a NUL is nowhere
// allowed in JSON.
func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// next skips white space and returns the byte after it.
func (p *parser) next() byte {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return c
		}
	}
	return 0
}

func (p *parser) refuse(reason string) error {
	before := p.text[:p.at]
	return &Error{
		Line:   strings.Count(before, "\n") + 1,
		Column: len(before) - strings.LastIndexByte(before, '\n'),
		Reason: reason,
	}
}

// unexpected refuses what stands where the parser is.
func (p *parser) unexpected(context string) error {
	if p.at >= len(p.text) {
		return p.refuse("the document ends in the middle")
	}
	c, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return p.refuse("invalid character " + strconv.QuoteRune(c) + " " + context)
}

// value takes a value that begins where the parser is.
func (p *parser) value(depth int) (any, error) {
	if depth > p.maxDepth {
		return nil, p.refuse(format.Sprintf("nested deeper than %d levels", p.maxDepth))
	}
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.string()
	case c == 't':
		return true, p.word("true")
	case c == 'f':
		return false, p.word("false")
	case c == 'n':
		return nil, p.word("null")
	case c == '-' || isDigit(c):
		return p.number()
	}
	return nil, p.unexpected("looking for beginning of value")
}

func (p *parser) object(depth int) (any, error) {
	o := &Object{}
	p.at++
	if p.next() == '}' {
		p.at++
		return o, nil
	}
	for {
		m, err := p.member(depth)
		if err != nil {
			return nil, err
		}
		o.Members = append(o.Members, m)
		switch p.next() {
		case ',':
			p.at++
			p.next()
		case '}':
			p.at++
			o.findRepeated()
			return o, nil
		default:
			return nil, p.unexpected("after object key:value pair")
		}
	}
}

func (p *parser) member(depth int) (m Member, err error) {
	if p.peek() != '"' {
		return m, p.unexpected("looking for beginning of object key string")
	}
	if m.Name, err = p.string(); err != nil {
		return m, err
	}
	if p.next() != ':' {
		return m, p.unexpected("after object key")
	}
	p.at++
	p.next()
	m.Value, err = p.value(depth + 1)
	return m, err
}

// fewMembers are compared with each other; of more than that a set is made.
const fewMembers = 16

// findRepeated takes the members out that have been there before.
func (o *Object) findRepeated() {
	var seen map[string]bool
	if len(o.Members) > fewMembers {
		seen = make(map[string]bool, len(o.Members))
	}
	all := o.Members
	o.Members = all[:0]
	for _, m := range all {
		if seen[m.Name] || seen == nil && o.Has(m.Name) {
			o.Repeated = append(o.Repeated, m.Name)
			continue
		}
		if seen != nil {
			seen[m.Name] = true
		}
		o.Members = append(o.Members, m)
	}
}

func (p *parser) array(depth int) (any, error) {
	list := []any{}
	p.at++
	if p.next() == ']' {
		p.at++
		return list, nil
	}
	for {
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
		switch p.next() {
		case ',':
			p.at++
			p.next()
		case ']':
			p.at++
			return list, nil
		default:
			return nil, p.unexpected("after array element")
		}
	}
}

// word takes one of the words that JSON has.
func (p *parser) word(word string) error {
	for i := range len(word) {
		if p.peek() != word[i] {
			return p.unexpected(format.Sprintf("in literal %s (expecting %q)", word, rune(word[i])))
		}
		p.at++
	}
	return nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// number takes a number: RFC 8259, 6.
func (p *parser) number() (any, error) {
	begin := p.at
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if err := p.digits("in numeric literal"); err != nil {
		return nil, err
	}
	if p.peek() == '.' {
		p.at++
		if err := p.digits("after decimal point in numeric literal"); err != nil {
			return nil, err
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if err := p.digits("in exponent of numeric literal"); err != nil {
			return nil, err
		}
	}
	return Number(p.text[begin:p.at]), nil
}

func (p *parser) digits(context string) error {
	if !isDigit(p.peek()) {
		return p.unexpected(context)
	}
	for isDigit(p.peek()) {
		p.at++
	}
	return nil
}

// string takes a string.
func (p *parser) string() (string, error) {
	p.at++
	begin := p.at
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return p.text[begin : p.at-1], nil
		case c == '\\':
			return p.escaped(p.text[begin:p.at])
		case c < ' ':
			return "", p.unexpected("in string literal")
		}
	}
	return "", p.unexpected("")
}

// escaped takes the rest of a string that has escapes in it.
func (p *parser) escaped(before string) (string, error) {
	s := []byte(before)
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == '"':
			p.at++
			return string(s), nil
		case c < ' ':
			return "", p.unexpected("in string literal")
		case c != '\\':
			s = append(s, c)
			p.at++
			continue
		}
		p.at++
		if p.peek() == 'u' {
			p.at++
			r, err := p.codePoint()
			if err != nil {
				return "", err
			}
			s = utf8.AppendRune(s, r)
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, p.peek())
		if i < 0 || p.at == len(p.text) {
			return "", p.unexpected("in string escape code")
		}
		s = append(s, "\"\\/\b\f\n\r\t"[i])
		p.at++
	}
	return "", p.unexpected("")
}

// codePoint takes the digits of \uXXXX, and the whole of a second one where
// both are the halves of one character. A half alone is U+FFFD.
func (p *parser) codePoint() (rune, error) {
	r, err := p.hexadecimal()
	if err != nil || !utf16.IsSurrogate(r) || !strings.HasPrefix(p.text[p.at:], `\u`) {
		return r, err
	}
	first := p.at
	p.at += len(`\u`)
	second, err := p.hexadecimal()
	if err != nil {
		return 0, err
	}
	if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
		return pair, nil
	}
	p.at = first // what comes then stands for itself
	return utf8.RuneError, nil
}

func (p *parser) hexadecimal() (rune, error) {
	var r rune
	for range 4 {
		digit := strings.IndexByte("0123456789abcdef", p.peek()|0x20)
		if digit < 0 || p.peek() < '0' {
			return 0, p.unexpected(`in \u hexadecimal character escape`)
		}
		r = r<<4 | rune(digit)
		p.at++
	}
	return r, nil
}
