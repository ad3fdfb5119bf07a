package tracer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Command is a program to be run.
type Command struct {
	Path        string
	Arguments   []string // without the name
	Environment []string
	// Names shortens what is shown of paths: what differs from run to run, a
	// temporary directory say, is replaced by a name that does not.
	Names *strings.Replacer
	// Clock is what the program takes for the time of one of its clocks (CLOCK_REALTIME
	// is the time of day), if it is set and says ok.
	Clock func(id uint64) (now unix.Timespec, ok bool)
	// Journal tells the program that its output goes to the journal, as a
	// service manager does (systemd.exec(5), $JOURNAL_STREAM).
	Journal bool
	// FollowLinks takes all that keeps the program from following links off
	// its calls: the same program, but weak.
	FollowLinks bool
}

// Call is one counted system call, as it is about to be made.
type Call struct {
	Number int    // from 1
	Name   string // "renameat2"
	Text   string // with its arguments

	// Changes says that the call can change something outside the process:
	// with O_CREAT that is opening a file, too.
	Changes bool
}

// Action is what becomes of a call.
type Action int

// The actions.
const (
	Go         Action = iota // nothing happens to it
	KillBefore               // the program is killed, the call is not made
	KillAfter                // the call is made, then the program is killed
	Fail                     // the call is not made and returns an error
	FailLate                 // the call is made and returns an error
)

// Fault is what is to happen to one call.
type Fault struct {
	Action Action
	Errno  unix.Errno
	// Last: the program runs on by itself after this, and its calls are not
	// listed any more.
	Last bool
}

// Result is how a run ended.
type Result struct {
	Calls  []Call
	Killed bool
	Status int // exit status, -1 when killed
	Output string
}

// Run runs a command. Each counted call is shown to interfere, while the whole
// program is stopped at it. The caller's goroutine has to be locked to its
// thread (ptrace(2): a tracee has one thread as its tracer).
func Run(c *Command, interfere func(*Call) Fault) (*Result, error) {
	output, err := newOutput()
	if err != nil {
		return nil, err
	}
	defer output.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	environment := slices.Concat(c.Environment, []string{calmRuntime}, forCounters())
	if c.Journal {
		stream, err := journalStream(output)
		if err != nil {
			return nil, err
		}
		environment = append(environment, stream)
	}
	pid, err := syscall.ForkExec(c.Path, append([]string{filepath.Base(c.Path)}, c.Arguments...), &syscall.ProcAttr{
		Env: environment, Files: []uintptr{0, output.Fd(), output.Fd()},
		Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: unix.SIGKILL},
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	r := &run{command: c, interfere: interfere, pid: pid, threads: map[int]*thread{}}
	if err := r.trace(); err != nil {
		return nil, errors.Join(fmt.Errorf("trace %s: %w", c.Path, err), r.end())
	}
	if _, err := output.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(output)
	r.result.Output = string(text)
	return &r.result, err
}

// calmRuntime keeps the Go runtime from signals that interrupt calls, and from
// looking at its limits every now and then: runs are to be alike.
const calmRuntime = "GODEBUG=asyncpreemptoff=1,containermaxprocs=0,updatemaxprocs=0"

// newOutput returns a file in memory: unlike a pipe it never blocks who writes.
func newOutput() (*os.File, error) {
	fd, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	return os.NewFile(uintptr(fd), "output"), nil
}

// journalStream is the variable that names a file as the journal's.
func journalStream(output *os.File) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(output.Fd()), &st); err != nil {
		return "", fmt.Errorf("fstat: %w", err)
	}
	return fmt.Sprintf("JOURNAL_STREAM=%d:%d", st.Dev, st.Ino), nil
}

// run is one run of a program.
type run struct {
	command   *Command
	interfere func(*Call) Fault
	pid       int
	threads   map[int]*thread
	started   bool // umask(2), the first call of main, was seen
	last      bool // no more calls are looked at
	result    Result
}

// thread is where a thread of the program stands.
type thread struct {
	inCall  bool // between the two stops of a system call
	fault   Fault
	clock   uint64 // where the time is to be put, 0 outside of a question for it
	clockID uint64
}

// waitOptions: all threads, and only those that this thread has started, not
// the children of other tests.
const waitOptions = unix.WALL | unix.WNOTHREAD

func (r *run) trace() error {
	var status unix.WaitStatus
	if _, err := wait(r.pid, &status); err != nil {
		return err
	}
	if !status.Stopped() {
		return fmt.Errorf("did not stop at its begin: %#x", uint32(status))
	}
	options := unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(r.pid, options); err != nil {
		return fmt.Errorf("PTRACE_SETOPTIONS: %w", err)
	}
	if r.command.Clock != nil {
		if err := hideVDSO(r.pid); err != nil {
			return err
		}
	}
	r.threads[r.pid] = &thread{}
	if err := unix.PtraceSyscall(r.pid, 0); err != nil {
		return err
	}
	for {
		tid, err := wait(-1, &status)
		if err != nil {
			return err
		}
		if status.Exited() || status.Signaled() {
			delete(r.threads, tid)
			if tid == r.pid { // reported when all others are gone
				r.ended(status)
				return nil
			}
			continue
		}
		signal, err := r.stopped(tid, status)
		if err != nil {
			return err
		}
		// ESRCH: it was killed meanwhile, the next wait tells.
		if err := r.resume(tid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("go on: %w", err)
		}
	}
}

