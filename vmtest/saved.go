package vmtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ebb-nix/ebb/vmtest/internal/wire"
)

// Saved is the state of a machine at one instant: its memory and its processors, but not its disks. Whoever goes on from
// it must not have had a file system of them mounted.
type Saved struct {
	memory, initrd string
	// hello is the last agent's, if it was listening.
	hello *wire.Hello
}

// statePoll is the time between two questions to QEMU whether it has written or read the state.
const statePoll = 10 * time.Millisecond

// Save stops the machine, keeps its state, and switches it off. The disks are as after a power cut.
func (m *Machine) Save(ctx context.Context) (*Saved, error) {
	if m.vm == nil {
		return nil, fmt.Errorf("save the machine: %w", errNeverBooted)
	}
	dir := m.bootDir()
	s := &Saved{memory: filepath.Join(dir, "memory"), initrd: filepath.Join(dir, "initrd-saved.cpio")}
	m.vm.state.look(func() {
		if m.vm.state.listening {
			s.hello = &m.vm.state.hellos[len(m.vm.state.hellos)-1]
		}
	})
	for _, step := range []func() error{
		func() error { return m.vm.command("stop", nil) },
		func() error {
			return m.vm.command("migrate-set-parameters", map[string]any{"max-bandwidth": int64(1) << 40})
		},
		func() error { return m.vm.command("migrate", map[string]any{"uri": "file:" + s.memory}) },
		func() error { return m.vm.awaitStatus(ctx, "query-migrate", "completed", "failed") },
		m.PowerCut,
		func() error { return os.Rename(m.initrdPath(), s.initrd) }, // a boot removes that of the boot before
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("save the machine: %w", err)
		}
	}
	return s, nil
}

// Restore switches the machine on in a state that was saved. The Config must be the one of that time, the contents of
// the disks may be others. The agent that was listening then listens now.
func (m *Machine) Restore(ctx context.Context, s *Saved) error {
	if m.running() {
		return fmt.Errorf("restore the machine: %w", errRunning)
	}
	dir, err := m.newBootDir()
	if err != nil {
		return fmt.Errorf("restore the machine: %w", err)
	}
	m.restored++
	if err := m.start(ctx, dir, s.initrd, s.memory); err != nil {
		return fmt.Errorf("restore the machine: %w", err)
	}
	if s.hello != nil {
		m.vm.state.update(func() { m.vm.state.hellos, m.vm.state.listening = []wire.Hello{*s.hello}, true })
	}
	err = m.vm.awaitStatus(ctx, "query-status", "paused", "internal-error")
	if err == nil {
		err = m.vm.command("cont", nil)
	}
	if err != nil {
		return fmt.Errorf("restore the machine: %w", errors.Join(err, m.PowerCut()))
	}
	return nil
}

// command gives QEMU a command whose answer says nothing.
func (p *process) command(name string, arguments any) error {
	_, err := p.qmp.execute(name, arguments)
	return err
}

// errStatus is a state of QEMU that does not lead to the one that was wanted.
var errStatus = errors.New("it did not come about")

// awaitStatus asks until the member "status" of the answer is as wanted.
func (p *process) awaitStatus(ctx context.Context, question, want, never string) error {
	for {
		answer, err := p.qmp.execute(question, nil)
		if err != nil {
			return err
		}
		var now struct {
			Status string `json:"status"`
			Error  string `json:"error-desc"`
		}
		if err := json.Unmarshal(answer, &now); err != nil {
			return fmt.Errorf("%s: %w", question, err)
		}
		switch now.Status {
		case want:
			return nil
		case never:
			return fmt.Errorf("%s: %w: %s %s", question, errStatus, now.Status, now.Error)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(statePoll):
		}
	}
}
