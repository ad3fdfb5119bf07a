package vmtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/vmtest/internal/debian"
	"github.com/ebb-nix/ebb/vmtest/internal/wire"
)

// process is a QEMU that runs, or ran.
type process struct {
	cmd     *exec.Cmd
	state   *bootState
	console io.WriteCloser // what is typed on the console
	agent   *agent
	qmp     *qmp
	log     string // file with all of the console
	repeat  string // command for a person
	done    chan struct{}
	// restored: it went on from a saved state.
	restored bool
}

// Numbers of the sockets in QEMU: the first file descriptors after the standard ones, in the order of ExtraFiles.
const (
	agentFD = 3
	qmpFD   = 4
)

// start runs QEMU with its console going to console.log in dir. The process dies with this one.
func start(tools debian.Tree, c commandLine, dir string) (*process, error) {
	repeat := qemuCommand(tools, c)
	c.agentFD, c.qmpFD, c.portName = agentFD, qmpFD, wire.PortName
	p := &process{
		cmd: qemuCommand(tools, c), state: newBootState(), done: make(chan struct{}),
		repeat: shellCommand(repeat.Args), log: filepath.Join(dir, "console.log"), restored: c.incoming != "",
	}
	p.state.restored = p.restored
	logFile, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	p.cmd.Stdout = recorder{state: p.state, file: logFile}
	p.cmd.Stderr = p.cmd.Stdout // what QEMU has to say belongs between the lines of the guest
	if err := p.launch(); err != nil {
		return nil, errors.Join(fmt.Errorf("start QEMU: %w", err), logFile.Close())
	}
	go p.agent.listen()
	go p.qmp.listen()
	go p.reap(logFile)
	if _, err := p.qmp.execute("qmp_capabilities", nil); err != nil {
		return nil, errors.Join(fmt.Errorf("start QEMU: %w", err), p.kill())
	}
	return p, nil
}

func qemuCommand(tools debian.Tree, c commandLine) *exec.Cmd {
	args := []string{"-L", tools.Path("usr/share/qemu"), "-L", tools.Path("usr/share/seabios")}
	// A context would let QEMU die behind the back of the machine. Its end is kill, or that of this process.
	return tools.Command(context.Background(), "usr/bin/qemu-system-x86_64", append(args, c.args()...)...)
}

// launch makes the connections and starts the process.
func (p *process) launch() error {
	agentConn, agentFile, err := socketPair()
	if err != nil {
		return err
	}
	defer agentFile.Close() // QEMU has its own copy then, and the end of QEMU is seen only when this one is closed
	qmpConn, qmpFile, err := socketPair()
	if err != nil {
		return errors.Join(err, agentConn.Close())
	}
	defer qmpFile.Close()
	p.agent = newAgent(agentConn, p.state)
	p.qmp = newQMP(qmpConn, p.onEvent)
	p.cmd.ExtraFiles = []*os.File{agentFile, qmpFile}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.console, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return errors.Join(err, agentConn.Close(), qmpConn.Close())
	}
	return nil
}

func (p *process) onEvent(name string, data json.RawMessage) {
	var shutdown struct {
		Reason string `json:"reason"`
	}
	if name == "SHUTDOWN" && json.Unmarshal(data, &shutdown) == nil {
		p.state.update(func() { p.state.reason = shutdown.Reason })
	}
}

// reap waits for the end of QEMU and of its output.
func (p *process) reap(logFile io.Closer) {
	err := errors.Join(p.cmd.Wait(), logFile.Close())
	<-p.qmp.ended // its last word is the reason
	p.state.update(func() { p.state.off, p.state.offErr = true, err })
	close(p.done)
}

// kill ends QEMU at once, as a power cut, and returns when it is gone.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill QEMU: %w", err)
	}
	<-p.done
	return nil
}

// socketPair returns one connected socket for this process and one for QEMU. There is no path, whose length is limited
// and which somebody else could connect to.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "host"), os.NewFile(uintptr(fds[1]), "qemu")
	defer ours.Close() // FileConn duplicates it
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn, theirs, nil
}
