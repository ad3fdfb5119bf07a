package faults

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestSyncWhileItChanges has a file that is copied back change right before each
// call of "ebb sync", in turn: it grows, it is cut off, it is written over in
// place. The copy in the store is what the file was before or after that, never
// some of both, and the next run has it as it is.
func TestSyncWhileItChanges(t *testing.T) {
	const path = "/etc/clock"
	before, grown, other := strings.Repeat("before ", 20_000), strings.Repeat("before ", 30_000), strings.Repeat("other. ", 20_000)
	for name, after := range map[string]string{"grows": grown, "is-cut-off": before[:700], "is-written-over": other} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newDiskless(t, `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {"files": [{"path": "/etc/clock", "how": "sync"}]}}}`)
			try := func(t *testing.T, at int) (r *tracer.Result, isChanged bool) {
				defer inNamespace(t)()
				require(t, unix.Mount("tmpfs", "/run", "tmpfs", 0, ""))
				onTmpfs(t, &hostile{machine: m})
				m.boot()
				testenv.Tree(t, m.path("sysroot"), "file etc/clock 0644 0:0 x", "dir persist/etc")
				require(t, os.WriteFile(m.path("sysroot"+path), []byte(before), 0o644))
				r = trace(t, m.ebb("sync"), func(c *tracer.Call) tracer.Fault {
					if c.Number != at {
						return tracer.Fault{}
					}
					isChanged = true
					require(t, os.WriteFile(m.path("sysroot"+path), []byte(after), 0o644))
					return tracer.Fault{Last: true}
				})
				m.wantOneOf(t, path, r, before, after)
				if r := run(t, m.ebb("sync")); isChanged {
					m.wantOneOf(t, path, r, after)
				}
				return r, isChanged
			}
			first, _ := try(t, 0)
			changed := 0
			for _, c := range first.Calls {
				t.Run(fmt.Sprintf("%03d-%s", c.Number, c.Name), func(t *testing.T) {
					if _, isChanged := try(t, c.Number); isChanged {
						changed++
					}
				})
			}
			if t.Logf("changed before %d of %d calls", changed, len(first.Calls)); changed < 20 && isWhole(t) {
				t.Errorf("changed %d times only", changed)
			}
		})
	}
}

// wantOneOf demands that the copy in the store is one of some texts, and that
// the run which has made it has ended well.
func (m *machine) wantOneOf(t *testing.T, path string, r *tracer.Result, texts ...string) {
	t.Helper()
	data, err := os.ReadFile(m.path("sysroot/persist" + path))
	for _, text := range texts {
		if string(data) == text && err == nil && r.Status == 0 {
			return
		}
	}
	t.Errorf("status %d, the store has %d bytes, %.20q..., %v\n%s", r.Status, len(data), data, err, r.Output)
}
