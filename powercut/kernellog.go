package powercut

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// kernelLog is /dev/kmsg, open. Each read returns one record, EAGAIN behind the
// last one, EPIPE where some were overwritten.
type kernelLog struct{ fd int }

func openKernelLog() (kernelLog, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	return kernelLog{fd}, err
}

func (l kernelLog) close() error { return unix.Close(l.fd) }

// skip leaves out what the kernel has said until now.
func (l kernelLog) skip() { _, _ = unix.Seek(l.fd, 0, unix.SEEK_END) }

// about returns what the kernel has said since about a device, a line each.
func (l kernelLog) about(device string) string {
	var lines []string
	buffer := make([]byte, 8192)
	for {
		n, err := unix.Read(l.fd, buffer)
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return strings.Join(lines, "\n")
		}
		record, _, _ := strings.Cut(string(buffer[:n]), "\n")
		if _, text, ok := strings.Cut(record, ";"); ok && strings.Contains(text, device+")") {
			lines = append(lines, text)
		}
	}
}
