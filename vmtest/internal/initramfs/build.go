package initramfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ebb-nix/ebb/vmtest/internal/debian"
)

// Names of what Build makes.
const (
	KernelFile = "vmlinux"
	InitrdFile = "initrd.cpio"

	// SystemModulesDir has the kernel modules of the running system.
	SystemModulesDir = "modules"
)

// Fingerprint is everything in this package, besides its code, that the result of Build depends on.
func Fingerprint() []any {
	all := []any{treeFiles(), modules(), optionalModules(), systemModules(), skeleton()}
	for _, s := range sets() {
		all = append(all, s.treeFiles())
	}
	return all
}

// Build makes the kernel, the initrd and the archives of all sets from a tree, in dir, and leaves the kernel modules of
// the running system beside them.
func Build(ctx context.Context, tree debian.Tree, dir string) error {
	version, err := tree.KernelVersion()
	if err != nil {
		return err
	}
	bzImage, err := readKernel(tree, version)
	if err != nil {
		return err
	}
	vmlinux, err := ExtractVmlinux(bzImage)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, KernelFile), vmlinux, 0o644); err != nil {
		return fmt.Errorf("write kernel: %w", err)
	}
	system := filepath.Join(dir, SystemModulesDir)
	if err := stageModules(ctx, tree, system, systemModules()); err != nil {
		return err
	}
	staged, err := os.MkdirTemp(dir, ".modules-")
	if err != nil {
		return fmt.Errorf("stage kernel modules: %w", err)
	}
	defer os.RemoveAll(staged) // what is left is only in the way
	if err := stageModules(ctx, tree, staged, optionalModules()); err != nil {
		return err
	}
	base, err := Base(tree, staged)
	if err != nil {
		return err
	}
	if err := writeArchive(filepath.Join(dir, InitrdFile), base); err != nil {
		return err
	}
	return writeSets(tree, base, dir)
}

// readKernel reads the bzImage, which Debian's packages have beside the modules since forky, and in boot before.
func readKernel(tree debian.Tree, version string) ([]byte, error) {
	image, err := os.ReadFile(tree.Path("usr/lib/modules/" + version + "/vmlinuz"))
	if errors.Is(err, fs.ErrNotExist) {
		image, err = os.ReadFile(tree.Path("boot/vmlinuz-" + version))
	}
	if err != nil {
		return nil, fmt.Errorf("read kernel: %w", err)
	}
	return image, nil
}
