// Package disk makes disk images with a partition table and a file system, encrypted or in a logical volume if that is
// wanted, as an ordinary user: no loop device, no mount, no device-mapper.
package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/internal/debian"
)

// Subvolume is a btrfs subvolume that a new file system has.
type Subvolume struct {
	// Name is its path from the top level, "nixos/@" say.
	Name string
	// ReadOnly sets the read-only flag.
	ReadOnly bool
}

// Kinds of file systems.
const (
	Btrfs = "btrfs"
	Ext4  = "ext4"
	XFS   = "xfs" // without contents: mkfs.xfs(8) copies no directories
)

// Spec describes a file system and what it lies on.
type Spec struct {
	// Kind is Btrfs when empty.
	Kind string
	// Label is the label of the file system and the name of its partition.
	Label string
	// Size of the file system in bytes.
	Size int64
	// Subvolumes to make, parents before children.
	Subvolumes []Subvolume
	// Files to put in, by their paths from the top-level subvolume. All belong to root: who builds an image without
	// privilege can give nothing away.
	Files []files.File
	// Trees are directories of the host that are copied in whole, keyed by their places in the file system.
	Trees map[string]string
	// Volume, when it has a name, is the logical volume that the file system lies in.
	Volume LogicalVolume
	// Passphrase, when not empty, opens the LUKS2 device that the file system, or the logical volume, lies in.
	Passphrase string
	// Swap is the size in bytes of a partition with swap space, which has the name and the label "swap". Zero: none.
	Swap int64
	// Bare leaves out the partition table: the file system begins where the disk does.
	Bare bool
}

// Make writes a raw disk image to path. Scratch is an empty directory on a file system with room for the contents.
func Make(ctx context.Context, tools debian.Tree, spec Spec, path, scratch string) error {
	staging, filesystem := filepath.Join(scratch, "staging"), filepath.Join(scratch, "filesystem")
	if err := stage(spec, staging); err != nil {
		return fmt.Errorf("stage file system %s: %w", spec.Label, err)
	}
	if err := makeFilesystem(ctx, tools, spec, staging, filesystem); err != nil {
		return fmt.Errorf("make file system %s: %w", spec.Label, err)
	}
	if err := wrap(ctx, tools, spec, filesystem, scratch); err != nil {
		return err
	}
	if err := os.RemoveAll(staging); err != nil {
		return err
	}
	if spec.Bare {
		return os.Rename(filesystem, path)
	}
	if err := partition(path, filesystem, spec); err != nil {
		return fmt.Errorf("partition disk %s: %w", spec.Label, err)
	}
	if err := makeSwap(ctx, tools, path, filesystem, spec); err != nil {
		return fmt.Errorf("make swap on disk %s: %w", spec.Label, err)
	}
	return os.Remove(filesystem)
}

// makeSwap fills the partition for swap space.
func makeSwap(ctx context.Context, tools debian.Tree, path, filesystem string, spec Spec) error {
	if spec.Swap == 0 {
		return nil
	}
	st, err := os.Stat(filesystem)
	if err != nil {
		return err
	}
	swap := filesystem + ".swap"
	if err := makeSparse(swap, spec.Swap); err != nil {
		return err
	}
	out, err := tools.Command(ctx, "usr/sbin/mkswap", "--label", "swap", swap).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mkswap: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return errors.Join(insert(path, swap, dataStart+st.Size()), os.Remove(swap))
}

// stage lays out the contents in a directory. mkfs.btrfs turns the directories that have a subvolume's name into
// subvolumes.
func stage(spec Spec, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, s := range spec.Subvolumes {
		if err := os.MkdirAll(filepath.Join(dir, s.Name), 0o755); err != nil {
			return err
		}
	}
	for place, tree := range spec.Trees {
		if err := os.CopyFS(filepath.Join(dir, place), os.DirFS(tree)); err != nil {
			return err
		}
	}
	return files.Write(dir, spec.Files)
}

func makeFilesystem(ctx context.Context, tools debian.Tree, spec Spec, staging, image string) error {
	if err := makeSparse(image, spec.Size); err != nil {
		return err
	}
	program, args := mkfs(spec, staging, image)
	cmd := tools.Command(ctx, "usr/sbin/"+program, args...)
	asRoot(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// mkfs is the command that makes the file system.
func mkfs(spec Spec, staging, image string) (program string, args []string) {
	switch spec.Kind {
	case Ext4:
		return "mke2fs", []string{"-q", "-t", "ext4", "-L", spec.Label, "-d", staging, image}
	case XFS:
		return "mkfs.xfs", []string{"-q", "-L", spec.Label, image}
	}
	return "mkfs.btrfs", mkfsArgs(spec, staging, image)
}

func mkfsArgs(spec Spec, staging, image string) []string {
	args := []string{"--quiet", "--label", spec.Label, "--rootdir", staging}
	for _, s := range spec.Subvolumes {
		access := "rw"
		if s.ReadOnly {
			access = "ro"
		}
		args = append(args, "--subvol", access+":"+s.Name)
	}
	return append(args, image)
}

// asRoot makes a program see its files as owned by root: mkfs.btrfs copies the owner that stat(2) shows. In a user
// namespace of its own the caller is root, see user_namespaces(7).
func asRoot(cmd *exec.Cmd) {
	if os.Geteuid() == 0 {
		return
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
}

// Overlay makes a qcow2 image at path that shows the raw image base and takes all writes itself. Base may lie anywhere;
// it is never written.
func Overlay(ctx context.Context, tools debian.Tree, base, path string) error {
	out, err := tools.Command(ctx, "usr/bin/qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make overlay of %s: %w: %s", base, err, strings.TrimSpace(string(out)))
	}
	return nil
}
