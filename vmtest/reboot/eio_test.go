package reboot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/vmtest"
)

// faults are the ways in which the disk gives EIO. The snapshot commits, then
// the rollback does, and what is behind it.
var faults = []vmtest.Fault{
	{Of: vmtest.FaultyWrite},
	{Of: vmtest.FaultyWrite, After: 5, Once: true},
	{Of: vmtest.FaultyWrite, After: 25},
	{Of: vmtest.FaultyWrite, After: 50},
	{Of: vmtest.FaultyFlush},
	{Of: vmtest.FaultyFlush, After: 4, Once: true},
	{Of: vmtest.FaultyRead, After: 1},
}

// faultsLong are those at every write of a run.
func faultsLong() (all []vmtest.Fault) {
	for _, of := range []vmtest.FaultyRequest{vmtest.FaultyWrite, vmtest.FaultyFlush, vmtest.FaultyRead} {
		for after := 0; after < 120; after += 3 {
			all = append(all, vmtest.Fault{Of: of, After: after}, vmtest.Fault{Of: of, After: after, Once: true})
		}
	}
	return all
}

// A disk that gives EIO while the root is made fresh, entries are brought in
// and the new root is written to: the machine goes on, or it stops and says
// why. Nothing is lost, and with a disk that is whole again the next boot has
// a fresh root.
func TestFailingDisk(t *testing.T) {
	g := newGated(t, standardRoot)
	list := faults
	if testenv.IsLong(t, "a fault at each third of 120 writes") {
		list = faultsLong()
	}
	for _, fault := range list {
		name := fmt.Sprintf("%s after %d writes", fault.Of, fault.After)
		if fault.Once {
			name += ", once"
		}
		g.newDisk()
		g.Config.Fault = &fault
		g.run()
		g.WaitFor(vmtest.Console("mark (safe-" + g.token() + "|emergency-initrd)"))
		t.Logf("%s: %s", name, g.wantFaultTold(name))
		g.cut()
		g.Config.Fault = nil
		g.judge()
		if t.Failed() {
			t.Fatalf("with a fault: %s", name)
		}
	}
}

// wantFaultTold demands that a run which did not come to its end says why, and
// returns what it says.
func (g *gated) wantFaultTold(name string) string {
	g.t.Helper()
	if strings.Contains(g.ConsoleText(), "mark safe-"+g.token()) {
		return "the machine has gone on"
	}
	status := g.Try("ebb", "status", "--root", "/sysroot")
	if status.Status != 0 {
		if !strings.Contains(g.ConsoleText(), "ebb: ") {
			g.t.Errorf("%s: the console does not tell", name)
		}
		return strings.TrimSpace(status.Stdout + status.Stderr)
	}
	// All that ebb does was done; what failed came behind it.
	if r := g.record(); !r.Rollback.Fresh || r.Mount.State != "done" {
		g.t.Errorf("%s: ebb status says nothing of rollback %+v, mount %+v", name, r.Rollback, r.Mount)
	}
	return "failed behind ebb: " + g.Run("systemctl", "--failed", "--plain", "--no-legend")
}
