package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// What the tests are told by the environment.
const (
	// nixpkgsVariable names a tree of nixpkgs.
	nixpkgsVariable = "NIXPKGS"
	// overlayVariable names a file with an overlay, for a tree that lacks some
	// of what NixOS needs, a sparse checkout say.
	overlayVariable = "NIXPKGS_OVERLAY"
	// othersVariable names a directory with trees of agenix, disko,
	// home-manager, lanzaboote and sops-nix, or of some of them, of versions
	// that go with the nixpkgs.
	othersVariable = "NIXOS_MODULES"
)

// repository is where this is a part of.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// nixpkgs returns the tree to evaluate with, and skips the test where there is
// none. No tier demands one: it is too large to be fetched for a test.
func nixpkgs(t *testing.T) string {
	t.Helper()
	testenv.Need(t, testenv.TierNix)
	name := os.Getenv(nixpkgsVariable)
	if name == "" {
		t.Skipf("NOT RUN: this test needs a tree of nixpkgs: %s=/path/to/nixpkgs make test-nix", nixpkgsVariable)
	}
	dir, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "nixos/lib/eval-config.nix")); err != nil {
		t.Fatalf("%s=%s is no tree of nixpkgs: %v", nixpkgsVariable, name, err)
	}
	return dir
}

// run runs a program in the repository and returns what it prints.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = repository(t)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes()
}

// evaluate returns the value of an expression. It writes nothing into a Nix
// store, nor does it need one.
func evaluate(t *testing.T, value any, args ...string) {
	t.Helper()
	args = append([]string{"--store", "dummy://", "--show-trace", "--eval", "--strict", "--json"}, args...)
	if err := json.Unmarshal(run(t, "nix-instantiate", args...), value); err != nil {
		t.Fatal(err)
	}
}

// files returns the files of the repository whose names end with suffix.
func files(t *testing.T, suffix string) []string {
	t.Helper()
	root := repository(t)
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "build" || name == "vendor") {
			return filepath.SkipDir
		}
		if !entry.IsDir() && strings.HasSuffix(name, suffix) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("no file *%s below %s", suffix, root)
	}
	return found
}

// No formatter for Nix is at hand everywhere; what every one of them agrees on
// is looked at here.
func TestNixFiles(t *testing.T) {
	testenv.Need(t, testenv.TierNix)
	all := files(t, ".nix")
	run(t, "nix-instantiate", append([]string{"--store", "dummy://", "--parse"}, all...)...)
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("\t")) {
			t.Errorf("%s: a tab", file)
		}
		if regexp.MustCompile(`(?m) +$`).Match(text) {
			t.Errorf("%s: blanks at the end of a line", file)
		}
		if !bytes.HasSuffix(text, []byte("\n")) || bytes.HasSuffix(text, []byte("\n\n")) {
			t.Errorf("%s: it does not end with one line feed", file)
		}
	}
}

func TestCatalogInNix(t *testing.T) {
	testenv.Need(t, testenv.TierNix)
	var number int
	evaluate(t, &number, "-E", "builtins.length (builtins.fromJSON (builtins.readFile ./catalog/catalog.json)).entries")
	if number < 120 {
		t.Errorf("Nix reads %d entries of the catalog, fewer than 120", number)
	}
}

func TestFlakeHasOneInput(t *testing.T) {
	testenv.Need(t, testenv.TierNix)
	var inputs []string
	evaluate(t, &inputs, "-E", "builtins.attrNames (import ./flake.nix).inputs")
	if len(inputs) != 1 || inputs[0] != "nixpkgs" {
		t.Errorf("inputs of the flake are %q, want nixpkgs alone", inputs)
	}
}

// The configs that the module writes are right, and the units are those in units.
func TestGoldenFilesAreValid(t *testing.T) {
	run(t, "nixos-module/tests/golden.sh", "valid")
}

func TestGoldenFilesAreCurrent(t *testing.T) {
	nixpkgs(t)
	run(t, "nixos-module/tests/golden.sh", "check")
}

