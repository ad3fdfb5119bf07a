package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// hostileNames are names that do something where they are printed, or to what
// reads what was printed.
var hostileNames = []string{
	"a\nebb: all is well", "tab\there", "\x1b[2J\x1b[31mred", "bell\a", "rtl\u202etxt.exe", "\u009b31m", "del\x7f", "a b",
	"${x}", "''", `"`, `\`, "$(reboot)", "`reboot`", "-rf", "--", "*", "a,b", `\040`, "é", "e\u0301", strings.Repeat("x", 255),
}

// entriesOf makes one entry of each kind for each of the names.
func entriesOf(t *testing.T, names []string) (directories, files string, paths []string) {
	t.Helper()
	var lists [2][]map[string]string
	for _, name := range names {
		lists[0] = append(lists[0], map[string]string{"path": "/d/" + name})
		paths = append(paths, "/d/"+name)
		for _, how := range []string{"bind", "symlink", "sync"} {
			lists[1] = append(lists[1], map[string]string{"path": "/" + how + "/" + name, "how": how})
			paths = append(paths, "/"+how+"/"+name)
		}
	}
	first, err := json.Marshal(lists[0])
	require(t, err)
	second, err := json.Marshal(lists[1])
	require(t, err)
	return string(first), string(second), paths
}

// TestHostileNames brings in entries of such names, once with nothing in the way
// and once with links of such texts, and looks at all that is printed.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	testenv.Need(t, testenv.TierRoot)
	directories, files, paths := entriesOf(t, hostileNames)
	m := newDiskless(t, fmt.Sprintf(
		`{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {"directories": %s, "files": %s}}}`, directories, files))
	for _, planted := range []bool{false, true} {
		t.Run(fmt.Sprintf("planted %v", planted), func(t *testing.T) {
			defer inNamespace(t)()
			require(t, unix.Mount("tmpfs", "/run", "tmpfs", 0, ""))
			onTmpfs(t, &hostile{machine: m})
			m.plantNames(t, paths, planted)
			m.boot()
			for _, command := range [][]string{{"plan"}, {"mount"}, {"mount"}, {"status", "--all"}, {"status", "--json"}, {"sync"}, {"mount", "--finish"}} {
				r := run(t, m.ebb(command[0], command[1:]...))
				wantPlain(t, command[0], r.Output)
				if !planted && r.Status != 0 {
					t.Errorf("%q: status %d\n%s", command, r.Status, r.Output)
				}
			}
			m.wantNamesRecorded(t, paths, planted)
			if utab, err := os.ReadFile("/run/mount/utab"); !planted && (err != nil || strings.Count(string(utab), "\n") != 2*len(hostileNames)) {
				t.Errorf("utab: %v\n%s", err, utab)
			}
		})
	}
}

// plantNames makes the sources of files, and in the way of each entry a link.
func (m *machine) plantNames(t *testing.T, paths []string, planted bool) {
	t.Helper()
	for _, dir := range []string{"d", "bind", "symlink", "sync", "persist/d", "persist/bind", "persist/symlink", "persist/sync"} {
		testenv.Tree(t, m.path("sysroot"), "dir "+dir)
	}
	for _, path := range paths {
		if !strings.HasPrefix(path, "/d/") {
			require(t, os.WriteFile(m.path("sysroot/persist")+path, []byte("kept"), 0o644))
		}
		if planted {
			require(t, os.Symlink("\x1b[31m\nebb: fine \xff\u202e", m.path("sysroot")+path))
		}
	}
}

// wantPlain demands text that does nothing to a terminal, in lines that are all
// ebb's own.
func wantPlain(t *testing.T, command, output string) {
	t.Helper()
	if !utf8.ValidString(output) {
		t.Errorf("%s prints what is not UTF-8", command)
	}
	for line := range strings.Lines(output) {
		for _, c := range strings.TrimSuffix(line, "\n") {
			if !unicode.IsPrint(c) {
				t.Errorf("%s prints %U: %q", command, c, line)
			}
		}
		if strings.HasPrefix(line, "ebb: all is well") || strings.HasPrefix(line, "ebb: fine") {
			t.Errorf("%s prints a line that is a name: %q", command, line)
		}
	}
}

// wantNamesRecorded demands each entry in the record, in place or refused.
func (m *machine) wantNamesRecorded(t *testing.T, paths []string, planted bool) {
	t.Helper()
	record := m.record(t)
	if record == nil || record.Mount == nil || len(record.Mount.Entries) != len(paths) {
		t.Fatalf("record %+v", record)
	}
	states := map[string]bool{}
	for _, e := range record.Mount.Entries {
		states[e.Path] = e.OK()
	}
	for _, path := range paths {
		if ok, found := states[path]; !found || ok == planted {
			t.Errorf("%q is recorded: %v, and as in place: %v", path, found, ok)
		}
	}
	if want := map[bool]initrd.State{false: initrd.StateDone, true: initrd.StateFailed}[planted]; record.Mount.State != want {
		t.Errorf("the record says %q, want %q", record.Mount.State, want)
	}
}
