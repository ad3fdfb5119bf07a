package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// An entry is declared, then not any more; what it leaves behind goes to the
// trash, comes back, goes again, and is deleted when its time has come.
func TestOrphans(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir persist", "dir persist/var", "dir persist/var/new", "dir persist/var/old", "file persist/var/old/f 0600 0:0 text",
		"dir persist/mine", "dir etc", "file etc/orphans-ignore 0644 0:0 /persist/mine")
	config := filepath.Join(dir, "etc/config.json")
	declare := func(paths string) {
		t.Helper()
		text := `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {"directories": [` + paths + `]}}}`
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store := filepath.Join(dir, "persist")
	day := time.Now().UTC().Format(time.DateOnly)
	trash := filepath.Join(store, ".ebb/trash", day)
	run := func(status int, stdout, stderr string, args ...string) {
		t.Helper()
		got := ebb(t, append(args, "--config", config, "--root", dir, "--run-dir", t.TempDir())...)
		if got.status != status || !strings.Contains(got.stdout, stdout) || !strings.Contains(got.stderr, stderr) {
			t.Errorf("%q: %+v", args, got)
		}
	}
	declare(`{"path": "/var/new"}, {"path": "/var/old"}`)
	run(0, "", "", "orphans", "--record")
	run(0, "Everything in the stores is declared.", "", "orphans")
	run(0, `"orphans": []`, "", "orphans", "--json")
	declare(`{"path": "/var/new"}`)
	run(0, "", "", "orphans", "--record")
	run(0, "/var/old/  ", "", "orphans")
	run(0, "  "+time.Now().Format("2006-01-02"), "", "orphans")
	run(0, "\nebb orphans --trash "+store+"/var/old\n", "", "orphans")
	run(0, `"declared_until": "`, "", "orphans", "--json")
	run(0, "would be moved to "+trash, "", "orphans", "--trash", "--dry-run", store+"/var/old")
	run(1, "", "is declared", "orphans", "--trash", store+"/var/new")
	run(1, "", "lies in no store", "orphans", "--trash", "/etc", store)
	run(2, "", "either --trash or --restore", "orphans", store+"/var/old")
	run(2, "", "either --trash or --restore", "orphans", "--trash")
	run(0, "moved to "+trash+"/var/old", "", "orphans", "--trash", store+"/var/old/")
	run(0, "In the trash: "+trash+", until ", "", "orphans")
	run(1, "", "not in the trash", "orphans", "--restore", store+"/var/none")
	run(0, `"trash": "`+trash, "", "orphans", "--json", "--restore", store+"/var/old")
	run(0, "moved to", "", "orphans", "--trash", store+"/var/old")
	run(0, "stays  until ", "", "prune")
	run(0, "goes", "", "prune", "--dry-run", "--grace", "0")
	if text, err := os.ReadFile(filepath.Join(trash, "var/old/f")); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	run(0, `"goes": true`, "", "prune", "--grace", "0", "--json")
	if _, err := os.Lstat(trash); err == nil {
		t.Error("it is still there")
	}
}
