package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/config"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args string
		want options
		err  bool
	}{
		{"", options{}, false},
		{"-keep -verbose", options{keep: true, verbose: true}, false},
		{"-colour", options{}, true},
		{"now", options{}, true},
	} {
		got, err := parse(strings.Fields(c.args), io.Discard)
		if (err != nil) != c.err || (err == nil && got != c.want) {
			t.Errorf("%q: got %+v, %v", c.args, got, err)
		}
	}
	var help bytes.Buffer
	if _, err := parse([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	for _, want := range []string{"usage:", "-keep", "-verbose", "exit status"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("the help has no %q", want)
		}
	}
}

func TestDocumentIsValid(t *testing.T) {
	if _, err := config.Parse([]byte(document)); err != nil {
		t.Error(err)
	}
}

func TestScriptIsValid(t *testing.T) {
	text := script(append(lost(), kept()...))
	if out, err := exec.Command("sh", "-nc", text).CombinedOutput(); err != nil {
		t.Errorf("%v: %s\n%s", err, out, text)
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"one two three", []string{"one two", "three"}},
		{"  spaces\n and  lines", []string{"spaces", "and", "lines"}},
		{"incomprehensible yes", []string{"incomprehensible", "yes"}},
	} {
		if got := wrap(c.text, 8); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q", c.text, got)
		}
	}
}

func TestPrintable(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain\ttext\r\n", "plain\ttext"},
		{"\x1b[0;32mgreen\x1b[0m", "green"},
		{"\x1b[!p\x1b]104\x07\x1b[?7hBooting", "Booting"},
		{"\x1b]0;title\x1b\\after\x1bM", "after"},
		{"vice…", "vice…"},
	} {
		if got := printable(c.text); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// Where lines cannot be written over, none is; where they can, the next line takes its place.
func TestStatusLine(t *testing.T) {
	for _, live := range []bool{false, true} {
		var out bytes.Buffer
		s := &screen{out: &out, live: live}
		s.status("waiting")
		s.line("done")
		want := "done\n"
		if live {
			want = "\r\x1b[Kwaiting\r\x1b[Kdone\n"
		}
		if got := out.String(); got != want {
			t.Errorf("live %v: got %q, want %q", live, got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := &progress{screen: &screen{out: &out}, phases: bootPhases(), verbose: true}
	p.update(0, "")
	p.update(5*time.Second, "Booting initrd of x...")
	p.update(6*time.Second, "Booting initrd of x...\nStarting ebb-rollback.service - ebb\n")
	p.update(15*time.Second, "Booting initrd of x...\nStarting ebb-rollback.service - ebb\n")
	p.update(16*time.Second, "Booting initrd of x...\nStarting ebb-rollback.service - ebb\n")
	want := `    0.0 s  switched on, the kernel is starting
    5.0 s  systemd runs in the initrd and looks for the disk
  | Booting initrd of x...
  | Starting ebb-rollback.service - ebb
    6.0 s  ebb makes the root fresh
   16.0 s  still: ebb makes the root fresh
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestParseTraces(t *testing.T) {
	got := parseTraces("/a|-rw-r--r--|root:root\n/b|-rw-------|me:users\n", "1234  /a\n5678  /b\n9  /c\n")
	if len(got) != 2 || got["/a"] != (trace{"-rw-r--r--", "root:root", "1234"}) || got["/b"].sum != "5678" {
		t.Errorf("got %v", got)
	}
}

func TestCompare(t *testing.T) {
	file := trace{"-rw-r--r--", "root:root", "1234"}
	for _, c := range []struct {
		before, after trace
		seen          string
		so            bool
	}{
		{file, file, "-rw-r--r-- root:root", true},
		{file, trace{}, "no such file", false},
		{trace{}, file, "was not there before", false},
		{trace{}, trace{}, "no such file", false},
		{file, trace{"-rw-r--r--", "root:root", "5"}, "other contents", false},
		{file, trace{"-rw-------", "me:root", "1234"}, "-rw------- me:root, was -rw-r--r-- root:root", false},
	} {
		if seen, so := compare(c.before, c.after); seen != c.seen || so != c.so {
			t.Errorf("%v, %v: got %q, %v", c.before, c.after, seen, so)
		}
	}
}

func TestParseUnitTime(t *testing.T) {
	const starting = `{"MESSAGE_ID":"` + messageStarting + `","_SOURCE_REALTIME_TIMESTAMP":"1000000"}` + "\n"
	const started = `{"MESSAGE_ID":"` + messageStarted + `","_SOURCE_REALTIME_TIMESTAMP":"1250000"}` + "\n"
	if got, err := parseUnitTime(starting + started); err != nil || got != 250*time.Millisecond {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", starting, started, "not JSON\n"} {
		if _, err := parseUnitTime(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestParsePlan(t *testing.T) {
	got, err := parsePlan(`{"rollback": {"steps": ["one", "two"]}, "entries": [], "problems": [{"text": "x"}]}`)
	if err != nil || !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, text := range []string{"", `{"rollback": {"steps": [], "refused": "hibernated"}}`} {
		if _, err := parsePlan(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestTellStopsAtWhatCannotBeSeen(t *testing.T) {
	found := func(so bool) func(context.Context) (string, bool, error) {
		return func(context.Context) (string, bool, error) { return "seen", so, nil }
	}
	blind := func(context.Context) (string, bool, error) { return "", false, errors.New("no light") }
	for _, c := range []struct {
		claims  []*claim
		failed  bool
		allSo   bool
		summary string
	}{
		{[]*claim{{text: "a", look: found(true)}, {text: "b", look: found(true)}}, false, true, "All 2 claims were so."},
		{[]*claim{{text: "a", look: found(false)}, {text: "b", look: found(true)}}, false, false, "NO   a      seen\n  yes  b      seen\n"},
		{[]*claim{{text: "a", look: found(true)}, {text: "b", look: blind}}, true, false, "?    b      not looked at\n"},
		{[]*claim{{text: "a", look: blind}, {text: "b", look: found(true)}}, true, false, "0 of 2 claims were so."},
	} {
		var out bytes.Buffer
		teller := &teller{screen: &screen{out: &out}}
		story := []chapter{{title: "T", text: "words", claims: c.claims}}
		err := teller.tell(t.Context(), story)
		allSo := summarize(teller.screen, claims(story))
		if (err != nil) != c.failed || allSo != c.allSo || !strings.Contains(out.String(), c.summary) {
			t.Errorf("want %q: error %v, all so %v\n%s", c.summary, err, allSo, out.String())
		}
	}
}

// A story in which nothing happens has claims all the same, none of which is met.
func TestStoryHasClaims(t *testing.T) {
	all := claims((&teller{}).story())
	if want := 2*len(lost()) + len(kept()); len(all) <= want {
		t.Errorf("%d claims for %d files", len(all), want)
	}
	seen := map[string]bool{}
	for _, c := range all {
		if c.look == nil || seen[c.text] {
			t.Errorf("claim %q cannot be looked up, or is there twice", c.text)
		}
		seen[c.text] = true
	}
	if summarize(&screen{out: io.Discard}, all) {
		t.Error("claims that nobody has looked at are so")
	}
}
