package sys

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// nameMax is NAME_MAX of linux/limits.h, in bytes.
const nameMax = 255

// CheckName says why name cannot be one component of a path: it is empty,
// "." or "..", longer than 255 bytes, or holds a slash or a NUL. A trailing
// slash counts as a slash: openat(dir, "link/", O_NOFOLLOW) follows the link.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("empty name")
	case name == "." || name == "..":
		return format.Errorf("name %q is not allowed", name)
	case len(name) > nameMax:
		return format.Errorf("name of %d bytes is longer than %d", len(name), nameMax)
	case strings.ContainsAny(name, "/\x00"):
		return format.Errorf("name %q holds a slash or NUL", name)
	}
	return nil
}

// OpenComponent opens name, one component, in the directory dirFd. A symbolic
// link is never followed: with O_PATH the link itself is opened (O_NOFOLLOW),
// without it the call fails with ELOOP. So the caller has to look at the type
// of what it got, see [Stat].
//
// openat2(2) (Linux 5.6) also refuses magic links. Where it is missing or
// forbidden (ENOSYS, EPERM from a seccomp filter) plain openat(2) is as
// strict, because the name is a single component and not "..".
func OpenComponent(dirFd int, name string, flags int) (int, error) {
	if err := CheckName(name); err != nil {
		return -1, pathError("open", name, err)
	}
	return openAt2(dirFd, name, flags, 0)
}

// CreateComponent makes the regular file name in dirFd and opens it. It fails
// with EEXIST when there is anything of that name, also a dangling link.
func CreateComponent(dirFd int, name string, flags int, mode uint32) (int, error) {
	if err := CheckName(name); err != nil {
		return -1, pathError("create", name, err)
	}
	return openAt2(dirFd, name, flags|unix.O_CREAT|unix.O_EXCL, mode)
}

func openAt2(dirFd int, name string, flags int, mode uint32) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NOCTTY
	if flags&unix.O_PATH != 0 {
		flags &= unix.O_PATH | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_DIRECTORY // openat2 is strict about the rest
	}
	how := unix.OpenHow{
		Flags:   uint64(flags),
		Mode:    uint64(mode),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&unix.O_PATH != 0 {
		// RESOLVE_NO_SYMLINKS would be the same here, O_NOFOLLOW opens the link.
		how.Resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS
	}
	fd, err := retryInt(func() (int, error) { return unix.Openat2(dirFd, name, &how) })
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		fd, err = retryInt(func() (int, error) { return unix.Openat(dirFd, name, flags, mode) })
	}
	if err != nil {
		return -1, pathError("open", name, err)
	}
	return fd, nil
}

// OpenBeneath walks the clean relative path rel ("a/b/c", or "." for the
// directory itself) below dirFd one component at a time and opens the last
// one with flags. Every component before it has to be a real directory: a
// link, wherever it leads, ends the walk with ENOTDIR or ELOOP.
func OpenBeneath(dirFd int, rel string, flags int) (int, error) {
	if rel == "." {
		return reopen(dirFd, flags)
	}
	fd := dirFd
	for {
		name, rest, more := strings.Cut(rel, "/")
		want := flags
		if more {
			want = unix.O_PATH | unix.O_DIRECTORY
		}
		next, err := OpenComponent(fd, name, want)
		if fd != dirFd {
			unix.Close(fd)
		}
		if err != nil || !more {
			return next, err
		}
		fd, rel = next, rest
	}
}

// reopen opens the object behind fd, a directory, anew with other flags.
func reopen(fd, flags int) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC | unix.O_DIRECTORY)}
	if flags&unix.O_PATH != 0 {
		how.Flags &= unix.O_PATH | unix.O_CLOEXEC | unix.O_DIRECTORY
	}
	next, err := retryInt(func() (int, error) { return unix.Openat(fd, ".", int(how.Flags), 0) })
	return next, pathError("open", ".", err)
}

// Duplicate returns another descriptor for what fd is open on. fcntl(2),
// F_DUPFD_CLOEXEC.
func Duplicate(fd int) (int, error) {
	other, err := retryInt(func() (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) })
	return other, pathError("duplicate", "descriptor", err)
}

// OpenParent opens "..", a name that nobody can have made a link of, of a
// directory for reading: whether it is the one that was meant is for the caller
// to see.
func OpenParent(fd int) (int, error) {
	parent, err := retryInt(func() (int, error) {
		return unix.Openat(fd, "..", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	return parent, pathError("open", "..", err)
}

// OpenDirectory opens the directory path of this process's own view, following
// links: for paths that come from ebb's own command line (the root to work in,
// the run directory), never for paths that a user may have touched.
func OpenDirectory(path string) (int, error) {
	fd, err := retryInt(func() (int, error) {
		return unix.Open(path, unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_RDONLY, 0)
	})
	return fd, pathError("open", path, err)
}

// OpenDirectoryUnlinked is OpenDirectory for paths that users may have touched: no
// component may be a link, which fails with ELOOP or ENOTDIR.
func OpenDirectoryUnlinked(p string) (int, error) {
	if p == "" {
		return -1, pathError("open", p, unix.ENOENT)
	}
	if p[0] != '/' {
		here, err := unix.Getwd()
		if err != nil {
			return -1, pathError("open", p, err)
		}
		p = here + "/" + p
	}
	top, err := OpenDirectory("/")
	if err != nil {
		return -1, err
	}
	defer unix.Close(top)
	rel := path.Clean(p)[1:]
	if rel == "" {
		rel = "."
	}
	fd, err := OpenBeneath(top, rel, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		err = format.Errorf("%w: name the path without links", err)
	}
	return fd, err
}

// Resolve returns path without symbolic links, as the kernel sees it: the
// target of /proc/self/fd/N, see proc_pid_fd(5).
func Resolve(path string) (string, error) {
	fd, err := retryInt(func() (int, error) { return unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0) })
	if err != nil {
		return "", pathError("open", path, err)
	}
	defer unix.Close(fd)
	return PathOf(fd)
}

// PathOf returns the path that the kernel knows for an open descriptor, see
// proc_pid_fd(5).
func PathOf(fd int) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := retryInt(func() (int, error) { return unix.Readlink(DescriptorPath(fd), buf) })
	return string(buf[:max(n, 0)]), pathError("readlink", DescriptorPath(fd), err)
}
