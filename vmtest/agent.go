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

// errNoAgent is a command while nobody in the machine listens.
var errNoAgent = errors.New("no agent is up in the machine")

// errAgentGone is an agent that ended before its command did.
var errAgentGone = errors.New("the agent went away")

// agent is the host's end of the line to the agents in the machine, of which one is there at a time.
type agent struct {
	state *bootState
	conn  io.ReadWriter

	mu      sync.Mutex
	up      bool
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
			a.drop(false)
			return
		}
		var m wire.Message
		if json.Unmarshal(bytes.TrimSpace(line), &m) != nil {
			continue // the beginning of a line whose writer was killed
		}
		switch {
		case m.Hello != nil:
			a.drop(true)
			a.state.update(func() { a.state.hellos = append(a.state.hellos, *m.Hello) })
		case m.Reply != nil:
			a.deliver(*m.Reply)
		}
	}
}

// drop gives up all commands of the agent before.
func (a *agent) drop(up bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, reply := range a.pending {
		close(reply)
		delete(a.pending, id)
	}
	a.up = up
}

func (a *agent) deliver(r wire.Reply) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if reply, ok := a.pending[r.ID]; ok {
		reply <- r // has room for one
		delete(a.pending, r.ID)
	}
}

// run runs a command in the machine and waits for its end. An error means that there is no result; a command that fails
// is a result.
func (a *agent) run(ctx context.Context, stdin string, argv []string) (Result, error) {
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
	if !a.up {
		return nil, errNoAgent
	}
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
