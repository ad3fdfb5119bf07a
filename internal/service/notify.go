// Package service talks to the service manager that has started this process.
package service

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
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
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return format.Errorf("notify service manager: %w", err)
	}
	defer unix.Close(socket)
	var control []byte
	if len(fds) > 0 {
		control = unix.UnixRights(fds...)
	}
	if err := unix.Sendmsg(socket, []byte(message), control, &unix.SockaddrUnix{Name: address}, 0); err != nil {
		return format.Errorf("notify service manager: %w", err)
	}
	return nil
}
