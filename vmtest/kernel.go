package vmtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ebb-nix/ebb/vmtest/internal/debian"
)

// KernelEnv names the environment variable with another kernel for machines than that of their release: a release and
// the beginning of a version, of which the newest is taken ("trixie-backports/6.18", "bookworm/6.1"), with the flavour if
// that is not cloud-amd64 ("trixie/6.12/amd64" has more file systems), or the file of a package
// ("/tmp/linux-image-6.6.87_amd64.deb").
const KernelEnv = "EBB_VM_KERNEL"

const (
	// suiteKernel is the package with the newest kernel of a release.
	suiteKernel   = "linux-image-" + kernelFlavour
	kernelFlavour = "cloud-amd64" // few drivers
)

// kernel is a kernel that a release does not have.
type kernel struct {
	suite, version, flavour string

	file string // of a package, or empty
	made time.Time
}

// findKernel is the kernel that was asked for, nil for that of the release.
func (k *Kit) findKernel() (*kernel, error) {
	if k.kernel == "" {
		return nil, nil
	}
	if !strings.HasSuffix(k.kernel, ".deb") {
		parts := append(strings.Split(k.kernel, "/"), kernelFlavour)
		if len(parts) < 3 || len(parts) > 4 || slices.Contains(parts, "") {
			return nil, fmt.Errorf("%s=%s: neither RELEASE/VERSION, as trixie-backports/6.18, nor the path of a .deb file", KernelEnv, k.kernel)
		}
		return &kernel{suite: parts[0], version: parts[1], flavour: parts[2]}, nil
	}
	file, err := filepath.Abs(k.kernel)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", KernelEnv, err)
	}
	st, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", KernelEnv, err)
	}
	return &kernel{file: file, made: st.ModTime()}, nil
}

// key is for the cache. Of a release it is always the same: a newer package comes with a newer recipe, or when the old
// one was unused for days.
func (k *kernel) key() string {
	if k == nil {
		return ""
	}
	return fmt.Sprint(*k)
}

// unpackKernel puts the kernel and its modules where the release has its own.
func (k *Kit) unpackKernel(ctx context.Context, dir string, kernel *kernel) error {
	if kernel == nil {
		return nil
	}
	scratch, err := os.MkdirTemp(dir, ".kernel-")
	if err != nil {
		return fmt.Errorf("unpack the kernel: %w", err)
	}
	defer os.RemoveAll(scratch) // what is left is only in the way
	if err := k.extractKernel(ctx, scratch, kernel); err != nil {
		return err
	}
	// Packages of before the merge of /usr have their modules in /lib.
	for _, move := range [][2]string{{"boot", "boot"}, {"lib/modules", "usr/lib/modules"}, {"usr/lib/modules", "usr/lib/modules"}} {
		if err := moveAll(filepath.Join(scratch, move[0]), filepath.Join(dir, move[1])); err != nil {
			return fmt.Errorf("unpack the kernel: %w", err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "usr/lib/modules")); err != nil {
		return fmt.Errorf("%s=%s has no modules: %w", KernelEnv, k.kernel, err)
	}
	return nil
}

func (k *Kit) extractKernel(ctx context.Context, dir string, kernel *kernel) error {
	if kernel.file != "" {
		return debian.Extract(ctx, kernel.file, dir)
	}
	return k.withArchive(ctx, kernel.suite, func(archive *debian.Archive) error {
		found, err := archive.Kernel(ctx, kernel.version, kernel.flavour)
		if err != nil {
			return err
		}
		return archive.Unpack(ctx, dir, found)
	})
}

// moveAll moves all that is in a directory, if that is there, into another one.
func moveAll(from, to string) error {
	list, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, entry := range list {
		if err := os.Rename(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}
