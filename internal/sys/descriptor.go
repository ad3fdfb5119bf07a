package sys

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// File is an open descriptor with the methods of package io. Package os would
// do the same, with the poller and all else that it brings along: 5 % of the
// binary, and system calls at each start.
type File int

// The standard streams.
const (
	Stdin  File = 0
	Stdout File = 1
	Stderr File = 2
)

// writePatience is how long Write waits for a device that takes nothing, a
// console that is stopped say, in milliseconds.
const writePatience = 1000

// Write writes all of p, and returns how much of it was written. A standard
// stream that somebody else has made non-blocking is waited for, anything else
// that does not block for a second at most.
func (f File) Write(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := retryInt(func() (int, error) { return unix.Write(int(f), p[n:]) })
		switch {
		case errors.Is(err, unix.EAGAIN) && f.waitWritable():
			continue
		case err != nil:
			return n, err
		case m == 0:
			return n, io.ErrShortWrite
		}
		n += m
	}
	return n, nil
}

// waitWritable reports whether f takes something now, or is at its end.
func (f File) waitWritable() bool {
	patience := writePatience
	if f <= Stderr {
		patience = -1
	}
	ready, err := retryInt(func() (int, error) {
		return unix.Poll([]unix.PollFd{{Fd: int32(f), Events: unix.POLLOUT}}, patience)
	})
	return err == nil && ready > 0
}

// Read reads at most len(p) bytes, and io.EOF at the end of the file.
func (f File) Read(p []byte) (int, error) {
	n, err := retryInt(func() (int, error) { return unix.Read(int(f), p) })
	if err == nil && n == 0 && len(p) > 0 {
		err = io.EOF
	}
	return max(n, 0), err
}

// ReadAt fills p from offset on, or fails with io.EOF where the file is shorter.
func (f File) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		m, err := retryInt(func() (int, error) { return unix.Pread(int(f), p[n:], offset+int64(n)) })
		if err == nil && m == 0 {
			err = io.EOF
		}
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

// Close closes the descriptor.
func (f File) Close() error { return Close(int(f)) }

// IsTerminal reports whether f is a terminal, which knows its own settings.
func (f File) IsTerminal() bool {
	_, err := unix.IoctlGetTermios(int(f), unix.TCGETS)
	return err == nil
}

// OpenPath opens a path of this process's own view with the flags of open(2)
// and O_CLOEXEC.
func OpenPath(path string, flags int) (File, error) {
	fd, err := retryInt(func() (int, error) { return unix.Open(path, flags|unix.O_CLOEXEC, 0) })
	return File(fd), pathError("open", path, err)
}

// Exists returns nil when there is something at a path of this process's own
// view, and fs.ErrNotExist when there is not. Links are followed.
func Exists(path string) error {
	var st unix.Stat_t
	return pathError("stat", path, retry(func() error { return unix.Stat(path, &st) }))
}