// vendorHash in package.nix is that of what "go mod vendor" makes.
func TestVendorHash(t *testing.T) {
	testenv.Need(t, testenv.TierNix)
	dir := filepath.Join(t.TempDir(), "vendor")
	run(t, "go", "mod", "vendor", "-o", dir)
	got := strings.TrimSpace(string(run(t, "nix", "--extra-experimental-features", "nix-command", "hash", "path", dir)))
	text, err := os.ReadFile("../../package.nix")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^ *vendorHash = "(.*)";$`).FindSubmatch(text)
	if found == nil {
		t.Fatal("package.nix has no vendorHash")
	}
	if want := string(found[1]); got != want {
		t.Errorf("vendorHash in package.nix is %s, but go mod vendor makes %s: write that", want, got)
	}
}

// result is what a test in Nix says.
type result struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// group runs the tests of an attribute of default.nix.
func group(t *testing.T, name string, args ...string) {
	t.Helper()
	args = append([]string{"nixos-module/tests", "-A", name, "--arg", "nixpkgs", nixpkgs(t)}, args...)
	if overlay := os.Getenv(overlayVariable); overlay != "" {
		file, err := filepath.Abs(overlay)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--arg", "overlay", file)
	}
	var results []result
	evaluate(t, &results, args...)
	tell(t, results)
}

func tell(t *testing.T, results []result) {
	t.Helper()
	if len(results) == 0 {
		t.Fatal("there are no tests")
	}
	for _, r := range results {
		t.Run(r.Name, func(t *testing.T) {
			if !r.OK {
				t.Error(r.Detail)
			}
		})
	}
}

// Machines of each kind, whole systems all of them.
func TestSystems(t *testing.T) { group(t, "systems") }

// Each error and each warning, and the silence beside it.
func TestComplaints(t *testing.T) { group(t, "complaints") }

func TestOptions(t *testing.T) { group(t, "options") }

// What comes into the initrd, and nothing else.
func TestInitrd(t *testing.T) { group(t, "initrd") }

// What the flake has; TestFlake evaluates all of it.
func TestFlakeOutputs(t *testing.T) { group(t, "flake") }

func TestPresets(t *testing.T) { group(t, "presets") }

func TestCompatibility(t *testing.T) { group(t, "compat") }

// examples/laptop, all variants of it.
func TestLaptop(t *testing.T) { group(t, "laptop") }

// The modules of other projects themselves. The disk is the one of docs/disko.md.
func TestOtherProjects(t *testing.T) {
	nixpkgs(t)
	name := os.Getenv(othersVariable)
	if name == "" {
		t.Skipf("NOT RUN: this test needs agenix, disko, home-manager, lanzaboote and sops-nix: %s=/path/to/directory/of/them", othersVariable)
	}
	dir, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "disko.nix")
	if err := os.WriteFile(file, []byte(firstNix(t, "docs/disko.md")), 0o644); err != nil {
		t.Fatal(err)
	}
	group(t, "others", "--arg", "others", dir, "--arg", "diskoLayout", file)
}

// maxQuickStart is how many lines a person has to read to begin.
const maxQuickStart = 15

// quickStart returns the first Nix in the README.
func quickStart(t *testing.T) string {
	t.Helper()
	return firstNix(t, "README.md")
}

// firstNix returns the first Nix in a document.
func firstNix(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```nix\n(.*?)```").FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has no Nix", name)
	}
	return string(found[1])
}

func TestQuickStartIsShort(t *testing.T) {
	if lines := strings.Count(quickStart(t), "\n"); lines > maxQuickStart {
		t.Errorf("the quick start in README.md has %d lines, more than %d", lines, maxQuickStart)
	}
}

// It says ./ebb, which is where the reader has put this repository.
func TestQuickStart(t *testing.T) {
	nixpkgs(t)
	const there = "./ebb/"
	text := quickStart(t)
	if !strings.Contains(text, there) {
		t.Fatalf("the quick start in README.md imports nothing from %s", there)
	}
	file := filepath.Join(t.TempDir(), "ebb.nix")
	if err := os.WriteFile(file, []byte(strings.Replace(text, there, repository(t)+"/", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	group(t, "quick-start", "--arg", "quickStart", file)
}

// nix flake check, of all systems: packages, modules, checks, the virtual
// machines among them, shells, apps. Nothing is built.
func TestFlake(t *testing.T) {
	tree := nixpkgs(t)
	if os.Getenv(overlayVariable) != "" {
		t.Skipf("NOT RUN: a flake takes its nixpkgs as it is, and %s is set", overlayVariable)
	}
	store := t.TempDir()
	t.Cleanup(func() {
		// What is in a store is read-only, so that only root could remove it.
		_ = filepath.WalkDir(store, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				return os.Chmod(path, 0o755)
			}
			return err
		})
	})
	run(t, "nix", "--extra-experimental-features", "nix-command flakes", "--store", store,
		"flake", "check", "--no-build", "--no-write-lock-file", "--override-input", "nixpkgs", "path:"+tree, flakeReference(t))
}

// flakeReference is the repository as a flake: of a git repository only what
// is tracked, as everybody else gets it.
func flakeReference(t *testing.T) string {
	t.Helper()
	root := repository(t)
	scheme := "path"
	if _, err := os.Stat(filepath.Join(root, ".git")); err == nil {
		scheme = "git+file"
	}
	return fmt.Sprintf("%s://%s", scheme, root)
}
