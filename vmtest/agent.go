package vmtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/ebb-nix/ebb/vmtest/internal/wire"
)

// Result is the end of a command in the machine.
type Result struct {
	Argv []string
	// Status is the exit status, or 128 plus the number of the signal that ended the command.
	Status         int
	Stdout, Stderr string
}

// Err is nil when the command ended well, and otherwise tells all about it.
func (r Result) Err() error {
	if r.Status == 0 {
		return nil
	}
	return fmt.Errorf("%s: status %d\nstdout: %s\nstderr: %s", strings.Join(r.Argv, " "), r.Status, r.Stdout, r.Stderr)
}

// errAgentGone is an agent that ended before its command did.
var errAgentGone = errors.New("the agent went away")

// agent is the host's end of the line to the agents in the machine, of which one is there at a time.
type agent struct {
	state *bootState
	conn  io.ReadWriter

	mu      sync.Mutex
	nextID  uint64
	pending map[uint64]chan wire.Reply
}

func newAgent(conn io.ReadWriter, state *bootState) *agent {
	return &agent{state: state, conn: conn, pending: map[uint64]chan wire.Reply{}}
}

// listen reads messages until the line is closed.
func (a *agent) listen() {
	in := bufio.NewReader(a.conn)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			a.drop()
			return
		}
		var m wire.Message
		if json.Unmarshal(bytes.TrimSpace(line), &m) != nil {
			continue // the beginning of a line whose writer was killed
		}
		switch {
		case m.Hello != nil:
			a.drop()
			a.state.update(func() { a.state.hellos, a.state.listening = append(a.state.hellos, *m.Hello), true })
		case m.Bye:
			a.drop()
			a.state.update(func() { a.state.listening = false })
		case m.Reply != nil:
			a.deliver(*m.Reply)
		}
	}
}

// drop gives up all commands of the agent before.
func (a *agent) drop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, reply := range a.pending {
		close(reply)
		delete(a.pending, id)
	}
}

func (a *agent) deliver(r wire.Reply) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if reply, ok := a.pending[r.ID]; ok {
		reply <- r // has room for one
		delete(a.pending, r.ID)
	}
}

// run runs a command in the machine, as soon as somebody there listens, and waits for its end. An error means that
// there is no result; a command that fails is a result.
func (a *agent) run(ctx context.Context, stdin string, argv []string) (Result, error) {
	if err := a.state.wait(ctx, listening()); err != nil {
		return Result{}, fmt.Errorf("run %q: wait for %s: %w", argv, listening(), err)
	}
	reply, err := a.send(stdin, argv)
	if err != nil {
		return Result{}, fmt.Errorf("run %q: %w", argv, err)
	}
	select {
	case r, ok := <-reply:
		if !ok {
			return Result{}, fmt.Errorf("run %q: %w", argv, errAgentGone)
		}
		if r.Error != "" {
			return Result{}, fmt.Errorf("run %q: %s", argv, r.Error)
		}
		return Result{Argv: argv, Status: r.Status, Stdout: string(r.Stdout), Stderr: string(r.Stderr)}, nil
	case <-ctx.Done():
		return Result{}, fmt.Errorf("run %q: %w", argv, context.Cause(ctx))
	}
}

func (a *agent) send(stdin string, argv []string) (<-chan wire.Reply, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nextID++
	line, err := json.Marshal(wire.Request{ID: a.nextID, Argv: argv, Stdin: []byte(stdin)})
	if err != nil {
		return nil, err
	}
	if _, err := a.conn.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	reply := make(chan wire.Reply, 1)
	a.pending[a.nextID] = reply
	return reply, nil
}
