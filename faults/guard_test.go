package faults

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// Guards fail closed: where a rollback is refused, no error on the way to the
// refusal leads to a rollback.
func TestGuardsUnderFaults(t *testing.T) {
	for name, forbid := range map[string]func(t *testing.T, m *machine){
		"hibernated": func(t *testing.T, m *machine) {
			page := make([]byte, 4096)
			copy(page[4086:], "S1SUSPEND\x00")
			require(t, os.WriteFile(m.path("swap"), page, 0o600))
			require(t, os.WriteFile(m.path("cmdline"), []byte("quiet resume="+m.path("swap")+"\n"), 0o644))
			require(t, unix.Mount(m.path("cmdline"), "/proc/cmdline", "", unix.MS_BIND, ""))
		},
		"sysroot-mounted": func(t *testing.T, m *machine) {
			require(t, unix.Mount("tmpfs", m.path("sysroot"), "tmpfs", 0, ""))
		},
		"root-mounted": func(t *testing.T, m *machine) {
			require(t, os.MkdirAll(m.path("elsewhere"), 0o755))
			require(t, unix.Mount(m.Device(), m.path("elsewhere"), "btrfs", 0, "subvol=@"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDisk(t)
			d.members = []member{fromBlank}
			m := newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, d.Device()))
			sweep := sweeper{
				command: func(t *testing.T) *tracer.Command {
					m.clear(t)
					testenv.Tree(t, m.Dir, append([]string{"subvolume @"}, blankTree...)...)
					m.write(t)
					m.boot()
					forbid(t, m)
					return m.ebb("rollback")
				},
				judge: func(t *testing.T, o *outcome) {
					if !m.isWritten(m.uuidOf(t, "@")) || m.isReady() || o.Status == 0 {
						t.Errorf("status %d, ready %v", o.Status, m.isReady())
					}
					m.whole(t, true)
				},
			}
			sweep.run(t)
		})
	}
}
