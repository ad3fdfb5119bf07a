package initramfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ebb-nix/ebb/vmtest/internal/debian"
)

// Names of what Build makes.
const (
	KernelFile = "vmlinux"
	InitrdFile = "initrd.cpio"
	ModulesDir = "modules"
)

// Fingerprint is everything in this package, besides its code, that the result of Build depends on.
func Fingerprint() []any {
	all := []any{treeFiles(), Modules(), skeleton()}
	for _, s := range sets() {
		all = append(all, s.treeFiles())
	}
	return all
}

// Build makes the kernel, the initrd and the archives of all sets from a tree, in dir, and leaves the kernel modules
// beside them.
func Build(ctx context.Context, tree debian.Tree, dir string) error {
	version, err := tree.KernelVersion()
	if err != nil {
		return err
	}
	bzImage, err := os.ReadFile(tree.Path("boot/vmlinuz-" + version))
	if err != nil {
		return fmt.Errorf("read kernel: %w", err)
	}
	vmlinux, err := ExtractVmlinux(bzImage)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, KernelFile), vmlinux, 0o644); err != nil {
		return fmt.Errorf("write kernel: %w", err)
	}
	modules := filepath.Join(dir, ModulesDir)
	if err := os.Mkdir(modules, 0o755); err != nil {
		return fmt.Errorf("stage kernel modules: %w", err)
	}
	if err := StageModules(ctx, tree, modules, Modules()); err != nil {
		return err
	}
	base, err := Base(tree, modules)
	if err != nil {
		return err
	}
	if err := writeArchive(filepath.Join(dir, InitrdFile), base); err != nil {
		return err
	}
	return writeSets(tree, base, dir)
}
