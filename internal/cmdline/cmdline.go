// Package cmdline reads the kernel command line, /proc/cmdline.
//
// The rules are the kernel's own (lib/cmdline.c, next_arg): words are separated
// by white space, a double quote anywhere in a word protects white space up to
// the next one, the quotes themselves do not belong to the value. Unlike in the
// kernel a quote without an end runs to the end of the line and loses nothing.
package cmdline

import "strings"

// Path is where the kernel shows its command line.
const Path = "/proc/cmdline"

// MaxBytes bounds what is read; the kernel's own COMMAND_LINE_SIZE is at most
// 4096 on the architectures in use, a boot loader's extra room included.
const MaxBytes = 64 << 10

// Parameter is one word of the line: "key", or "key=value".
type Parameter struct {
	Key      string
	Value    string
	HasValue bool
}

// Parameters is the whole line, in order.
type Parameters []Parameter

// Parse splits a command line. It never fails: every text is a command line.
func Parse(line string) Parameters {
	var list Parameters
	for word := range words(line) {
		key, value, has := strings.Cut(word, "=")
		list = append(list, Parameter{Key: key, Value: value, HasValue: has})
	}
	return list
}

// words yields the words with their quotes taken off.
func words(line string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		var word strings.Builder
		quoted, inWord := false, false
		for _, c := range []byte(line) {
			switch {
			case c == '"':
				quoted, inWord = !quoted, true
			case isSpace(c) && !quoted:
				if inWord && !yield(word.String()) {
					return
				}
				word.Reset()
				inWord = false
			default:
				word.WriteByte(c)
				inWord = true
			}
		}
		if inWord {
			yield(word.String())
		}
	}
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'
}

// Get returns the value of the last parameter of that key, which is the one
// that counts where a boot loader's user has appended another.
func (p Parameters) Get(key string) (value string, ok bool) {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i].Key == key {
			return p[i].Value, true
		}
	}
	return "", false
}
