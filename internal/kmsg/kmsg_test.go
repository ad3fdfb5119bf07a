package kmsg

import (
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	for _, test := range []struct {
		name                            string
		journal, verbose                bool
		level                           Level
		text                            string
		wantStderr, wantKernel, wantCon string
	}{
		{"journal", true, false, Info, "a step", "<6>a step\n", "<6>ebb: a step\n", ""},
		{"terminal", false, false, Info, "a step", "ebb: a step\n", "<6>ebb: a step\n", ""},
		{"failure", true, false, Failure, "broken", "<3>broken\n", "<3>ebb: broken\n", "ebb: broken\r\n"},
		{"refusal", true, false, Refusal, "no", "<4>no\n", "<4>ebb: no\n", "ebb: no\r\n"},
		{"debug off", true, false, Debug, "detail", "", "", ""},
		{"debug on", true, true, Debug, "detail", "<7>detail\n", "<7>ebb: detail\n", ""},
		{"hostile", true, false, Info, "a\nb\x1b[2J\u202e", `<6>a b\x1b[2J\u202e` + "\n", `<6>ebb: a b\x1b[2J\u202e` + "\n", ""},
		{"quoted already", true, false, Refusal, `"/x\x00y": holds a NUL`, `<4>"/x\x00y": holds a NUL` + "\n", `<4>ebb: "/x\x00y": holds a NUL` + "\n", `ebb: "/x\x00y": holds a NUL` + "\r\n"},
		{"letters", true, false, Info, `"jürgen"`, `<6>"jürgen"` + "\n", `<6>ebb: "jürgen"` + "\n", ""},
		{"not UTF-8", true, false, Info, "a\xff\tb\u009b", `<6>a\xff b\u009b` + "\n", `<6>ebb: a\xff b\u009b` + "\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stderr, kernel, console strings.Builder
			l := &Logger{stderr: &stderr, kernel: &kernel, console: &console, journal: test.journal, verbose: test.verbose}
			l.Log(test.level, "%s", test.text)
			for _, got := range []struct{ where, got, want string }{
				{"stderr", stderr.String(), test.wantStderr},
				{"kernel", kernel.String(), test.wantKernel},
				{"console", console.String(), test.wantCon},
			} {
				if got.got != got.want {
					t.Errorf("%s: got %q, want %q", got.where, got.got, got.want)
				}
			}
		})
	}
}

func TestLongLineIsCut(t *testing.T) {
	var stderr strings.Builder
	l := &Logger{stderr: &stderr}
	l.Log(Info, "%s", strings.Repeat("é", 2000))
	if n := len(stderr.String()); n > lineMax+10 {
		t.Errorf("a line of %d bytes", n)
	}
	if !strings.HasSuffix(stderr.String(), "...\n") {
		t.Errorf("the cut is not shown: %q", stderr.String())
	}
}

func TestZeroLoggerDropsEverything(t *testing.T) {
	var l Logger
	l.Log(Failure, "nobody listens")
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"/var/log":      "/var/log",
		"a b":           "a b",
		`say "x"`:       `say "x"`,
		"a\x1b[31m":     `a\x1b[31m`,
		"a\\b":          `a\\b`,
		"\xff":          `\xff`,
		"\u202egnp.exe": `\u202egnp.exe`,
	} {
		if got := Quote(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"/var/log":         "/var/log",
		`"/x\x00y"`:        `"/x\x00y"`,
		`"jürgen"`:         `"jürgen"`,
		"a\x1b[31m":        `a\x1b[31m`,
		"\xff\ufffd":       `\xff` + "\ufffd",
		"\u202egnp.exe":    `\u202egnp.exe`,
		"\u009b2J\x7f\x00": `\u009b2J\x7f\x00`,
		"":                 "",
	} {
		if got := Escape(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestLogSoonIsWrittenTogetherAndInOrder(t *testing.T) {
	var out counter
	l := &Logger{stderr: &out, journal: true}
	for range 3 {
		l.LogSoon(Info, []byte("soon"))
	}
	if out.writes != 0 {
		t.Errorf("%d writes before there was a need", out.writes)
	}
	l.Log(Refusal, "now")
	if want := "<6>soon\n<6>soon\n<6>soon\n<4>now\n"; out.text.String() != want || out.writes != 1 {
		t.Errorf("%d writes of %q", out.writes, out.text.String())
	}
	for range pendingMax {
		l.LogSoon(Info, []byte("more"))
	}
	if out.writes < 2 {
		t.Error("what waits grows without end")
	}
}

type counter struct {
	text   strings.Builder
	writes int
}

func (c *counter) Write(p []byte) (int, error) {
	c.writes++
	return c.text.Write(p)
}
