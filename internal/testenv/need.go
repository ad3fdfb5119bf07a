package testenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Tier is a class of tests by what they demand from the machine.
type Tier string

// The tiers. Tests without one run anywhere, as anyone. Tests that boot virtual
// machines ask vmtest/testvm, which looks for what they need.
const (
	TierRoot       Tier = "root"       // uid 0 in the initial user namespace
	TierNamespaces Tier = "namespaces" // a mount namespace of its own, see RunInNamespaces
	TierNix        Tier = "nix"        // nix-instantiate
	TierGit        Tier = "git"        // git, to be compared with
	TierBtrfs      Tier = "btrfs"      // TierRoot, mkfs.btrfs, loop devices, btrfs in the kernel
	TierVM         Tier = "vm"         // what vmtest/testvm makes machines of
)

// Environment variables that turn skipping into failing.
const (
	requireVariable = "EBB_REQUIRE" // comma separated tiers, or "all"
	ciVariable      = "CI"          // "true": all tiers
)

// Need skips the test when the machine cannot run tests of a tier, and says
// what is missing. Where the tier is required, by EBB_REQUIRE or CI, it fails
// the test instead, so that nothing goes untested unnoticed.
func Need(t testing.TB, tier Tier) {
	t.Helper()
	if err := check(tier); err != nil {
		Missing(t, tier, err)
	}
}

// Missing ends the test as [Need] does, for what only the test itself can find
// out to be missing.
func Missing(t testing.TB, tier Tier, err error) {
	t.Helper()
	if Required(tier) {
		t.Fatalf("this test needs %q, which is required here, but: %v", tier, err)
		return
	}
	text := fmt.Sprintf("this test needs %q: %v (%s=%s makes this a failure)", tier, err, requireVariable, tier)
	if err := Tell(NotRun, text); err != nil {
		t.Errorf("%s: %v", toldVariable, err)
	}
	t.Skipf("%s: %s", NotRun, text)
}

// Has reports whether the machine can run a part of a test. Otherwise it says
// what is not looked at, or fails the test where the tier is required.
func Has(t testing.TB, tier Tier, part string) bool {
	t.Helper()
	err := check(tier)
	switch {
	case err == nil:
		return true
	case Required(tier):
		t.Fatalf("%s needs %q, which is required here, but: %v", part, tier, err)
	default:
		tell(t, NotRun, fmt.Sprintf("%s: it needs %q: %v (%s=%s makes this a failure)", part, tier, err, requireVariable, tier))
	}
	return false
}

// Required reports whether it is a failure here when a tier cannot run.
func Required(tier Tier) bool {
	return required(tier, os.Getenv(requireVariable), os.Getenv(ciVariable))
}

// IsNamed reports whether EBB_REQUIRE names the tier.
func IsNamed(tier Tier) bool { return required(tier, os.Getenv(requireVariable), "") }

func required(tier Tier, require, ci string) bool {
	if ci == "true" {
		return true
	}
	for word := range strings.SplitSeq(require, ",") {
		if word = strings.TrimSpace(word); word == "all" || word == string(tier) {
			return true
		}
	}
	return false
}

func check(tier Tier) error {
	switch tier {
	case TierRoot:
		return checkRoot()
	case TierNamespaces:
		return checkNamespaces()
	case TierBtrfs:
		return checkBtrfs()
	case TierGit:
		_, err := findTool("git")
		return err
	case TierNix:
		_, err := findTool("nix-instantiate")
		return err
	}
	return fmt.Errorf("unknown tier %q", tier)
}

// checkRoot tells real root from root in a user namespace, whose uid map is
// not the identity map of all ids.
func checkRoot() error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("running as uid %d, not as root", uid)
	}
	uidMap, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return err
	}
	if !slices.Equal(strings.Fields(string(uidMap)), []string{"0", "0", "4294967295"}) {
		return errors.New("running in a user namespace")
	}
	return nil
}

func checkNamespaces() error {
	if os.Getenv(namespaceVariable) == "" {
		return errors.New("not in a mount namespace of its own: no namespaces here, or TestMain does not call RunInNamespaces")
	}
	return nil
}

func checkBtrfs() error {
	if err := checkRoot(); err != nil {
		return err
	}
	if _, err := findTool("mkfs.btrfs"); err != nil {
		return err
	}
	if _, err := os.Stat(loopControl); err != nil {
		return fmt.Errorf("no loop devices: %w", err)
	}
	fileSystems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(string(fileSystems)), "btrfs") {
		return errors.New("btrfs is not in /proc/filesystems (modprobe btrfs)")
	}
	return nil
}

// findTool looks in PATH and in the directories that root has in its PATH.
func findTool(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, directory := range []string{"/usr/sbin", "/sbin", "/run/current-system/sw/bin"} {
		path := filepath.Join(directory, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: %w", name, fs.ErrNotExist)
}
