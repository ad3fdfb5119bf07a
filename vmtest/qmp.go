package vmtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// qmp speaks QEMU's machine protocol, see docs/interop/qmp-spec.rst of QEMU.
type qmp struct {
	conn io.ReadWriter
	// event is called with the name and the data of each event.
	event func(name string, data json.RawMessage)

	mu      sync.Mutex // one command at a time
	answers chan qmpMessage
	// ended is closed when the connection is, and all that came by it has been seen.
	ended chan struct{}
}

func newQMP(conn io.ReadWriter, event func(string, json.RawMessage)) *qmp {
	return &qmp{conn: conn, event: event, answers: make(chan qmpMessage), ended: make(chan struct{})}
}

// qmpMessage is any of QEMU's messages: greeting, event, or the answer to a command.
type qmpMessage struct {
	Event  string          `json:"event"`
	Data   json.RawMessage `json:"data"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// errQMPClosed is the end of QEMU before its answer.
var errQMPClosed = errors.New("QEMU closed its control connection")

// listen reads messages until QEMU ends.
func (q *qmp) listen() {
	defer close(q.ended)
	defer close(q.answers)
	in := bufio.NewReader(q.conn)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var m qmpMessage
		if json.Unmarshal(line, &m) != nil {
			continue
		}
		switch {
		case m.Event != "":
			q.event(m.Event, m.Data)
		case m.Return != nil || m.Error != nil:
			q.answers <- m
		}
	}
}

// execute runs a command and returns its answer.
func (q *qmp) execute(command string, arguments any) (json.RawMessage, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	line, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("QEMU command %s: %w", command, err)
	}
	if _, err := q.conn.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("QEMU command %s: %w", command, err)
	}
	m, ok := <-q.answers
	switch {
	case !ok:
		return nil, fmt.Errorf("QEMU command %s: %w", command, errQMPClosed)
	case m.Error != nil:
		return nil, fmt.Errorf("QEMU command %s: %s: %s", command, m.Error.Class, m.Error.Desc)
	}
	return m.Return, nil
}
