package doctor

import (
	"slices"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/kmsg"
)

// The release that each bug of a kernel is mended in, and nothing else.
func TestBugsOf(t *testing.T) {
	for uname, fixed := range map[string]string{
		"4.4.0-210-generic": "4.7.0", "4.6.7": "4.7.0", "5.4.7": "5.4.8", "5.4.8": "5.14.0",
		"5.10.0-30-amd64": "5.14.0", "5.13.19": "5.14.0", "5.14.0": "", "5.15.190": "", "5.17.15": "",
		"5.18.0": "6.1.143", "6.1.142": "6.1.143", "6.1.143": "", "6.1.0-37-amd64": "",
		"6.2.0": "6.6.96", "6.4.16": "6.6.96", "6.5.0": "6.6.96 6.5.10", "6.5.9": "6.6.96 6.5.10", "6.5.10": "6.6.96",
		"6.6.0": "6.6.96 6.6.15", "6.6.14": "6.6.96 6.6.15", "6.6.15": "6.6.96", "6.6.95": "6.6.96",
		"6.6.96": "6.6.103", "6.6.102": "6.6.103", "6.6.103": "",
		"6.7.0": "6.12.36 6.7.9", "6.7.8": "6.12.36 6.7.9", "6.7.9": "6.12.36", "6.8.0-45-generic": "6.12.36", "6.11.11": "6.12.36",
		"6.12": "6.12.36", "6.12.0-rc1": "", "6.12.35": "6.12.36", "6.12.36": "6.12.43", "6.12.42": "6.12.43",
		"6.12.43": "6.12.94", "6.12.93": "6.12.94", "6.12.94": "", "6.12.94+deb13-amd64": "",
		"6.13.0": "6.15.5", "6.14.11": "6.15.5", "6.15.1": "6.15.5", "6.15.2": "6.15.5 6.16.2", "6.15.4": "6.15.5 6.16.2",
		"6.15.5": "6.16.2", "6.15.9-zen": "6.16.2", "6.16.0": "6.16.2", "6.16.1": "6.16.2", "6.16.2": "",
		"6.18.44": "", "7.0-rc3": "", "7.0.0": "", "": "", "linux": "", "6": "", "6.": "", ".": "",
	} {
		var got []string
		for _, problem := range bugsOf(uname) {
			_, release, _ := strings.Cut(problem, "; fixed in ")
			got = append(got, release)
		}
		if !slices.Equal(got, strings.Fields(fixed)) {
			t.Errorf("%q: fixed in %q, want %q", uname, got, fixed)
		}
	}
}

// Each line has ranges that end after they begin, and a word.
func TestBugsAreRanges(t *testing.T) {
	for line := range strings.Lines(strings.TrimSpace(bugs)) {
		ranges, problem, _ := strings.Cut(line, ": ")
		if ranges == "" || problem == "" {
			t.Errorf("not a bug: %q", line)
		}
		for r := range strings.FieldsSeq(ranges) {
			first, fixed, _ := strings.Cut(r, "-")
			from, isRelease := parseRelease(first)
			to, isReleaseToo := parseRelease(fixed)
			if !isRelease || !isReleaseToo || !from.less(to) {
				t.Errorf("not a range: %q", r)
			}
		}
	}
}

// A kernel with a bug is warned of whatever else there is, and a good one not.
func TestKernelIsExamined(t *testing.T) {
	for uname, want := range map[string]bool{"6.15.4": true, "6.18.44": false} {
		x := &Examination{Host: &initrd.Host{RunDir: t.TempDir(), Kernel: uname, Log: kmsg.New(false)}}
		findings := x.Run()
		if got := has(findings, Warning, "kernel 6.15.4: ") && has(findings, Warning, "fixed in 6.16.2"); got != want {
			t.Errorf("%s: %+v", uname, findings)
		}
	}
}
