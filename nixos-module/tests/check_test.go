package tests

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scripts are those that the module writes into a system.
type scripts struct{ Config, Login, Systemctl string }

func theScripts(t *testing.T) scripts {
	t.Helper()
	var s scripts
	evaluate(t, &s, "nixos-module/tests", "-A", "scripts", "--arg", "nixpkgs", nixpkgs(t))
	return s
}

// Who logs in is told that something is wrong with the boot; programs that log
// in, scp say, are not.
func TestLogin(t *testing.T) {
	s := theScripts(t)
	const complaint = "something is wrong with this boot"
	for _, test := range []struct {
		name, program string
		terminal      bool
		told          bool
	}{
		{"failed", "true", true, true},
		{"all is well", "false", true, false},
		{"no terminal", "true", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(s.Login, s.Systemctl) {
				t.Fatalf("%q does not ask %s", s.Login, s.Systemctl)
			}
			script := strings.ReplaceAll(s.Login, s.Systemctl, test.program)
			cmd := exec.Command("bash", "-c", script)
			if test.terminal {
				cmd = exec.Command("script", "--quiet", "--return", "--command", script, os.DevNull)
			}
			out, err := cmd.CombinedOutput()
			if told := strings.Contains(string(out), complaint); err != nil || told != test.told {
				t.Errorf("%v: %q", err, out)
			}
		})
	}
}

// What the derivation of the config runs: a good one is what it makes, and with
// a bad one it fails, and says where, so that it never becomes a generation.
func TestConfigIsCheckedWhenItIsBuilt(t *testing.T) {
	script := theScripts(t).Config
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
