package doctor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// examine runs the doctor on a machine whose root is root and whose config
// names the device of f.
func examine(t *testing.T, device, document string) []Finding {
	t.Helper()
	document = strings.ReplaceAll(document, "DEVICE", device)
	cfg, err := config.Parse([]byte(document))
	x := &Examination{
		Host:   &initrd.Host{RunDir: t.TempDir(), Sysroot: "/sysroot", Stage1: true, BootID: "b", Kernel: "6.18.44", Log: kmsg.New(false)},
		Config: cfg, ConfigError: err, ConfigPath: "/etc/ebb/config.json",
		Root: t.TempDir(), Disks: "/dev/disk",
	}
	findings := x.Run()
	for _, f := range findings {
		t.Logf("%s: %s %q", f.Level, f.Text, f.Type)
	}
	return findings
}

// has reports whether a finding of that level says text.
func has(findings []Finding, level Level, text string) bool {
	for _, f := range findings {
		if f.Level == level && strings.Contains(f.Text+"\n"+strings.Join(f.Type, "\n"), text) {
			return true
		}
	}
	return false
}

const btrfsConfig = `{"version": 1, "root": {"kind": "btrfs", "device": "DEVICE"}, "stores": {}}`

func TestFindings(t *testing.T) {
	for name, test := range map[string]struct {
		tree  []string
		level Level
		want  string // "": no fault at the file system
	}{
		"all well":              {[]string{"subvolume @", "dir @roots 0700 0:0"}, Note, "there is no \"@blank\""},
		"no root":               {[]string{"subvolume root", "dir @roots 0700 0:0"}, Warning, "there is no subvolume \"@\""},
		"no root, others are":   {[]string{"subvolume nixos/root", "dir @roots 0700 0:0"}, Warning, "# there is nixos/root"},
		"a blank that can grow": {[]string{"subvolume @", "subvolume @blank"}, Warning, "\"@blank\" is writable"},
		"interrupted":           {[]string{"subvolume @", "dir @roots/.next"}, Note, "a rollback was interrupted"},
		"no archive":            {[]string{"subvolume @"}, Note, "no root has been archived"},
		"archive of a user":     {[]string{"subvolume @", "dir @roots 0700 1000:100"}, Fault, "belongs to user 1000"},
		"archive is a file":     {[]string{"subvolume @", "file @roots"}, Fault, "open archive"},
		"damaged root":          {[]string{"subvolume @", "dir @roots/000004", "subvolume @roots/000004/root"}, Warning, "archived root 4"},
		"root is a directory":   {[]string{"dir @"}, Fault, "a rollback would refuse"},
	} {
		t.Run(name, func(t *testing.T) {
			f := testenv.Btrfs(t, testenv.BtrfsOptions{})
			testenv.Tree(t, f.Dir, test.tree...)
			f.Unmount()
			findings := examine(t, f.Device(), btrfsConfig)
			f.Mount()
			if !has(findings, test.level, test.want) {
				t.Errorf("no %s %q", test.level, test.want)
			}
		})
	}
}

func TestDeviceNotThere(t *testing.T) {
	findings := examine(t, "/dev/disk/by-label/none", btrfsConfig)
	if !has(findings, Fault, "/dev/disk/by-label/none is not there") {
		t.Error("the missing device was not found")
	}
	if Sound(findings) {
		t.Error("a machine without its disk is called sound")
	}
}

func TestOtherDevices(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{MkfsOptions: []string{"--label", "nixos"}})
	dev := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dev, "disk/by-label"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(f.Device(), filepath.Join(dev, "disk/by-label/nixos")); err != nil {
		t.Fatal(err)
	}
	x := &Examination{Disks: filepath.Join(dev, "disk")}
	lines := x.otherDevices()
	if len(lines) != 1 || !strings.Contains(lines[0], `label "nixos"`) || !strings.Contains(lines[0], "by-label/nixos") {
		t.Errorf("got %q", lines)
	}
}

func TestBadConfig(t *testing.T) {
	findings := examine(t, "", `{"version": 2, "root": {"kind": "none"}, "stores": {}}`)
	if !has(findings, Fault, "/etc/ebb/config.json: version") {
		t.Error("the config's problem was not told with its place")
	}
}

func TestNotBtrfs(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.Need(t, testenv.TierRoot)
	cfg, err := config.Parse([]byte(strings.ReplaceAll(btrfsConfig, "DEVICE", "/dev/loop0")))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Root.Device = image
	x := &Examination{Host: &initrd.Host{RunDir: t.TempDir(), BootID: "b", Kernel: "6.18.44", Log: kmsg.New(false)}, Config: cfg, Root: t.TempDir(), Disks: "/dev/disk"}
	if findings := x.Run(); !has(findings, Fault, "cannot be looked at") {
		t.Errorf("got %+v", findings)
	}
}

func TestStores(t *testing.T) {
	findings := examine(t, "", `{"version": 1, "root": {"kind": "tmpfs"}, "stores": {"/persist": {}}}`)
	if !has(findings, Fault, "/persist is not there") || !has(findings, Fault, "ebb has not run in this boot") {
		t.Error("what is missing was not found")
	}
}

// One device of two is here: the doctor says how to go on without the other.
func TestMissingMember(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{Devices: 2})
	for here, want := range map[int]bool{1: true, 2: false} {
		disks := filepath.Join(t.TempDir(), "disk")
		if err := os.MkdirAll(filepath.Join(disks, "by-id"), 0o755); err != nil {
			t.Fatal(err)
		}
		for i, device := range f.Devices[:here] {
			for _, name := range []string{"serial", "wwn"} {
				if err := os.Symlink(device, filepath.Join(disks, "by-id", name+strconv.Itoa(i))); err != nil {
					t.Fatal(err)
				}
			}
		}
		x := &Examination{Disks: disks, Config: &config.Config{Root: config.Root{Device: f.Device(), Subvolume: "@"}}}
		x.examineMembers()
		if got := has(x.findings, Fault, "has 2 devices, of which 1 are not here") && has(x.findings, Fault, "mount -o degraded,subvol=@ "+f.Device()); got != want {
			t.Errorf("with %d of two devices: %+v", here, x.findings)
		}
	}
}
