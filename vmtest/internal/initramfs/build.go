package initramfs

import (
	"context"
	"errors"
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
	return []any{treeFiles(), Modules(), skeleton()}
}

// Build makes the kernel and the initrd from a tree, in dir, and leaves the kernel modules beside them.
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
	return writeBase(tree, modules, filepath.Join(dir, InitrdFile))
}

func writeBase(tree debian.Tree, modules, path string) error {
	list, err := Base(tree, modules)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write initrd: %w", err)
	}
	return errors.Join(Write(f, list), f.Close())
}
