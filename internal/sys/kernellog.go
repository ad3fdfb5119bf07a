package sys

import "golang.org/x/sys/unix"

// KernelLog returns the end of what the kernel has logged, each line behind its
// level: "<3>[   12.345] ...". The first line may lack its beginning. syslog(2).
func KernelLog() (string, error) {
	const readAll, enough = 3, 1 << 20 // SYSLOG_ACTION_READ_ALL
	buffer := make([]byte, enough)
	n, err := unix.Klogctl(readAll, buffer)
	if err != nil {
		return "", pathError("read", "kernel log", err)
	}
	return string(buffer[:n]), nil
}
