package sys

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// retry calls f until it ends with something else than EINTR. The Go runtime
// preempts with SIGURG (SA_RESTART does not cover every call, signal(7)), so
// an interrupted call is an ordinary event and not an error.
func retry(f func() error) error {
	for {
		err := f()
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Retry calls f until it ends with something else than EINTR.
func Retry(f func() error) error { return retry(f) }

// retryInt is retry for calls that return a number, a new descriptor mostly.
func retryInt(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// pathError wraps a non-nil err; a nil err stays nil.
func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
