package testenv

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Inventory describes each file of a tree in one line, by its path below the
// root of the tree; the root is ".".
type Inventory map[string]string

// Fingerprint takes stock of a tree, without following links: type,
// permissions, owner, times of modification, extended attributes and
// contents. Two that are equal mean that nothing changed between them, except
// for inode numbers, link counts, and times of access and change. Mounts and
// subvolumes below dir are part of the tree.
func Fingerprint(t testing.TB, dir string) Inventory {
	t.Helper()
	inventory := make(Inventory)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		inventory[relative], err = describe(path)
		return err
	})
	if err != nil {
		t.Fatalf("fingerprint of %s: %v", dir, err)
	}
	return inventory
}

// Diff returns what changed from i to after, one line for each difference
// ("-" before, "+" after) and in the order of paths; "" when nothing did.
func (i Inventory) Diff(after Inventory) string {
	var text strings.Builder
	all := maps.Clone(i)
	maps.Copy(all, after)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		was, isBefore := i[path]
		is, isAfter := after[path]
		if was == is && isBefore == isAfter {
			continue
		}
		if isBefore {
			fmt.Fprintf(&text, "- %q %s\n", path, was)
		}
		if isAfter {
			fmt.Fprintf(&text, "+ %q %s\n", path, is)
		}
	}
	return text.String()
}

func describe(path string) (string, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return "", &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	attributes, err := describeAttributes(path)
	if err != nil {
		return "", err
	}
	kind, content, err := describeContent(path, &stat)
	if err != nil {
		return "", err
	}
	modified := time.Unix(stat.Mtim.Unix()).UTC().Format(time.RFC3339Nano)
	return fmt.Sprintf("%s %04o %d:%d mtime=%s%s%s",
		kind, stat.Mode&^unix.S_IFMT, stat.Uid, stat.Gid, modified, content, attributes), nil
}

// describeContent returns the type of a file and what is particular to it.
// Sizes of directories are left out: they depend on the file system.
func describeContent(path string, stat *unix.Stat_t) (kind, content string, err error) {
	const subvolumeRootInode = 256
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		sum, err := hashFile(path)
		return "file", fmt.Sprintf(" size=%d sha256=%s", stat.Size, sum), err
	case unix.S_IFDIR:
		var fileSystem unix.Statfs_t
		if err := unix.Statfs(path, &fileSystem); err != nil {
			return "", "", &os.PathError{Op: "statfs", Path: path, Err: err}
		}
		if stat.Ino == subvolumeRootInode && uint32(fileSystem.Type) == unix.BTRFS_SUPER_MAGIC {
			return "subvolume", "", nil
		}
		return "dir", "", nil
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		return "link", fmt.Sprintf(" target=%q", target), err
	case unix.S_IFIFO:
		return "fifo", "", nil
	case unix.S_IFSOCK:
		return "socket", "", nil
	case unix.S_IFCHR:
		return "char", fmt.Sprintf(" device=%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev)), nil
	case unix.S_IFBLK:
		return "block", fmt.Sprintf(" device=%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev)), nil
	}
	return "", "", fmt.Errorf("%s: unknown file type %o", path, stat.Mode)
}

func hashFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), nil
}

// agreedXattr is what ebb notes on the sources of sync entries, beside the data.
const agreedXattr = "trusted.ebb.agreed"

// describeAttributes lists extended attributes, ACLs among them.
func describeAttributes(path string) (string, error) {
	names, err := readGrowing(func(buffer []byte) (int, error) { return unix.Llistxattr(path, buffer) })
	if errors.Is(err, unix.ENOTSUP) {
		return "", nil
	}
	if err != nil {
		return "", &os.PathError{Op: "llistxattr", Path: path, Err: err}
	}
	var text strings.Builder
	for _, name := range slices.Sorted(strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00")) {
		if name == "" || name == agreedXattr {
			continue
		}
		value, err := readGrowing(func(buffer []byte) (int, error) { return unix.Lgetxattr(path, name, buffer) })
		if err != nil {
			return "", &os.PathError{Op: "lgetxattr " + name, Path: path, Err: err}
		}
		fmt.Fprintf(&text, " %s=%q", name, value)
	}
	return text.String(), nil
}

// readGrowing calls read with buffers that grow until the result fits; 64 KiB
// is the most that Linux has (XATTR_SIZE_MAX, XATTR_LIST_MAX).
func readGrowing(read func([]byte) (int, error)) ([]byte, error) {
	for size := 256; ; size *= 4 {
		buffer := make([]byte, size)
		count, err := read(buffer)
		if errors.Is(err, unix.ERANGE) && size < 1<<16 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buffer[:count], nil
	}
}
