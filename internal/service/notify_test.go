package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNotify(t *testing.T) {
	for _, address := range []string{filepath.Join(t.TempDir(), "socket"), "@ebb-test-" + filepath.Base(t.TempDir()) + t.Name()} {
		listener, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(listener)
		if err := unix.Bind(listener, &unix.SockaddrUnix{Name: strings.Replace(address, "@", "\x00", 1)}); err != nil {
			t.Fatal(err)
		}
		t.Setenv(socketVariable, address)
		file, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := Notify("FDSTORE=1\nFDNAME=x", int(file.Fd())); err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		message, control := make([]byte, 100), make([]byte, 100)
		n, controlLength, _, _, err := unix.Recvmsg(listener, message, control, 0)
		if err != nil || string(message[:n]) != "FDSTORE=1\nFDNAME=x" || controlLength == 0 {
			t.Errorf("%s: got %q with %d bytes of control, %v", address, message[:n], controlLength, err)
		}
	}
}

func TestNotifyWithoutServiceManager(t *testing.T) {
	t.Setenv(socketVariable, "")
	if err := Notify("READY=1"); err != nil {
		t.Error(err)
	}
	t.Setenv(socketVariable, filepath.Join(t.TempDir(), "nobody"))
	if err := Notify("READY=1"); err == nil {
		t.Error("nobody listens, and there is no error")
	}
}
