package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The budget of the binary, in bytes: it lies in the initrd of every boot.
const (
	maxBinary     = 3_000_000
	maxCompressed = 1_200_000 // zstd -19
)

// build makes the binary as the Makefile does.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ebb")
	if output, err := exec.Command("../../scripts/build", path).CombinedOutput(); err != nil {
		t.Fatalf("scripts/build: %v\n%s", err, output)
	}
	return path
}

func TestBinaryIsSmallAndStatic(t *testing.T) {
	path := build(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	// Compressors in Go know no level as high as this one.
	compressed, err := exec.Command("zstd", "-19", "--stdout", "--quiet", path).Output()
	if err != nil {
		t.Fatalf("zstd, of the package zstd: %v", err)
	}
	t.Logf("%d bytes, %d compressed", info.Size(), len(compressed))
	if info.Size() > maxBinary || len(compressed) > maxCompressed {
		t.Errorf("%d bytes of %d, compressed %d of %d", info.Size(), maxBinary, len(compressed), maxCompressed)
	}
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary is not static: it has a %v", p.Type)
		}
	}
}

// What is linked in is on a list that people look at: each package on it is
// code that runs as root in the initrd. os/exec is not on it: ebb starts no
// process.
func TestDependencies(t *testing.T) {
	command := exec.Command("go", "list", "-deps", ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("dependencies.txt")
	if err != nil {
		t.Fatal(err)
	}
	allowed := strings.Fields(string(data))
	for _, name := range strings.Fields(string(output)) {
		if isInside(name) || slices.Contains(allowed, name) {
			continue
		}
		t.Errorf("%s is not in dependencies.txt", name)
	}
	for _, name := range allowed {
		if !slices.Contains(strings.Fields(string(output)), name) {
			t.Errorf("%s is in dependencies.txt and not linked in", name)
		}
	}
}

// isInside passes over the parts of the standard library that come along with
// its packages, and differ between releases of Go.
func isInside(name string) bool {
	return strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "runtime/internal/") || strings.HasPrefix(name, "vendor/") ||
		strings.HasPrefix(name, "github.com/ebb-nix/ebb/") || strings.Contains(name, "/internal/")
}
