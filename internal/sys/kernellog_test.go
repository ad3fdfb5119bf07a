package sys_test

import (
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestKernelLog(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	text, err := sys.KernelLog()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, "<") && !strings.Contains(text, "\n<") {
		t.Errorf("no line with its level in %d bytes", len(text))
	}
}
