package testvm

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/vmtest"
)

// switchedOn is about all machines of this process.
var switchedOn tally

// tally counts machines, and how often they were switched on.
type tally struct {
	mu                      sync.Mutex
	machines, cold, resumed int
}

// add counts a machine that is not switched on any more.
func (c *tally) add(m *vmtest.Machine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.machines++
	c.cold += m.Boots() - m.Restored()
	c.resumed += m.Restored()
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%d machines were booted %d times, and went on from a saved state %d times", c.machines, c.cold, c.resumed)
}

// Main runs the tests of a package and tells how often machines were switched
// on in them:
//
//	func TestMain(m *testing.M) { os.Exit(testvm.Main(m)) }
func Main(m *testing.M) int {
	status := m.Run()
	if switchedOn.machines == 0 {
		return status
	}
	fmt.Println(&switchedOn)
	if err := testenv.Tell(testenv.Machines, switchedOn.String()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}
