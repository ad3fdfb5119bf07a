package install

import (
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/units"
)

func TestEscapePath(t *testing.T) {
	for path, want := range map[string]string{
		"/":                         "-",
		"/dev/vda2":                 "dev-vda2",
		"/dev/disk/by-label/nixos":  `dev-disk-by\x2dlabel-nixos`,
		"/dev/mapper/crypt root":    `dev-mapper-crypt\x20root`,
		"/.hidden":                  `\x2ehidden`,
		"/dev/disk/by-partlabel/ä.": `dev-disk-by\x2dpartlabel-\xc3\xa4.`,
	} {
		if got := EscapePath(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestDropIns(t *testing.T) {
	c, err := config.Parse([]byte(`{"version": 1,
		"root": {"kind": "btrfs", "device": "/dev/disk/by-label/nixos", "on_failure": "emergency"},
		"stores": {"/persist": {}, "/persist/cache": {}}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := DropIns(c, nil)
	for unit, want := range map[string]string{
		units.Rollback: "[Unit]\nRequires=dev-disk-by\\x2dlabel-nixos.device\nAfter=dev-disk-by\\x2dlabel-nixos.device\n" +
			"OnFailure=emergency.target\nOnFailureJobMode=isolate\n",
		units.Mount:     "[Unit]\nWantsMountsFor=/sysroot/persist\nWantsMountsFor=/sysroot/persist/cache\n",
		"sysroot.mount": "[Unit]\nAssertPathExists=/run/ebb/root-ready\n",
	} {
		if got[unit] != want {
			t.Errorf("%s: got\n%s\nwant\n%s", unit, got[unit], want)
		}
	}
}