// resume lets a thread run up to its next stop.
func (r *run) resume(tid, signal int) error {
	if t := r.threads[tid]; r.last && r.command.Clock == nil && (t == nil || !t.inCall) {
		return unix.PtraceCont(tid, signal)
	}
	return unix.PtraceSyscall(tid, signal)
}

func wait(pid int, status *unix.WaitStatus) (int, error) {
	for {
		tid, err := unix.Wait4(pid, status, waitOptions, nil)
		if !errors.Is(err, unix.EINTR) {
			return tid, err
		}
	}
}

func (r *run) ended(status unix.WaitStatus) {
	r.result.Status = -1
	if status.Exited() {
		r.result.Status = status.ExitStatus()
	}
	r.result.Killed = status.Signaled()
}

// end leaves no process behind after an error of the tracer itself.
func (r *run) end() error {
	if err := unix.Kill(r.pid, unix.SIGKILL); err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		tid, err := wait(-1, &status)
		if err != nil || tid == r.pid && !status.Stopped() {
			return nil
		}
	}
}

// stopped deals with one stop of a thread and returns the signal to go on with.
func (r *run) stopped(tid int, status unix.WaitStatus) (signal int, err error) {
	t, known := r.threads[tid]
	if !known {
		t = &thread{}
		r.threads[tid] = t
		if status.StopSignal() == unix.SIGSTOP {
			return 0, nil // the first stop of a new thread
		}
	}
	switch {
	case status.StopSignal() == unix.SIGTRAP|0x80:
		t.inCall = !t.inCall
		if t.inCall {
			err = r.enter(tid, t)
		} else {
			err = r.leave(tid, t)
		}
		if errors.Is(err, unix.ESRCH) {
			err = nil // killed meanwhile
		}
		return 0, err
	case status.StopSignal() == unix.SIGTRAP:
		return 0, nil // PTRACE_EVENT_CLONE
	}
	return int(status.StopSignal()), nil
}

// enter is the begin of a call.
func (r *run) enter(tid int, t *thread) error {
	t.fault, t.clock = Fault{}, 0
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	if r.command.Clock != nil && regs.Orig_rax == unix.SYS_CLOCK_GETTIME {
		t.clock, t.clockID = regs.Rsi, regs.Rdi
	}
	if r.command.FollowLinks {
		if err := followLinks(tid, &regs); err != nil {
			return err
		}
	}
	if r.last {
		return nil
	}
	if !r.started {
		r.started = regs.Orig_rax == unix.SYS_UMASK
		return nil
	}
	how, isCounted := counted[regs.Orig_rax]
	if !isCounted {
		if _, isRuntime := runtimeOnly[regs.Orig_rax]; !isRuntime {
			return fmt.Errorf("system call %d is in no table of calls.go", regs.Orig_rax)
		}
		return nil
	}
	if writesCounters(tid, how, &regs) {
		r.last = true
		return nil
	}
	r.result.Calls = append(r.result.Calls, Call{
		Number: len(r.result.Calls) + 1, Name: how.name,
		Text:    how.name + "(" + strings.Join(r.show(tid, how, &regs), ", ") + ")",
		Changes: changing[how.name] || how.name == "openat2" && readWord(tid, regs.Rdx)&unix.O_CREAT != 0,
	})
	t.fault = r.interfere(&r.result.Calls[len(r.result.Calls)-1])
	r.last = t.fault.Last
	if t.fault.Action == Fail && how.late {
		t.fault.Action = FailLate
	}
	switch t.fault.Action {
	case KillBefore:
		// Not made at all: -1 is no system call.
		regs.Orig_rax = ^uint64(0)
		return errors.Join(unix.PtraceSetRegs(tid, &regs), unix.Kill(r.pid, unix.SIGKILL))
	case Fail:
		regs.Orig_rax = ^uint64(0)
		return unix.PtraceSetRegs(tid, &regs)
	}
	return nil
}

// leave is the end of a call.
func (r *run) leave(tid int, t *thread) error {
	if t.clock != 0 {
		if now, ok := r.command.Clock(t.clockID); ok {
			return writeTime(tid, t.clock, now)
		}
		return nil
	}
	switch t.fault.Action {
	case KillAfter:
		return unix.Kill(r.pid, unix.SIGKILL)
	case Fail, FailLate:
		var regs unix.PtraceRegs
		if err := unix.PtraceGetRegs(tid, &regs); err != nil {
			return err
		}
		regs.Rax = uint64(-int64(t.fault.Errno))
		return unix.PtraceSetRegs(tid, &regs)
	}
	return nil
}
