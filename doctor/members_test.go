package doctor

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// superblockOf copies the beginning of a device, as a disk that is its copy.
func superblockOf(t *testing.T, device string) string {
	t.Helper()
	from, err := os.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := io.CopyN(to, from, 128<<10); err != nil {
		t.Fatal(err)
	}
	return to.Name()
}

// A label or a uuid that two disks carry is told of, and what only looks like
// it is not: other names of the disk, its other devices, a label that the root
// is not named by.
func TestNamesOfTwoDisks(t *testing.T) {
	label := testenv.BtrfsOptions{MkfsOptions: []string{"--label", "nixos"}}
	f, other := testenv.Btrfs(t, label), testenv.Btrfs(t, label)
	pair := testenv.Btrfs(t, testenv.BtrfsOptions{Devices: 2})
	unlike := testenv.Btrfs(t, testenv.BtrfsOptions{})
	disk := superblockOf(t, f.Device())
	for _, test := range []struct {
		name, by, device, other string
		want                    string
	}{
		{"alone", "by-label", disk, disk, ""},
		{"a copy", "by-uuid", disk, superblockOf(t, f.Device()), "is a copy of what is on"},
		{"a copy, by label", "by-label", disk, superblockOf(t, f.Device()), "is a copy of what is on"},
		{"one label", "by-label", disk, superblockOf(t, other.Device()), `has the label "nixos" as well`},
		{"one label, named by uuid", "by-uuid", disk, superblockOf(t, other.Device()), ""},
		{"another label", "by-label", disk, superblockOf(t, unlike.Device()), ""},
		{"the other device of two", "by-uuid", pair.Devices[0], pair.Devices[1], ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			disks := filepath.Join(t.TempDir(), "disk")
			for name, target := range map[string]string{test.by + "/nixos": test.device, "by-id/root": test.device, "by-path/other": test.other} {
				link := filepath.Join(disks, name)
				if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(target, link); err != nil {
					t.Fatal(err)
				}
			}
			x := &Examination{Disks: disks, Config: &config.Config{Root: config.Root{Device: filepath.Join(disks, test.by, "nixos")}}}
			x.examineNames()
			if told := len(x.findings) == 1 && has(x.findings, Warning, test.want) && has(x.findings, Warning, "by-path/other"); told != (test.want != "") || !told && len(x.findings) > 0 {
				t.Errorf("%+v", x.findings)
			}
		})
	}
}
