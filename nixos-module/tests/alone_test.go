package tests

import (
	"path/filepath"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// Each error and each warning, with Nix alone: the checks are functions of a
// configuration, and that is one by hand. TestComplaints has those that NixOS
// evaluates.
func TestChecksAlone(t *testing.T) {
	testenv.Need(t, testenv.TierNix)
	var results []result
	evaluate(t, &results, "-E", "import ./nixos-module/tests/alone { }")
	tell(t, results)
}

// The same with the lib of nixpkgs in place of the one that stands in for it.
func TestChecksAloneWithLib(t *testing.T) {
	lib := filepath.Join(nixpkgs(t), "lib")
	var results []result
	evaluate(t, &results, "-E", "import ./nixos-module/tests/alone { lib = import "+lib+"; }")
	tell(t, results)
}
