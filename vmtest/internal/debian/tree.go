package debian

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// libraries are the directories, below the root of a tree, where its programs find their shared libraries.
const libraries = "usr/lib/x86_64-linux-gnu"

// Tree is a directory with unpacked packages.
type Tree string

// Path is the place of a file of the tree on this machine.
func (t Tree) Path(name string) string { return filepath.Join(string(t), name) }

// Command prepares to run a program of the tree, "usr/bin/qemu-img" say, on this machine: by the tree's own dynamic
// linker and with its own libraries, since those of the machine may be of another release. See ld.so(8).
func (t Tree) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	argv := append(t.argv(filepath.Base(program), program), args...)
	return exec.CommandContext(ctx, argv[0], argv[1:]...)
}

func (t Tree) argv(argv0, program string) []string {
	return []string{
		t.Path("usr/lib64/ld-linux-x86-64.so.2"), "--library-path", t.Path(libraries), "--argv0", argv0, t.Path(program),
	}
}

// KernelVersion is the version of the one kernel whose modules the tree holds.
func (t Tree) KernelVersion() (string, error) {
	dirs, err := os.ReadDir(t.Path("usr/lib/modules"))
	if err != nil {
		return "", fmt.Errorf("find the kernel's version: %w", err)
	}
	if len(dirs) != 1 {
		return "", fmt.Errorf("%d kernels in %s, want 1", len(dirs), t.Path("usr/lib/modules"))
	}
	return dirs[0].Name(), nil
}

// Depmod writes modules.dep and its like for the kernel modules below dir, by the tree's own depmod(8).
func (t Tree) Depmod(ctx context.Context, dir, version string) error {
	// kmod is one program that looks at argv[0].
	argv := append(t.argv("depmod", "usr/bin/kmod"), "-b", dir, version)
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("depmod -b %s %s: %w: %s", dir, version, err, out)
	}
	return nil
}
