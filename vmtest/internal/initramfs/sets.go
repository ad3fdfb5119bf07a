package initramfs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/internal/debian"
)

// Set is what an initrd may have besides its base, in an archive of its own.
type Set struct {
	// Name is that of the archive, without ".cpio".
	Name string
	// Programs, rules and units are paths of the tree, as for the base: from its root, below usr/lib/udev/rules.d,
	// below usr/lib/systemd/system.
	programs, rules, units []string
}

// Cryptsetup opens what crypttab(5) lists: the part of NixOS's systemd initrd that comes with boot.initrd.luks.devices.
func Cryptsetup() Set {
	return Set{
		Name: "cryptsetup",
		programs: []string{
			"usr/bin/systemd-cryptsetup",
			"usr/lib/systemd/systemd-cryptsetup",
			"usr/lib/systemd/systemd-reply-password",
			"usr/lib/systemd/system-generators/systemd-cryptsetup-generator",
			// libsystemd-shared opens it by dlopen(3).
			multiarch + "/libcryptsetup.so.12",
			"usr/bin/systemd-ask-password",
			"usr/bin/systemd-tty-ask-password-agent",
			"usr/sbin/cryptsetup",
			"usr/sbin/dmsetup",
		},
		rules: deviceMapperRules(),
		units: []string{
			"cryptsetup-pre.target", "cryptsetup.target", "remote-cryptsetup.target",
			"systemd-ask-password-console.path", "systemd-ask-password-console.service",
		},
	}
}

// LVM activates logical volumes when udev has found all of their group: NixOS's boot.initrd.services.lvm.
func LVM() Set {
	return Set{
		Name:     "lvm",
		programs: []string{"usr/sbin/lvm", "usr/sbin/dmsetup", "usr/bin/systemd-run", "usr/bin/udevadm"},
		rules:    append(deviceMapperRules(), "56-lvm.rules", "69-lvm.rules"),
	}
}

func deviceMapperRules() []string {
	return []string{"55-dm.rules", "60-persistent-storage-dm.rules", "64-btrfs-dm.rules", "95-dm-notify.rules"}
}

// sets are all that there are.
func sets() []Set { return []Set{Cryptsetup(), LVM()} }

// File is the name of the set's archive in the directory that Build makes.
func (s Set) File() string { return s.Name + ".cpio" }

// treeFiles are the paths of the set from the tree's root.
func (s Set) treeFiles() []string {
	names := append([]string(nil), s.programs...)
	for _, name := range s.rules {
		names = append(names, path.Join(ruleDir, name))
	}
	for _, name := range s.units {
		names = append(names, path.Join(unitDir, name))
	}
	return names
}

// Files are the files of the set in the tree, with what they need and less those that have nothing to add to the base.
func (s Set) Files(tree debian.Tree, base []files.File) ([]files.File, error) {
	c := &closure{tree: string(tree), files: map[string]files.File{}}
	for _, name := range s.treeFiles() {
		if err := c.add(name); err != nil {
			return nil, fmt.Errorf("collect %s: %w", s.Name, err)
		}
	}
	if err := c.addWants(); err != nil {
		return nil, fmt.Errorf("collect %s: %w", s.Name, err)
	}
	for _, f := range base {
		delete(c.files, f.Path)
	}
	var list []files.File
	for _, f := range c.files {
		list = append(list, f)
	}
	return list, nil
}

// writeSets writes the archive of each set into dir.
func writeSets(tree debian.Tree, base []files.File, dir string) error {
	for _, s := range sets() {
		list, err := s.Files(tree, base)
		if err != nil {
			return err
		}
		if err := writeArchive(filepath.Join(dir, s.File()), list); err != nil {
			return err
		}
	}
	return nil
}

func writeArchive(path string, list []files.File) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write initrd: %w", err)
	}
	return errors.Join(Write(f, list), f.Close())
}
