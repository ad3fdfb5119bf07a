package format

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"
)

type (
	name    string
	level   int
	address [4]byte
	mode    uint32
)

func (m mode) String() string { return fmt.Sprintf("mode %04o", uint32(m)) }

// TestLikeFmt holds each verb, with each flag, on values of each kind against
// package fmt.
func TestLikeFmt(t *testing.T) {
	values := map[string][]any{
		"sqvx": {"", "plain", "a\x00\"\n\xff", "grün", name("named"), []byte("bytes"), address{1, 2, 0xfe, 255}},
		"sqv":  {errors.New("an error"), time.Second, mode(0o755), []string{"a", "b c"}, []name{"x"}},
		"dxov": {0, 7, -42, int8(-128), math.MinInt64, uint8(200), uint64(math.MaxUint64), level(3), []int{1, -2}},
		"fv":   {0.0, 1.5, -3.25, 1e9, 0.0005},
		"tv":   {true, false},
	}
	flags := []string{"", "5", "-5", "05", "12", "-12"}
	for verbs, list := range values {
		for _, value := range list {
			for _, verb := range verbs {
				if _, isBytes := value.([]byte); isBytes && verb == 'v' {
					continue // tested below
				}
				for _, flag := range flags {
					if hasWidthOfItsElements(value) && flag != "" {
						continue
					}
					f := "<%" + flag + string(verb) + ">"
					compare(t, f, value)
				}
			}
		}
	}
	compare(t, "%v", []byte{1, 2})
	compare(t, "%.3f", 1.23456)
	compare(t, "%.3s|%.9s", "abcdef", "abc")
	compare(t, "%v and %v", nil, []any{nil, "x", 3})
	compare(t, "%06d", -3)
	compare(t, "%#o %#o %#o", 0o755, mode(0), uint64(8))
	compare(t, "%q %q", 'x', '\n')
	compare(t, "100 %%")
}

// hasWidthOfItsElements reports whether fmt pads each element of value.
func hasWidthOfItsElements(value any) bool {
	return strings.HasPrefix(fmt.Sprint(value), "[")
}

func compare(t *testing.T, format string, args ...any) {
	t.Helper()
	if got, want := Sprintf(format, args...), fmt.Sprintf(format, args...); got != want {
		t.Errorf("%q of %#v: %q, fmt has %q", format, args, got, want)
	}
}

func TestMistakesAreShown(t *testing.T) {
	for _, test := range []struct {
		format string
		args   []any
		want   string
	}{
		{"%s and %s", []any{"one"}, "one and %!s(MISSING)"},
		{"%s", []any{"one", 2}, "one%!(EXTRA 2)"},
		{"%s", []any{struct{ int }{1}}, "%!(struct { int })"},
	} {
		if got := Sprintf(test.format, test.args...); got != test.want {
			t.Errorf("%q: %q, want %q", test.format, got, test.want)
		}
	}
	if got := Sprintf("at the end "+strings.Repeat("%", 1), "x"); !strings.HasPrefix(got, "at the end ") {
		t.Errorf("%q", got)
	}
}

func TestErrorfWraps(t *testing.T) {
	first, second := &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, errors.New("second")
	err := Errorf("%d %%: %w; %s: %w", 5, first, "text", second)
	if want := "5 %: open x: file does not exist; text: second"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	var pathError *fs.PathError
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, second) || !errors.As(err, &pathError) {
		t.Error("an operand of %w is not found")
	}
	if errors.Is(Errorf("%v", second), second) {
		t.Error("an operand of percent v is wrapped")
	}
}

func TestFprint(t *testing.T) {
	var text strings.Builder
	Fprint(&text, "a%")
	Fprintf(&text, "%d", 1)
	Fprintln(&text, "b", 2, errors.New("c"))
	if want := "a%1b 2 c\n"; text.String() != want {
		t.Errorf("%q, want %q", text.String(), want)
	}
	if got := Sprint(uint64(7)); got != "7" {
		t.Errorf("%q", got)
	}
}

// FuzzSprintf looks for a format that fmt takes differently, or that is not
// survived.
func FuzzSprintf(f *testing.F) {
	f.Add("%s %d %x%%", "text", int64(-3))
	f.Add("%-10s|%06d|%q", "a\"b", int64(12))
	f.Fuzz(func(t *testing.T, format, s string, n int64) {
		got := Sprintf(format, s, n)
		if strings.Count(format, "%") == 2 && (strings.Contains(format, "%s") || strings.Contains(format, "%q")) &&
			strings.Index(format, "%d") > max(strings.Index(format, "%s"), strings.Index(format, "%q")) {
			if want := fmt.Sprintf(format, s, n); got != want {
				t.Errorf("%q: %q, fmt has %q", format, got, want)
			}
		}
	})
}
