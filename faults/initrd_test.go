package faults

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/initrd"
)

// stage1 is what a process in an initrd has around it, and others have not: the
// file by which it knows, a console, a kernel log, and a service manager that
// takes messages and descriptors.
type stage1 struct {
	socket int // of the service manager, -1 before the first case
}

// surround makes the surroundings of one case, in its mount namespace, with a
// service manager that has not heard a word yet.
func (s *stage1) surround(t *testing.T, m *machine) {
	t.Helper()
	require(t, os.MkdirAll(m.path("etc"), 0o755))
	for _, name := range []string{"etc/initrd-release", "console", "kmsg"} {
		require(t, os.WriteFile(m.path(name), nil, 0o600))
	}
	require(t, unix.Mount(m.path("etc"), "/etc", "", unix.MS_BIND, ""))
	require(t, unix.Mount(m.path("console"), "/dev/console", "", unix.MS_BIND, ""))
	require(t, unix.Mount(m.path("kmsg"), "/dev/kmsg", "", unix.MS_BIND, ""))
	s.close()
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require(t, err)
	s.socket = socket
	// The kernel gives an abstract name that is nobody else's (unix(7), Autobind).
	require(t, unix.Bind(socket, &unix.SockaddrUnix{}))
	address, err := unix.Getsockname(socket)
	require(t, err)
	m.environment = []string{"NOTIFY_SOCKET=" + address.(*unix.SockaddrUnix).Name}
}

func (s *stage1) close() {
	if s.socket >= 0 {
		unix.Close(s.socket)
	}
	s.socket = -1
}

// stored returns how often the service manager was given the top level of the
// file system to be kept open since it was last asked.
func (s *stage1) stored(t *testing.T) (times int) {
	t.Helper()
	for {
		message, control := make([]byte, 256), make([]byte, 256)
		n, length, _, _, err := unix.Recvmsg(s.socket, message, control, unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EAGAIN) {
			return times
		}
		require(t, err)
		if text := string(message[:n]); text != "FDSTORE=1\nFDNAME=ebb-top-level" {
			t.Errorf("the service manager is told %q", text)
		}
		times += topLevels(t, control[:length])
	}
}

// topLevels counts the descriptors that came along, closes them, and demands
// that each is the top level of a btrfs.
func topLevels(t *testing.T, control []byte) (count int) {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(control)
	require(t, err)
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		require(t, err)
		for _, fd := range fds {
			info, err := btrfs.Info(fd)
			if err != nil || info.ID != topID {
				t.Errorf("what is to be kept open is subvolume %d (%v)", info.ID, err)
			}
			unix.Close(fd)
			count++
		}
	}
	return count
}

// judge: a rollback that has ended well has had the file system kept open, or
// tells in its record that this has failed.
func (s *stage1) judge(t *testing.T, m *machine, o *outcome) {
	t.Helper()
	stored, record := s.stored(t), m.record(t)
	if o.Killed || o.Status != 0 {
		return
	}
	isTold := record != nil && record.Rollback != nil && tellsOf(record.Rollback.Problems, "keep the file system open")
	mayFail := o.fault != nil && o.fault.Errno != unix.EINTR && (o.call.Name == "socket" || o.call.Name == "sendmsg")
	if isTold != (stored == 0) || isTold && !mayFail {
		t.Errorf("kept open %d times, told as a problem: %v\n%s", stored, isTold, o.Output)
	}
}

func tellsOf(problems []initrd.Problem, what string) bool {
	for _, p := range problems {
		if strings.Contains(p.Text, what) {
			return true
		}
	}
	return false
}

// TestRollbackInInitrd sweeps over every call of a rollback as the service
// manager of an initrd starts it: with a console, a journal, and somebody who
// keeps the file system open.
func TestRollbackInInitrd(t *testing.T) {
	t.Parallel()
	s := scenario{specs: append([]string{"subvolume @"}, blankTree...), boots: 1, goOn: true}
	d := newDisk(t)
	d.members = []member{fromBlank}
	m := newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, d.Device()))
	around := &stage1{socket: -1}
	t.Cleanup(around.close)
	var before []string
	sweep := sweeper{
		command: func(t *testing.T) *tracer.Command {
			around.surround(t, m)
			s.prepare(t, m)
			around.stored(t)
			before = m.mounts(t)
			c := m.ebb("rollback")
			c.Journal = true
			return c
		},
		judge: func(t *testing.T, o *outcome) {
			around.judge(t, m, o)
			m.wantConsole(t, o)
			m.judgeRollback(t, o, before)
		},
	}
	sweep.run(t)
}

// wantConsole: nothing but what is wrong goes to the console, and each word of
// that, unless it is the console that is broken.
func (m *machine) wantConsole(t *testing.T, o *outcome) {
	t.Helper()
	text, err := os.ReadFile(m.path("console"))
	require(t, err)
	isEither := o.fault != nil && o.fault.Errno != unix.EINTR && (o.call.Name == "fstat" || strings.Contains(o.call.Text, "/dev/console") ||
		strings.Contains(o.call.Text, "/etc/initrd-release"))
	if o.Killed || isEither {
		return // it did not know where it is
	}
	if strings.Contains(o.Output, "ebb: ") {
		t.Errorf("the journal is written to as if it were a terminal:\n%s", o.Output)
	}
	if o.Status != 0 && len(text) == 0 {
		t.Errorf("status %d, and nothing on the console", o.Status)
	}
}

// TestMountInInitrd sweeps over calls of bringing entries in where there is no
// journal: what it does goes to the kernel log, and what is wrong to the console.
func TestMountInInitrd(t *testing.T) {
	t.Parallel()
	m := newMounting(t)
	m.around = &stage1{socket: -1}
	t.Cleanup(m.around.close)
	sweep := sweeper{
		command: func(t *testing.T) *tracer.Command {
			c := m.prepare(t)
			require(t, os.Truncate(m.path("kmsg"), 0))
			return c
		},
		judge: func(t *testing.T, o *outcome) {
			m.wantKernelLog(t, o)
			m.judge(t, o)
		},
		sample: true, few: true, always: func(c *tracer.Call) bool { return isOfStage1(c) && c.Name != "write" },
	}
	sweep.run(t)
}

// isOfStage1: calls that are made in an initrd and nowhere else.
func isOfStage1(c *tracer.Call) bool {
	return strings.Contains(c.Text, "/dev/kmsg") || strings.Contains(c.Text, "/dev/console") || strings.Contains(c.Text, "/etc/initrd-release")
}

// wantKernelLog demands that the kernel log has each line that was printed.
func (m *machine) wantKernelLog(t *testing.T, o *outcome) {
	t.Helper()
	data, err := os.ReadFile(m.path("kmsg"))
	require(t, err)
	if o.Killed || o.fault != nil && o.fault.Errno != unix.EINTR && (isOfStage1(o.call) || o.call.Name == "fstat") {
		return // it does not know where it is, or cannot write there
	}
	for line := range strings.Lines(o.Output) {
		if !strings.Contains(string(data), ">"+line) {
			t.Errorf("the kernel log does not have %q", line)
		}
	}
}
