package sys_test

import (
	"os"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// The monitor, and nobody else, may sleep longer.
func TestCalmMonitor(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	slack := func() (list []string) {
		entries, err := os.ReadDir("/proc/self/task") // in the order of their numbers
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			text, err := os.ReadFile("/proc/" + e.Name() + "/timerslack_ns")
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, strings.TrimSpace(string(text)))
		}
		return list
	}
	before := slack()
	sys.CalmMonitor()
	changed := 0
	for _, now := range slack() {
		if now == "10000000" {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("before %v, then %v", before, slack())
	}
}
