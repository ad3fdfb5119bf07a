package sys

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// ReadFile reads the regular file name in dirFd, at most limit bytes. A link,
// a FIFO (which would block for ever) or anything else is refused, and so is a
// file that is longer than limit.
func ReadFile(dirFd int, name string, limit int64) ([]byte, error) {
	fd, err := OpenComponent(dirFd, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return readRegular(fd, name, limit)
}

// ReadPath is [ReadFile] for a path of this process's own view.
func ReadPath(path string, limit int64) ([]byte, error) {
	fd, err := retryInt(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return readRegular(fd, path, limit)
}

// readRegular reads fd to its end and closes it.
func readRegular(fd int, name string, limit int64) ([]byte, error) {
	defer unix.Close(fd)
	st, err := Stat(fd)
	if err != nil {
		return nil, err
	}
	if !st.IsRegular() {
		return nil, pathError("read", name, format.Errorf("is a %s, not a regular file", st.TypeName()))
	}
	data, err := readAll(fd, int(min(int64(st.Size), limit))+1, limit)
	if err != nil {
		return nil, pathError("read", name, err)
	}
	return data, nil
}

// readLeast is the least that one read(2) asks for. Files of procfs tell no
// size, and some give a line at most with each call.
const readLeast = 512

// readAll reads fd to its end. A buffer of the size that is expected is one
// byte larger than the file, so that the end is seen without another one.
func readAll(fd, expected int, limit int64) ([]byte, error) {
	data := make([]byte, 0, max(expected, readLeast))
	for {
		n, err := retryInt(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		if err != nil {
			return nil, err
		}
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit:
			return nil, format.Errorf("is longer than %d bytes", limit)
		case n == 0:
			return data, nil
		case len(data) == cap(data):
			data = append(data, 0)[:len(data)]
		}
	}
}

// WriteFile replaces name in dirFd, not an O_PATH descriptor, by a file that holds
// data, durably: see [ReplaceFile]. The new name is committed with the whole file
// system, and not by an fsync of the directory: the log that btrfs writes then lacks
// a file that was renamed with some kernels (Linux 5.18 to 6.15.5), and is not waited
// for when another program is about to write it (docs/reliability.md).
func WriteFile(dirFd int, name string, data []byte, mode uint32) error {
	if err := ReplaceFile(dirFd, name, data, mode); err != nil {
		return err
	}
	return SyncFilesystem(dirFd)
}

// ReplaceFile replaces name in dirFd by a file that holds data: a reader, and
// a boot after a power cut, sees the old contents or the new, whole. It writes
// a temporary file beside it, fsyncs it, and renames it; the new name itself
// is durable once the directory is.
func ReplaceFile(dirFd int, name string, data []byte, mode uint32) error {
	temporary := TemporaryName(name)
	// Left over by a run that was killed: nobody else uses the name.
	if err := Remove(dirFd, temporary); err != nil {
		return err
	}
	if err := writeNew(dirFd, temporary, data, mode); err != nil {
		return errors.Join(format.Errorf("write %q: %w", name, err), Remove(dirFd, temporary))
	}
	if err := Rename(dirFd, temporary, dirFd, name); err != nil {
		return errors.Join(err, Remove(dirFd, temporary))
	}
	return nil
}

func writeNew(dirFd int, name string, data []byte, mode uint32) error {
	fd, err := CreateComponent(dirFd, name, unix.O_WRONLY, mode)
	if err != nil {
		return err
	}
	err = writeAll(fd, data)
	syncErr := SyncFile(fd)
	return pathError("write", name, errors.Join(err, syncErr, Close(fd)))
}

// Close closes fd, for whom it matters whether that brings an error of a write to
// light. One that is interrupted is closed all the same, close(2).
func Close(fd int) error {
	if err := unix.Close(fd); !errors.Is(err, unix.EINTR) {
		return err
	}
	return nil
}

func writeAll(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := retryInt(func() (int, error) { return unix.Write(fd, data) })
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// TemporaryName returns the name that a replacement for name is written under:
// hidden, marked as ebb's, and never longer than 255 bytes.
func TemporaryName(name string) string {
	const prefix, suffix = ".", ".ebb-new"
	if room := nameMax - len(prefix) - len(suffix); len(name) > room {
		name = name[:room]
	}
	return prefix + name + suffix
}

// SyncDirectory makes the names in the directory durable. It works on O_PATH
// descriptors, too, which fsync(2) itself refuses with EBADF.
func SyncDirectory(dirFd int) error {
	fd, err := reopen(dirFd, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return SyncFile(fd)
}

// ReadAt reads at an offset, and returns how much there was: 0 at the end and
// behind it. pread(2).
func ReadAt(fd int, buffer []byte, offset int64) (int, error) {
	n, err := retryInt(func() (int, error) { return unix.Pread(fd, buffer, offset) })
	if err != nil {
		return 0, format.Errorf("read: %w", err)
	}
	return n, nil
}

// Seek sets the place that fd is read and written at, and returns it. lseek(2).
func Seek(fd int, offset int64, whence int) (at int64, err error) {
	if err = retry(func() error { at, err = unix.Seek(fd, offset, whence); return err }); err != nil {
		return 0, format.Errorf("seek: %w", err)
	}
	return at, nil
}

// SyncFile makes what fd is open on durable, not an O_PATH descriptor. fsync(2).
func SyncFile(fd int) error {
	if err := retry(func() error { return unix.Fsync(fd) }); err != nil {
		return format.Errorf("fsync: %w", err)
	}
	return nil
}

// StatFilesystem tells of the file system that fd lies in. fstatfs(2).
func StatFilesystem(fd int, st *unix.Statfs_t) error {
	if err := retry(func() error { return unix.Fstatfs(fd, st) }); err != nil {
		return format.Errorf("statfs: %w", err)
	}
	return nil
}

// SyncFilesystem writes out everything of the file system that fd lies in;
// on btrfs that ends with a transaction commit. syncfs(2).
func SyncFilesystem(fd int) error {
	if err := retry(func() error { return unix.Syncfs(fd) }); err != nil {
		return format.Errorf("syncfs: %w", err)
	}
	return nil
}
