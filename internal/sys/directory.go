package sys

import (
	"errors"

	"golang.org/x/sys/unix"
)

// MakeDirectory makes the directory name in dirFd. The mode is subject to the
// umask, which ebb sets to 0 in main.
func MakeDirectory(dirFd int, name string, mode uint32) error {
	if err := CheckName(name); err != nil {
		return pathError("mkdir", name, err)
	}
	return pathError("mkdir", name, retry(func() error { return unix.Mkdirat(dirFd, name, mode) }))
}

// EnsureDirectory makes the directory path of this process's own view, if there
// is nothing of that name: for the paths that [OpenDirectory] is for.
func EnsureDirectory(path string, mode uint32) error {
	err := retry(func() error { return unix.Mkdir(path, mode) })
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return pathError("mkdir", path, err)
}

// MakeSymlink makes the symbolic link name in dirFd that holds target.
func MakeSymlink(target string, dirFd int, name string) error {
	if err := CheckName(name); err != nil {
		return pathError("symlink", name, err)
	}
	return pathError("symlink", name, retry(func() error { return unix.Symlinkat(target, dirFd, name) }))
}

// ReadSymlink returns what the symbolic link name in dirFd holds.
func ReadSymlink(dirFd int, name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", pathError("readlink", name, err)
	}
	target, err := SymlinkTarget(dirFd, name)
	return target, pathError("readlink", name, err)
}

// SymlinkTarget is [ReadSymlink] also for a link that is open itself as dirFd,
// with O_PATH: then the name is empty. readlink(2), Linux 2.6.39.
func SymlinkTarget(dirFd int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := retryInt(func() (int, error) { return unix.Readlinkat(dirFd, name, buf) })
	return string(buf[:max(n, 0)]), err
}

// Remove unlinks name in dirFd, an empty directory or anything else. Nothing
// of that name is not an error.
func Remove(dirFd int, name string) error {
	if err := CheckName(name); err != nil {
		return pathError("unlink", name, err)
	}
	err := retry(func() error { return unix.Unlinkat(dirFd, name, 0) })
	if errors.Is(err, unix.EISDIR) {
		err = retry(func() error { return unix.Unlinkat(dirFd, name, unix.AT_REMOVEDIR) })
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return pathError("unlink", name, err)
}

// ReadNames returns the names in an open directory, from where it stands to its
// end, in no particular order and without "." and "..".
func ReadNames(fd int) (names []string, err error) {
	buf := make([]byte, 8<<10)
	for {
		n, err := retryInt(func() (int, error) { return unix.Getdents(fd, buf) })
		if err != nil {
			return nil, pathError("getdents", ".", err)
		}
		if n == 0 {
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
