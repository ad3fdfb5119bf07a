package main

import (
	"context"
	"fmt"
	"os"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/units"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/install"
)

// device has the file system with everything.
const device = "/dev/disk/by-label/nixos"

// document is the machine's /etc/ebb/config.json.
const document = `{
  "version": 1,
  "root": {"kind": "btrfs", "device": "/dev/disk/by-label/nixos", "subvolume": "@", "blank": "@blank", "archive": "@roots"},
  "stores": {
    "/persist": {
      "directories": [
        {"path": "/var/log"},
        {"path": "/var/lib/systemd"},
        {"path": "/var/lib/tally", "mode": "0750"},
        {"path": "/home/gabriel/.ssh", "user": "gabriel", "uid": 1000, "gid": 100, "mode": "0700"}
      ],
      "files": [
        {"path": "/etc/machine-id", "how": "sync"},
        {"path": "/etc/ssh/ssh_host_ed25519_key", "how": "symlink", "mode": "0600"}
      ]
    }
  }
}
`

// tallyUnit is a service with a state: it notes each boot.
const tallyUnit = `[Unit]
Description=Note this boot

[Service]
Type=oneshot
StateDirectory=tally
StateDirectoryMode=0750
ExecStart=/bin/sh -c 'cat /proc/sys/kernel/random/boot_id >> /var/lib/tally/boots'
`

// planFile is where the initrd leaves what "ebb plan --json" says just before ebb acts.
const planFile = "/run/ebb-demo-plan"

// planUnit asks for the plan in the initrd: in the running system there is nothing left to plan for this boot. The plan
// has problems, as the stores are not mounted so early; only what it says of the rollback is of interest here.
func planUnit() string {
	disk := install.EscapePath(device) + ".device"
	return fmt.Sprintf(`[Unit]
Description=Note what ebb is going to do
DefaultDependencies=no
Requires=%s
After=%s local-fs-pre.target
Before=%s sysroot.mount

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-/bin/ebb plan --json
StandardOutput=file:%s
`, disk, disk, units.Rollback, planFile)
}

func layout() vmtest.DiskLayout {
	return vmtest.DiskLayout{
		Label: "nixos", Subvolumes: []string{"@", "@nix", "@persist"}, ReadOnly: []string{"@blank"}, Store: "@nix",
	}
}

func fstab() []vmtest.Mount {
	return []vmtest.Mount{
		vmtest.Subvolume("nixos", "@", "/"),
		vmtest.Subvolume("nixos", "@nix", "/nix"),
		vmtest.Subvolume("nixos", "@persist", "/persist"),
	}
}

// prepare makes a machine with ebb in it, switched off.
func prepare(ctx context.Context, s *screen, dir string) (*vmtest.Machine, error) {
	s.heading("Preparing")
	s.text("The machine is made of Debian's QEMU, kernel and systemd, set up as NixOS sets them up. The first run " +
		"downloads about 90 MB of packages and keeps them.")
	s.line("")
	kit, err := vmtest.Prepare(ctx, vmtest.Options{Log: indented{s}})
	if err != nil {
		return nil, err
	}
	disk, err := kit.Disk(ctx, layout())
	if err != nil {
		return nil, err
	}
	s.line("%sbuilding ebb", indent)
	binary, err := install.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(binary); err == nil {
		s.line("%sone static program, %.1f MB", indent, float64(st.Size())/1e6)
	}
	c, err := machineConfig(binary)
	if err != nil {
		return nil, err
	}
	c.Disks = []string{disk}
	return kit.NewMachine(dir, c)
}

// machineConfig is a machine with ebb, as its NixOS module would set it up.
func machineConfig(binary string) (vmtest.Config, error) {
	parsed, err := config.Parse([]byte(document))
	if err != nil {
		return vmtest.Config{}, err
	}
	initrd, system, err := install.Ebb(binary, document, parsed)
	if err != nil {
		return vmtest.Config{}, err
	}
	initrd = append(initrd, vmtest.Unit("demo-plan.service", planUnit(), "initrd.target.wants")...)
	// NixOS's default.
	system = append(system, files.Text("etc/systemd/journald.conf.d/storage.conf", "[Journal]\nStorage=persistent\n"))
	system = append(system, vmtest.Unit("tally.service", tallyUnit, "multi-user.target.wants")...)
	return vmtest.Config{Fstab: fstab(), Initrd: initrd, System: system}, nil
}

// indented is the writer for vmtest's own progress: whole lines.
type indented struct{ screen *screen }

func (w indented) Write(line []byte) (int, error) {
	w.screen.block(string(line))
	return len(line), nil
}
