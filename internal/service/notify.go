// Package service talks to the service manager that has started this process.
package service

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// socketVariable names the socket that the service manager listens on.
const socketVariable = "NOTIFY_SOCKET"

// Notify sends a message to the service manager, "READY=1" say, with
// descriptors that go along with it. Without a service manager it does
// nothing. sd_notify(3).
func Notify(message string, fds ...int) error {
	address, _ := unix.Getenv(socketVariable)
	if address == "" {
		return nil
	}
	if name, abstract := strings.CutPrefix(address, "@"); abstract {
		address = "\x00" + name
	}
	var socket int
	if err := sys.Retry(func() (err error) {
		socket, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}); err != nil {
		return format.Errorf("notify service manager: %w", err)
	}
	defer unix.Close(socket)
	var control []byte
	if len(fds) > 0 {
		control = unix.UnixRights(fds...)
	}
	to := &unix.SockaddrUnix{Name: address}
	if err := sys.Retry(func() error { return unix.Sendmsg(socket, []byte(message), control, to, 0) }); err != nil {
		return format.Errorf("notify service manager: %w", err)
	}
	return nil
}
