package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestDocumentsHaveAVersion: every document that --json prints says of which
// version its format is; that of ebb version has a text under that name.
func TestDocumentsHaveAVersion(t *testing.T) {
	m := newMachine(t)
	testenv.Tree(t, m.Dir, "file @/etc/gone 0644 0:0 x")
	m.config = writeFile(t, strings.ReplaceAll(`{"version": 1, "root": {"kind": "btrfs", "device": "DEVICE"},
		"stores": {"/persist": {"files": [{"path": "/etc/clock", "how": "sync"}]}}}`, "DEVICE", m.Device()))
	m.bootByHand(t)
	testenv.Tree(t, m.root, "file etc/mine 0644 0:0 mine")
	inRoot := []string{"--config", m.config, "--run-dir", m.runDir, "--root", m.root}
	documents := map[string][]string{
		"status": inRoot, "plan": inRoot, "diff": inRoot, "doctor": inRoot, "roots": inRoot, "prune": inRoot, "orphans": inRoot, "sync": inRoot, "apply": inRoot,
		"restore": append([]string{"/etc/gone", "--dry-run"}, inRoot...), "find": append([]string{"gone"}, inRoot...),
		"keep": append([]string{"/etc/mine", "--dry-run"}, inRoot...), "why": append([]string{"/etc/mine"}, inRoot...),
		"check": {m.config}, "version": {},
	}
	for _, c := range commands() {
		args, reports := documents[c.name]
		if prints := strings.Contains(ebb(t, c.name, "-h").stdout, "--json"); prints != reports {
			t.Errorf("%s prints JSON: %v", c.name, prints)
		}
		if !reports {
			continue
		}
		got := ebb(t, append([]string{c.name, "--json"}, args...)...)
		var document struct{ Version any }
		if err := json.Unmarshal([]byte(got.stdout), &document); err != nil {
			t.Errorf("%s: %v: %s%s", c.name, err, got.stdout, got.stderr)
			continue
		}
		if _, isText := document.Version.(string); document.Version != 1.0 && !(c.name == "version" && isText) {
			t.Errorf("%s: version %v", c.name, document.Version)
		}
	}
}
