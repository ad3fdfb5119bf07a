package testenv

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(RunInNamespaces(m)) }

func TestRequired(t *testing.T) {
	tests := []struct {
		require, ci string
		want        bool
	}{
		{"", "", false},
		{"", "false", false},
		{"", "true", true},
		{"btrfs", "", true},
		{"root,btrfs", "", true},
		{"root, btrfs ", "", true},
		{"all", "", true},
		{"vm,root", "", false},
		{"btrfsx", "", false},
	}
	for _, test := range tests {
		if got := required(TierBtrfs, test.require, test.ci); got != test.want {
			t.Errorf("required(btrfs, %q, %q) = %v, want %v", test.require, test.ci, got, test.want)
		}
	}
}

// recorder notes how a test ended instead of ending it.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Fatalf(string, ...any) { r.failed = true }
func (r *recorder) Skipf(string, ...any)  { r.skipped = true }
func (r *recorder) Log(...any)            {}

func TestNeed(t *testing.T) {
	const impossible Tier = "impossible"
	tests := []struct {
		name            string
		require, ci     string
		skipped, failed bool
	}{
		{"skips", "", "", true, false},
		{"fails when required", "impossible", "", false, true},
		{"fails in CI", "", "true", false, true},
		{"skips when another is required", "root", "", true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(requireVariable, test.require)
			t.Setenv(ciVariable, test.ci)
			t.Setenv(toldVariable, "")
			record := &recorder{TB: t}
			Need(record, impossible)
			if record.skipped != test.skipped || record.failed != test.failed {
				t.Errorf("skipped %v failed %v, want %v %v", record.skipped, record.failed, test.skipped, test.failed)
			}
		})
	}
}

func TestNeedPassesWhatIsThere(t *testing.T) {
	if os.Getenv(namespaceVariable) == "" {
		t.Skip("not in namespaces")
	}
	record := &recorder{TB: t}
	Need(record, TierNamespaces)
	if record.skipped || record.failed {
		t.Errorf("skipped %v failed %v in namespaces", record.skipped, record.failed)
	}
}

func TestNamespaceAttributes(t *testing.T) {
	if got := namespaceAttributes(0, 0); got.UidMappings != nil {
		t.Errorf("root gets a uid map: %+v", got)
	}
	got := namespaceAttributes(1000, 100)
	if len(got.UidMappings) != 1 || got.UidMappings[0].HostID != 1000 || got.GidMappings[0].HostID != 100 {
		t.Errorf("uid 1000, gid 100: %+v", got)
	}
}
