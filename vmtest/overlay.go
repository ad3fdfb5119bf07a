package vmtest

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/internal/initramfs"
)

// units are those of the harness: NixOS's own services in a shape that fits Debian's files, and the agents.
//
//go:embed units
var units embed.FS

// Places in the initrd. Activation copies all below systemRoot onto the root.
const (
	guestPath  = "vmtest/guest"
	systemRoot = "vmtest/system"
)

// unitLinks say which units start those of the harness, by NixOS's wantedBy and requiredBy.
func unitLinks() map[string][]string {
	return map[string][]string{
		"initrd/sysroot-run.mount":                 {"initrd-fs.target.requires"},
		"initrd/initrd-find-nixos-closure.service": {"initrd.target.requires"},
		"initrd/initrd-nixos-activation.service":   {"initrd-switch-root.service.requires"},
		"initrd/vmtest-agent-initrd.service":       {"initrd.target.wants", "emergency.target.wants"},
		"initrd/vmtest-emergency.service":          {"emergency.target.wants"},
		"system/vmtest-agent.service":              {"sysinit.target.wants", "emergency.target.wants"},
		"system/vmtest-emergency.service":          {"emergency.target.wants"},
	}
}

// writeInitrd writes the initrd of one boot: the shared archives, and behind them one with what this boot has of its
// own.
func (k *Kit) writeInitrd(name string, c Config) (err error) {
	out, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write initrd: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	for _, part := range parts(c) {
		if err := appendFile(out, filepath.Join(k.boot, part)); err != nil {
			return fmt.Errorf("write initrd: %w", err)
		}
	}
	list, err := k.overlay(c)
	if err != nil {
		return fmt.Errorf("write initrd: %w", err)
	}
	return initramfs.Write(out, list)
}

// parts are the names of the shared archives that a boot needs.
func parts(c Config) []string {
	names := []string{initramfs.InitrdFile}
	if len(c.Crypttab) > 0 {
		names = append(names, initramfs.Cryptsetup().File())
	}
	if c.LVM {
		names = append(names, initramfs.LVM().File())
	}
	return names
}

func appendFile(out io.Writer, name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, in.Close())
}

func (k *Kit) overlay(c Config) ([]files.File, error) {
	initrd := []files.File{
		files.Program(guestPath, k.guestProgram),
		files.Text("etc/fstab.sysroot", fstab(c.Fstab)),
		// NixOS names no init here, so that systemd hands its state over to the next one.
		files.Text("etc/systemd/system/initrd-switch-root.service.d/closure.conf", "[Service]\n"+
			"EnvironmentFile=-/etc/switch-root.conf\n"+
			"ExecStart=\n"+
			"ExecStart=systemctl --no-block switch-root /sysroot ${NEW_INIT}\n"),
	}
	system := []files.File{
		files.Program("run/vmtest/guest", k.guestProgram),
		files.Text("etc/fstab", fstab(c.Fstab)),
		// After a resume: see serve of the guest program.
		files.Text("etc/systemd/system/systemd-hibernate.service.d/agent.conf", "[Service]\n"+
			"ExecStartPost=systemctl kill --signal=HUP vmtest-agent.service\n"),
	}
	if len(c.Crypttab) > 0 {
		initrd = append(initrd, files.Text("etc/crypttab", strings.Join(c.Crypttab, "\n")+"\n"))
	}
	for name, links := range unitLinks() {
		text, err := units.ReadFile("units/" + name)
		if err != nil {
			return nil, err
		}
		list := Unit(path.Base(name), string(text), links...)
		if path.Dir(name) == "initrd" {
			initrd = append(initrd, list...)
		} else {
			system = append(system, list...)
		}
	}
	initrd = slices.Concat(initrd, counterFiles(), c.Initrd)
	for _, f := range slices.Concat(system, counterFiles(), c.System) {
		f.Path = path.Join(systemRoot, f.Path)
		initrd = append(initrd, f)
	}
	return initrd, nil
}
