package powercut

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
)

// changingCalls are the system calls that change a file system.
var changingCalls = []uint32{
	unix.SYS_RENAMEAT2, unix.SYS_IOCTL, unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_SYMLINKAT, unix.SYS_LINKAT,
	unix.SYS_MKNODAT, unix.SYS_WRITE, unix.SYS_FTRUNCATE, unix.SYS_FSYNC, unix.SYS_SYNCFS, unix.SYS_FCHMOD,
	unix.SYS_FCHMODAT, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_FSETXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_UTIMENSAT,
}

// interrupted does something in a thread of its own, and calls before when that
// is about to make one of the changing calls. The kernel tells of them and has
// the thread wait (seccomp_unotify(2), Linux 5.5 for going on with the call).
func interrupted(do, before func() error) error {
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	defer unix.Close(end)
	listener, done := make(chan int), make(chan error, 1)
	go func() {
		// Never unlocked, so nobody else gets the thread and its filter.
		runtime.LockOSThread()
		fd, err := listen()
		if err != nil {
			close(listener)
			done <- err
			return
		}
		listener <- fd
		done <- do()
	}()
	fd, ok := <-listener
	if !ok {
		return <-done
	}
	stopped := make(chan error, 1)
	go func() { stopped <- answerCalls(fd, end, before) }()
	err = <-done
	_, endErr := unix.Write(end, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	return errors.Join(err, endErr, <-stopped, unix.Close(fd))
}

// Of linux/seccomp.h; x/sys has the other half of them.
const (
	seccompSetModeFilter = 1
	seccompNewListener   = 1 << 3
	seccompAllow         = 0x7fff0000
	seccompNotify        = 0x7fc00000
	seccompContinue      = 1
	seccompReceive       = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	seccompSend          = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
)

// listen has the kernel tell of the changing calls of this thread.
func listen() (int, error) {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // the number is at offset 0
	for i, number := range changingCalls {
		filter = append(filter, unix.SockFilter{
			Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jt: uint8(len(changingCalls) - i),
		})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET, K: seccompAllow}, unix.SockFilter{Code: unix.BPF_RET, K: seccompNotify})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, seccompSetModeFilter, seccompNewListener, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return -1, fmt.Errorf("seccomp: %w", errno)
	}
	return int(fd), nil
}

// callNotice is struct seccomp_notif, callAnswer struct seccomp_notif_resp.
type (
	callNotice struct {
		id         uint64
		pid, flags uint32
		data       [64]byte
	}
	callAnswer struct {
		id    uint64
		value int64
		errno int32
		flags uint32
	}
)

// answerCalls lets each call go on once before is over, until end can be read.
func answerCalls(listener, end int, before func() error) (failed error) {
	for {
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}, {Fd: int32(end), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if poll[1].Revents != 0 {
			return failed
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			// The thread is gone. Before Linux 6.11 to receive waits for ever then.
			listener = -1
			continue
		}
		var notice callNotice
		if err := callIoctl(listener, seccompReceive, unsafe.Pointer(&notice)); err != nil {
			continue // the call was interrupted by a signal, and comes again
		}
		failed = errors.Join(failed, before())
		answer := callAnswer{id: notice.id, flags: seccompContinue}
		if err := callIoctl(listener, seccompSend, unsafe.Pointer(&answer)); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("SECCOMP_IOCTL_NOTIF_SEND: %w", err)
		}
	}
}

func callIoctl(fd int, request uintptr, argument unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument))
	if errno != 0 {
		return errno
	}
	return nil
}

// committed is a subvolume that is there for [machine.committer] alone.
const committed = "@committed"

// committer returns a function that commits as btrfs does by itself every some
// seconds, which is less than syncfs(2) does: data that waits to be written is
// not flushed. Changing a subvolume's flag commits so. (BTRFS_IOC_START_SYNC may
// wait for the thread that commits every some seconds, commit= of them.)
func (m *machine) committer() (commit func() error, end func() error, err error) {
	fd, err := openDirectory(m.top(committed))
	if err != nil {
		return nil, nil, err
	}
	flags, err := btrfs.GetFlags(fd)
	if err != nil {
		return nil, nil, errors.Join(err, unix.Close(fd))
	}
	readOnly := flags.IsReadOnly()
	commit = func() error {
		readOnly = !readOnly
		return btrfs.SetReadOnly(fd, readOnly)
	}
	return commit, func() error { return unix.Close(fd) }, nil
}
