package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// namespaceVariable marks the copy of the test binary that runs in namespaces
// of its own.
const namespaceVariable = "EBB_TEST_IN_NAMESPACES"

// RunInNamespaces runs the tests in a mount namespace of its own, so that they
// can mount without leaving anything behind, and returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(testenv.RunInNamespaces(m)) }
//
// The test binary runs itself again with CLONE_NEWNS and, unless it is run by
// root, CLONE_NEWUSER with the caller mapped to root (the only mapped uid and
// gid). All mounts are made private there. Where namespaces cannot be made the
// tests run without, and those that call Need(t, TierNamespaces) are skipped.
func RunInNamespaces(m *testing.M) int {
	if os.Getenv(namespaceVariable) != "" {
		return runInside(m)
	}
	code, err := runAgain()
	if err != nil {
		fmt.Fprintf(os.Stderr, "testenv: tests run without namespaces: %v\n", err)
		return m.Run()
	}
	return code
}

// runInside is the part in the new namespaces.
func runInside(m *testing.M) int {
	// The flags of the copied mounts are locked in a user namespace, but their
	// propagation may be changed.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		fmt.Fprintf(os.Stderr, "testenv: make all mounts private: %v\n", err)
		return 1
	}
	return m.Run()
}

// runAgain runs this program with the same arguments in new namespaces. An
// error means that it could not be started.
func runAgain() (int, error) {
	// The death signal is sent when the thread that started the child ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Args[0] = os.Args[0]
	command.Env = append(os.Environ(), namespaceVariable+"=1")
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = namespaceAttributes(os.Geteuid(), os.Getegid())
	if err := command.Start(); err != nil {
		return 0, err
	}
	err := command.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	}
	fmt.Fprintf(os.Stderr, "testenv: tests in namespaces: %v\n", err)
	return 1, nil
}

func namespaceAttributes(uid, gid int) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	if uid != 0 {
		attributes.Cloneflags |= unix.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	}
	return attributes
}
