package diff

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// ignored is what a walk finds: a directory that is ignored takes all in it
// along.
func ignored(l *Ignore, path string) bool {
	names := strings.Split(path[1:], "/")
	for i := range names {
		if l.Match("/"+strings.Join(names[:i+1], "/"), i < len(names)-1) {
			return true
		}
	}
	return false
}

func TestIgnore(t *testing.T) {
	l := ParseIgnore("# a comment\n\n*.log\n!keep.log\n/home/*/.cache\n/srv/**/tmp/\nbuild/\n\\#x\nlast[0-9!]\n")
	for path, want := range map[string]bool{
		"/var/x.log": true, "/var/keep.log": false, "/home/ann/.cache/a/b": true, "/srv/.cache": false,
		"/srv/a/b/tmp/f": true, "/srv/tmp/f": true, "/srv/a/tmp": false, "/a/build/x": true, "/a/build": false,
		"/#x": true, "/last7": true, "/lastx": false, "/last!": true,
	} {
		if got := ignored(l, path); got != want {
			t.Errorf("%s: ignored %v, want %v", path, got, want)
		}
	}
	if (*Ignore)(nil).Match("/x", false) {
		t.Error("no list ignores something")
	}
}

// Random patterns mean the same to git.
func TestIgnoreAsGit(t *testing.T) {
	testenv.Need(t, testenv.TierGit)
	random := rand.New(rand.NewPCG(3, 4))
	dir := t.TempDir()
	run := func(input string, arguments ...string) string {
		command := exec.Command("git", append([]string{"-C", dir}, arguments...)...)
		command.Stdin = strings.NewReader(input)
		output, err := command.Output()
		if err != nil && command.ProcessState.ExitCode() != 1 { // 1: none is ignored
			t.Fatalf("git %v: %v", arguments, err)
		}
		return string(output)
	}
	run("", "init", "-q")
	parts := []string{"a", "b", "ab", "*", "**", "?", "/", "/", "[a-b]", "[!a]", `\*`, ".x", "a*", "***"}
	names := []string{"a", "b", "ab", "ba", ".x", "*", "abab"}
	differ, total := 0, 0
	for range 200 {
		var patterns bytes.Buffer
		for range 1 + random.IntN(4) {
			line := []string{"", "", "!", "/"}[random.IntN(4)]
			for range 1 + random.IntN(5) {
				line += parts[random.IntN(len(parts))]
			}
			patterns.WriteString(line + "\n")
		}
		var paths []string
		for range 40 {
			path := ""
			for range 1 + random.IntN(4) {
				path += "/" + names[random.IntN(len(names))]
			}
			paths = append(paths, path)
		}
		if err := os.WriteFile(filepath.Join(dir, ".git", "info", "exclude"), patterns.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		input := ""
		for _, path := range paths {
			input += path[1:] + "\x00"
		}
		byGit := map[string]bool{}
		for path := range strings.SplitSeq(run(input, "check-ignore", "-z", "--no-index", "--stdin"), "\x00") {
			byGit["/"+path] = true
		}
		l := ParseIgnore(patterns.String())
		for _, path := range paths {
			total++
			if got := ignored(l, path); got != byGit[path] {
				differ++
				if differ < 10 {
					t.Errorf("%q with %q: ignored %v, git says %v", path, patterns.String(), got, byGit[path])
				}
			}
		}
	}
	if differ > 0 || total != 8000 {
		t.Errorf("%d of %d differ", differ, total)
	}
}

func FuzzIgnore(f *testing.F) {
	f.Add("*.log\n!x\n[a-\n", "/a/b.log")
	f.Add("**/a/**\n\\", "/a")
	f.Fuzz(func(t *testing.T, patterns, path string) {
		if len(patterns) > 40 || len(path) > 40 || !strings.HasPrefix(path, "/") {
			return
		}
		ParseIgnore(patterns).Match(path, true)
	})
}
