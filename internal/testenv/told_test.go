package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const thisPackage = "internal/testenv"

// readTold reads what was told of this package.
func readTold(t *testing.T, directory string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(directory, strings.ReplaceAll(thisPackage, "/", "-")+".txt"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// What a test does not look at is told, once for each test, and nothing else is.
func TestTold(t *testing.T) {
	const impossible Tier = "impossible"
	for name, test := range map[string]struct {
		long, require string
		do            func(record *recorder)
		want          string // is told
		failed        bool
	}{
		"a test is skipped":       {"", "", func(r *recorder) { Need(r, impossible) }, `NOT RUN	` + thisPackage + `: this test needs "impossible": unknown tier`, false},
		"a test fails":            {"", "impossible", func(r *recorder) { Need(r, impossible) }, "", true},
		"a part is not run":       {"", "", func(r *recorder) { Has(r, impossible, "to look") }, `NOT RUN	` + thisPackage + `: to look: it needs "impossible"`, false},
		"a part fails":            {"", "all", func(r *recorder) { Has(r, impossible, "to look") }, "", true},
		"a part is run":           {"", "all", func(r *recorder) { Has(r, TierGit, "to look") }, "", false},
		"something is left out":   {"", "", func(r *recorder) { IsLong(r, "most") }, "LEFT OUT	" + thisPackage + ": most (EBB_LONG=1", false},
		"nothing is left out":     {"1", "", func(r *recorder) { IsLong(r, "most") }, "", false},
		"a line with line breaks": {"", "", func(r *recorder) { LeaveOut(r, "a\nb") }, "LEFT OUT	" + thisPackage + ": a b\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			for variable, value := range map[string]string{toldVariable: directory, longVariable: test.long, requireVariable: test.require, ciVariable: ""} {
				t.Setenv(variable, value)
			}
			record := &recorder{TB: t}
			test.do(record)
			got := readTold(t, directory)
			if !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") || strings.Count(got, "\n") > 1 || record.failed != test.failed {
				t.Errorf("told %q, want %q; failed %v, want %v", got, test.want, record.failed, test.failed)
			}
		})
	}
}

// Nowhere to tell it, and a place that cannot be written to.
func TestToldNobody(t *testing.T) {
	t.Setenv(toldVariable, "")
	if err := Tell(LeftOut, "most"); err != nil {
		t.Error(err)
	}
	t.Setenv(toldVariable, "/nonexistent")
	if Tell(LeftOut, "most") == nil {
		t.Error("what was told is nowhere, and nobody says so")
	}
}

// scripts/told shows what was told behind all else, each line once, and ends as
// its command has.
func TestScriptTells(t *testing.T) {
	const script = `echo output; printf 'LEFT OUT\ta: most\nLEFT OUT\ta: most\n' > "$EBB_TOLD/a.txt"; printf 'NOT RUN\tb: half\n' > "$EBB_TOLD/b.txt"; exit 3`
	output, err := exec.Command("../../scripts/told", "sh", "-c", script).CombinedOutput()
	if err == nil || err.Error() != "exit status 3" {
		t.Errorf("ended with: %v", err)
	}
	const want = "output NOT RUN; nothing is known of what these look at: 1 b: half LEFT OUT: 2 a: most"
	if got := strings.Join(strings.Fields(string(output)), " "); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if output, err := exec.Command("../../scripts/told", "echo", "all").CombinedOutput(); err != nil || string(output) != "all\n" {
		t.Errorf("with nothing to tell: %q, %v", output, err)
	}
}

// What root can run everywhere, root must run: the Makefile names each tier but
// those that have a target of their own, which require them.
func TestMakefileRequires(t *testing.T) {
	data, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(data), "\nROOT_TIERS := ")
	line, _, _ = strings.Cut(line, "\n")
	for _, tier := range []Tier{TierRoot, TierNamespaces, TierBtrfs, TierGit} {
		if !required(tier, line, "") {
			t.Errorf("ROOT_TIERS, %q, is without %q", line, tier)
		}
	}
	if !strings.Contains(string(data), "EBB_REQUIRE=vm,$(REQUIRED)") {
		t.Error("test-vm does not require machines")
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "go test ") && !strings.Contains(line, "scripts/told ") {
			t.Errorf("says nothing of what it leaves out: %s", strings.TrimSpace(line))
		}
	}
}
