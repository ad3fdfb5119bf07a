package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestApplyWhileSomebodyWrites writes a file into the place of an entry right
// before each call of "ebb apply", in turn: it ends in the store, or it is told
// that it lies below the mount. What is written while the bulk of the copy is
// brought to the disk ends in the store.
func TestApplyWhileSomebodyWrites(t *testing.T) {
	t.Parallel()
	m := newDiskless(t, `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {"directories": [{"path": "/home/ada/docs"}]}}}`)
	nothing := filepath.Join(m.dir, "nothing.json")
	require(t, os.WriteFile(nothing, []byte(`{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {}}}`), 0o600))
	late := m.path("sysroot/home/ada/docs/late")
	// try writes before a call, if it comes to that, and returns how that ended.
	try := func(t *testing.T, at int) (r *tracer.Result, written, taken bool) {
		defer inNamespace(t)()
		require(t, unix.Mount("tmpfs", "/run", "tmpfs", 0, ""))
		onTmpfs(t, &hostile{machine: m})
		m.boot()
		if r := run(t, m.ebb("mount", "--config", nothing)); r.Status != 0 {
			t.Fatalf("mount: status %d\n%s", r.Status, r.Output)
		}
		testenv.Tree(t, m.path("sysroot"), work...)
		r = trace(t, m.ebb("apply"), func(c *tracer.Call) tracer.Fault {
			if c.Number != at {
				return tracer.Fault{}
			}
			written = true
			require(t, os.WriteFile(late, []byte("late"), 0o644))
			return tracer.Fault{Last: true}
		})
		if r.Status != 0 {
			t.Fatalf("status %d\n%s", r.Status, r.Output)
		}
		_, err := os.Stat(m.path("sysroot/persist/home/ada/docs/late"))
		return r, written, err == nil
	}
	first, _, _ := try(t, 0)
	synced, tried, told := false, 0, 0
	testenv.IsLong(t, "six of seven moments at which nothing changes")
	for i := range first.Calls {
		if first.Calls[i].Name == "move_mount" {
			break // what is written from then on is written to the store
		}
		isSync := first.Calls[i].Name == "syncfs" && !synced
		if !isSync && !isLong() && !first.Calls[i].Changes && i%7 != 0 {
			continue
		}
		synced = synced || isSync
		tried++
		t.Run(fmt.Sprintf("%03d-%s", i+1, first.Calls[i].Name), func(t *testing.T) {
			r, written, taken := try(t, first.Calls[i].Number)
			if !written {
				return // the runtime of Go makes calls of its own
			}
			if !taken {
				told++
			}
			if tells := strings.Contains(r.Output, "changed at the last moment, in the old place: late"); tells == taken || isSync && !taken {
				t.Errorf("taken: %v; told: %v\n%s", taken, tells, r.Output)
			}
		})
	}
	t.Logf("written before %d of %d calls, told %d times", tried, len(first.Calls), told)
	if !synced || told == tried {
		t.Errorf("a sync: %v; %d of %d were told", synced, told, tried)
	}
}
