package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// houses are the packages of the binary, and what each of them may import of
// the others. ARCHITECTURE.md draws them. All may import what is in internal;
// what is there imports nothing of these.
func houses() map[string][]string {
	return map[string][]string{
		"doctor":  {"initrd", "roots", "archive", "btrfs", "config"},
		"initrd":  {"mounts", "keep", "roots", "archive", "btrfs", "config"},
		"keep":    {"mounts", "config"},
		"stores":  {"mounts", "archive", "btrfs", "config"},
		"mounts":  {"config"},
		"roots":   {"archive", "btrfs", "config"},
		"diff":    {"btrfs", "catalog"},
		"archive": {"btrfs"},
		"btrfs":   nil,
		"catalog": nil,
		"config":  nil,
	}
}

func TestImports(t *testing.T) {
	const module = "github.com/ebb-nix/ebb/"
	output, err := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(output)) {
		words := strings.Fields(line)
		name, ours := strings.CutPrefix(words[0], module)
		if !ours || name == "cmd/ebb" {
			continue
		}
		seen[name] = true
		allowed, listed := houses()[name]
		if !listed && !strings.HasPrefix(name, "internal/") {
			t.Errorf("%s is in no house", name)
		}
		for _, imported := range words[1:] {
			other, ours := strings.CutPrefix(imported, module)
			if ours && !strings.HasPrefix(other, "internal/") && !slices.Contains(allowed, other) {
				t.Errorf("%s may not import %s", name, other)
			}
		}
	}
	for name := range houses() {
		if !seen[name] {
			t.Errorf("%s is not part of the binary", name)
		}
	}
}
