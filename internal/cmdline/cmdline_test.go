package cmdline

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		line string
		want Parameters
	}{
		{"", nil},
		{" \t\n", nil},
		{"quiet", Parameters{{Key: "quiet"}}},
		{"root=fstab ebb.rollback=no\n", Parameters{{"root", "fstab", true}, {"ebb.rollback", "no", true}}},
		{"a=", Parameters{{"a", "", true}}},
		{"a=b=c", Parameters{{"a", "b=c", true}}},
		{`a="b c" d`, Parameters{{"a", "b c", true}, {Key: "d"}}},
		{`"a=b c" d`, Parameters{{"a", "b c", true}, {Key: "d"}}},
		{`a="`, Parameters{{"a", "", true}}},
		{`a="b c`, Parameters{{"a", "b c", true}}},
		{`a=b"c"d`, Parameters{{"a", "bcd", true}}},
		{`""`, Parameters{{}}},
		{"=x", Parameters{{"", "x", true}}},
	} {
		if got := Parse(test.line); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q:\n got %+v\nwant %+v", test.line, got, test.want)
		}
	}
}

func TestGetTakesTheLast(t *testing.T) {
	p := Parse("ebb.rollback=no x ebb.rollback=41")
	if value, ok := p.Get("ebb.rollback"); value != "41" || !ok {
		t.Errorf("got %q, %v", value, ok)
	}
	if _, ok := p.Get("ebb.mount"); ok {
		t.Error("found what is not there")
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{"", "a=b", `a="b c" d`, `foo="`, "\"", strings.Repeat("a", 5000)} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		length := 0
		for _, p := range Parse(line) {
			length += len(p.Key) + len(p.Value)
		}
		if length > len(line) {
			t.Errorf("%d bytes out of %d", length, len(line))
		}
	})
}
