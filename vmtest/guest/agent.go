package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ebb-nix/ebb/vmtest/internal/wire"
)

const (
	// portWait bounds the wait for the virtio port: the kernel has it before the first process, but its device node may
	// come later, and the agent of the stage before may still hold it.
	portWait = 60 * time.Second
	portPoll = 20 * time.Millisecond
)

// serve announces the stage and runs what the host asks for until the port is closed.
func serve(stage string) error {
	port, err := openPort()
	if err != nil {
		return err
	}
	defer port.Close()
	out := &sender{w: port}
	if err := greet(out, stage); err != nil {
		return err
	}
	stopped, resumed := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	signal.Notify(resumed, syscall.SIGHUP)
	ended := make(chan error, 1)
	go func() { ended <- answer(bufio.NewReader(port), out) }()
	for {
		select {
		case <-stopped:
			return out.send(wire.Message{Bye: true})
		case <-resumed:
			// The host of a machine that was hibernated is another one, and knows of no agent.
			if err := greet(out, stage); err != nil {
				return err
			}
		case err := <-ended:
			return err
		}
	}
}

// greet tells the host that somebody listens.
func greet(out *sender, stage string) error {
	hello, err := newHello(stage)
	if err != nil {
		return err
	}
	return out.send(wire.Message{Hello: hello})
}

// answer reads requests and runs each beside the others, so that a command that hangs holds nobody up.
func answer(in *bufio.Reader, out *sender) error {
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		var req wire.Request
		if json.Unmarshal(line, &req) != nil || len(req.Argv) == 0 {
			continue // the rest of a line that was meant for the agent before
		}
		go func() {
			reply := execute(req)
			if err := out.send(wire.Message{Reply: reply}); err != nil {
				fmt.Fprintf(os.Stderr, "<3>vmtest: reply to %q: %v\n", req.Argv, err)
			}
		}()
	}
}

func execute(req wire.Request) *wire.Reply {
	cmd := exec.Command(req.Argv[0], req.Argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(req.Stdin), &stdout, &stderr
	err := cmd.Run()
	reply := &wire.Reply{ID: req.ID, Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		reply.Status = exit.ExitCode()
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			reply.Status = 128 + int(ws.Signal())
		}
	case err != nil:
		reply.Status, reply.Error = 127, err.Error()
	}
	return reply
}

// sender writes whole lines, one at a time.
type sender struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sender) send(m wire.Message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The newline in front ends whatever an agent that was killed in the middle of a line has left.
	_, err = s.w.Write(append(append([]byte{'\n'}, line...), '\n'))
	return err
}

func newHello(stage string) (*wire.Hello, error) {
	bootID, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return nil, err
	}
	hello := &wire.Hello{Stage: stage, BootID: strings.TrimSpace(string(bootID))}
	if _, err := fmt.Sscan(string(uptime), &hello.Uptime); err != nil {
		return nil, fmt.Errorf("parse /proc/uptime: %w", err)
	}
	return hello, nil
}

func openPort() (*os.File, error) {
	deadline := time.Now().Add(portWait)
	for {
		port, err := tryPort("/sys/class/virtio-ports", "/dev")
		if err == nil {
			return port, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("open virtio port %s, waited %v: %w", wire.PortName, portWait, err)
		}
		time.Sleep(portPoll)
	}
}

// tryPort opens the device of the port that has the agreed name.
func tryPort(class, dev string) (*os.File, error) {
	names, err := filepath.Glob(filepath.Join(class, "*", "name"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(string(text)) == wire.PortName {
			return os.OpenFile(filepath.Join(dev, filepath.Base(filepath.Dir(name))), os.O_RDWR, 0)
		}
	}
	return nil, os.ErrNotExist
}
