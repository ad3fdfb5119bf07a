package faults

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// finished is what the second pass makes of the sources that waited for their
// owners, and of the directory above them.
var finished = map[string]string{
	"persist/home/ada": "dir 0700 1000:100", "persist/home/ada/docs": "dir 0750 1000:100", "persist/home/ada/note": "file 0640 1000:100",
	"home/ada": "dir 0700 1000:100",
}

// TestFinish sweeps over every call of the second pass of "ebb mount", which
// gives to users what had no known owner in stage 1.
func TestFinish(t *testing.T) {
	t.Parallel()
	m := newDiskless(t, `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {
		"directories": [{"path": "/home/ada/docs", "user": "ada", "group": "users", "mode": "0750"}],
		"files": [{"path": "/home/ada/note", "user": "ada", "group": "users", "mode": "0640"}]}}}`)
	sweep := sweeper{
		command: func(t *testing.T) *tracer.Command {
			require(t, unix.Mount("tmpfs", "/run", "tmpfs", 0, ""))
			onTmpfs(t, &hostile{machine: m})
			m.boot()
			if r := run(t, m.ebb("mount")); r.Status != 0 {
				t.Fatalf("mount: %s", r.Output)
			}
			testenv.Tree(t, m.path("sysroot"), "file etc/passwd 0644 0:0 ada:x:1000:100::/home/ada:/bin/sh", "file etc/group 0644 0:0 users:x:100:")
			return m.ebb("mount", "--finish")
		},
		judge: m.judgeFinish,
	}
	sweep.run(t)
}

// judgeFinish: each waits for its owner as before, or has it, or the next run
// knows that it is to be given on.
func (m *machine) judgeFinish(t *testing.T, o *outcome) {
	t.Helper()
	waiting := 0
	for path, want := range finished {
		if got := m.described(t, path); got != want {
			waiting++
			if !strings.Contains(got, "trusted.ebb.owner=") {
				t.Errorf("%s is %s, and nothing says that it is to be %s", path, got, want)
			}
		}
	}
	if !o.Killed && (o.Status == 0) != (waiting == 0) && (o.Status == 0 || o.fault.Action != tracer.FailLate) {
		t.Errorf("status %d, %d wait for their owners\n%s", o.Status, waiting, o.Output)
	}
	for _, which := range []string{"the next run", "the one after it"} {
		if r := run(t, m.ebb("mount", "--finish")); r.Status != 0 {
			t.Errorf("%s: status %d\n%s", which, r.Status, r.Output)
		}
		for path, want := range finished {
			if got := m.described(t, path); got != want {
				t.Errorf("%s: %s is %s, want %s", which, path, got, want)
			}
		}
	}
}

// described is type, mode, owner and note of what is at path below the root.
func (m *machine) described(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(m.path("sysroot/" + path))
	require(t, err)
	text := testenv.Fingerprint(t, m.path("sysroot/"+path))["."]
	text = times.ReplaceAllString(text, "")
	if info.Mode().IsRegular() {
		before, after, _ := strings.Cut(text, " size=")
		_, note, _ := strings.Cut(after, " trusted")
		if text = before; note != "" {
			text += " trusted" + note
		}
	}
	return text
}
