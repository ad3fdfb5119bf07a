package tests

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the derivation of the config runs: a good one is what it makes, and with
// a bad one it fails, and says where, so that it never becomes a generation.
func TestConfigIsCheckedWhenItIsBuilt(t *testing.T) {
	var script string
	evaluate(t, &script, "nixos-module/tests", "-A", "config-script", "--arg", "nixpkgs", nixpkgs(t))
	programs := t.TempDir()
	run(t, "go", "build", "-o", filepath.Join(programs, "ebb"), "./cmd/ebb")
	golden, err := os.ReadFile("golden/btrfs/initrd/etc/ebb/config.json")
	if err != nil {
		t.Fatal(err)
	}
	good := string(golden)
	for _, test := range []struct{ name, document, complaint string }{
		{"good", good, ""},
		{"bad mode", strings.Replace(good, `"mode":"0700"`, `"mode":"0999"`, 1), "not an octal mode"},
		{"unknown field", strings.Replace(good, `"version"`, `"colour":"red","version"`, 1), "colour"},
		{"empty", "", "config"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.complaint != "" && test.document == good {
				t.Fatal("the config is not changed")
			}
			dir := t.TempDir()
			document, out := filepath.Join(dir, "document"), filepath.Join(dir, "out")
			if err := os.WriteFile(document, []byte(test.document), 0o644); err != nil {
				t.Fatal(err)
			}
			// As the standard environment runs it.
			cmd := exec.Command("bash", "-euc", script)
			cmd.Env = []string{"PATH=" + programs + ":" + os.Getenv("PATH"), "documentPath=" + document, "out=" + out}
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			made, _ := os.ReadFile(out)
			if test.complaint == "" {
				if err != nil || string(made) != test.document {
					t.Errorf("%v: %s; made %q", err, stderr.Bytes(), made)
				}
				return
			}
			if err == nil || made != nil || !strings.Contains(stderr.String(), test.complaint) {
				t.Errorf("%v: %s, want %q; made %q", err, stderr.Bytes(), test.complaint, made)
			}
		})
	}
}
