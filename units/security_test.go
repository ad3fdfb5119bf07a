package units

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// exposures are the highest that "systemd-analyze security" may give, from 0 to
// 10 in tenths. What is left is mostly root with CAP_SYS_ADMIN and the mounts
// of all, which is what the work consists of.
var exposures = map[string]int{
	Rollback: 45,
	Failure:  43,
	Mount:    46,
	Required: 41,
	Sync:     43,
	Status:   45,
	Prune:    33,

	Apply:        46,
	Diff:         45,
	DiffShutdown: 45,
}

var overall = regexp.MustCompile(`Overall exposure level for \S+: (\d+)\.(\d)`)

// TestExposure has systemd judge what each service is allowed to do. Other
// versions know other tests, therefore the limits leave a little room.
func TestExposure(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		testenv.Missing(t, "systemd", err)
	}
	entries, err := Files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".service") {
			continue
		}
		limit, known := exposures[name]
		if !known {
			t.Errorf("%s has no limit", name)
			continue
		}
		if got := exposure(t, analyze, name); got > limit {
			t.Errorf("%s has the exposure %d.%d, more than %d.%d", name, got/10, got%10, limit/10, limit%10)
		} else {
			t.Logf("%-20s %d.%d", name, got/10, got%10)
		}
	}
}

// exposure returns the judgement in tenths.
func exposure(t *testing.T, analyze, unit string) int {
	t.Helper()
	text, err := Files.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), unit)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", path).CombinedOutput()
	match := overall.FindSubmatch(output)
	if match == nil {
		t.Fatalf("systemd-analyze: %v\n%s", err, output)
	}
	tenths, err := strconv.Atoi(string(match[1]) + string(match[2]))
	if err != nil {
		t.Fatal(err)
	}
	return tenths
}

// making are settings that give a service a mount namespace of its own
// (systemd.exec(5)).
var making = regexp.MustCompile(`(?m)^(Private|Protect|ReadOnlyPaths|ReadWritePaths|Inaccessible|TemporaryFileSystem|Bind|MountFlags|Root|DynamicUser|NoExecPaths|ExecPaths)`)

// hiding are those that take mounts out of the table that such a service sees.
var hiding = regexp.MustCompile(`(?m)^(PrivateTmp|TemporaryFileSystem|InaccessiblePaths|ProtectHome=(yes|tmpfs|true|1))`)

// TestMountsOfAll: what brings mounts about, or looks at them, is in the mount
// namespace of all. What deletes archived roots sees every mount there is.
func TestMountsOfAll(t *testing.T) {
	for _, unit := range []string{Rollback, Failure, Mount, Required, Sync, Status, Apply} {
		if found := settings(t, unit, making); found != "" {
			t.Errorf("%s has %s", unit, found)
		}
	}
	if found := settings(t, Prune, hiding); found != "" {
		t.Errorf("%s has %s", Prune, found)
	}
	if settings(t, Prune, making) == "" {
		t.Errorf("nothing is found in %s", Prune)
	}
}

func settings(t *testing.T, unit string, which *regexp.Regexp) string {
	t.Helper()
	text, err := Files.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	return string(which.Find(text))
}
