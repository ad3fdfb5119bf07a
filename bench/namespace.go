package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideVariable marks the copy of this program that runs in a mount namespace
// of its own.
const insideVariable = "EBB_BENCH_INSIDE"

// runInNamespace runs this program again in a mount namespace of its own, so
// that the disk images are mounted nowhere else, and reports whether it did:
// in the copy it does nothing.
func runInNamespace() (again bool, err error) {
	if os.Getenv(insideVariable) != "" {
		return false, makePrivate()
	}
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), insideVariable+"=1")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	return true, c.Run()
}

func makePrivate() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make all mounts private: %w", err)
	}
	return nil
}

// inNewNamespace calls do in a new mount namespace with an empty /run. Its thread
// ends with it, so do must start no goroutine. It goes back first: the namespace
// and what is mounted in it are gone then, and not only when the thread is, which
// the first one of a process never is (see runtime.LockOSThread).
func inNewNamespace(do func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock
		result <- func() (err error) {
			before, err := os.Open("/proc/thread-self/ns/mnt")
			if err != nil {
				return err
			}
			defer before.Close()
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			defer func() {
				if backErr := unix.Setns(int(before.Fd()), unix.CLONE_NEWNS); err == nil && backErr != nil {
					err = fmt.Errorf("go back to the mount namespace before: %w", backErr)
				}
			}()
			if err := makePrivate(); err != nil {
				return err
			}
			if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"); err != nil {
				return fmt.Errorf("mount /run: %w", err)
			}
			return do()
		}()
	}()
	return <-result
}
