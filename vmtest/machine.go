package vmtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ebb-nix/ebb/vmtest/internal/cache"
	"github.com/ebb-nix/ebb/vmtest/internal/disk"
)

// Deadlines, so that a machine that hangs is told from one that is slow: fifty times what an emulated machine needs on
// two quiet cores.
const (
	// BootTimeout is for a boot up to the agent of the running system.
	BootTimeout = 10 * time.Minute
	// CommandTimeout is for a command in the machine.
	CommandTimeout = 5 * time.Minute
	// OffTimeout is for a shutdown.
	OffTimeout = 5 * time.Minute
)

// tailLines is how much of the console an error shows.
const tailLines = 40

// Machine is a computer with disks. It is switched on by Boot.
type Machine struct {
	// Config may be changed while the machine is off.
	Config Config

	kit   *Kit
	dir   string
	boots int
	// restored is how many of the boots went on from a saved state.
	restored int
	vm       *process // the current boot, or the last one
}

// NewMachine returns a machine that is off. Dir, which must exist, gets its disks and a directory for each boot.
func (k *Kit) NewMachine(dir string, c Config) (*Machine, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("new machine: %w", err)
	}
	return &Machine{Config: c, kit: k, dir: abs}, nil
}

// errRunning is an attempt to switch on a machine that is on.
var errRunning = errors.New("the machine is on")

// Boot switches the machine on and returns when QEMU runs.
func (m *Machine) Boot(ctx context.Context) error {
	if m.running() {
		return fmt.Errorf("boot: %w", errRunning)
	}
	if err := m.dropInitrd(); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	dir, err := m.newBootDir()
	if err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	initrd := m.initrdPath()
	if err := m.kit.writeInitrd(initrd, m.Config); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	if err := m.start(ctx, dir, initrd, ""); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	return nil
}

// start runs QEMU with an initrd, and in the state that is in a file, if one is named.
func (m *Machine) start(ctx context.Context, dir, initrd, state string) error {
	if err := m.makeOverlays(ctx); err != nil {
		return err
	}
	memory := m.Config.MemoryMB
	if memory == 0 {
		memory = defaultMemoryMB
	}
	vm, err := start(m.kit.tools, commandLine{
		accel: m.kit.accel, memoryMB: memory, cpus: cmp.Or(m.Config.CPUs, m.kit.cpus), kernel: m.kit.vmlinux, initrd: initrd, disks: m.Overlays(),
		disksRaw: m.Config.RawDisks, disksReadOnly: m.Config.DisksReadOnly, bus: m.Config.Bus,
		fault: m.Config.Fault, writeLog: m.Config.WriteLog,
		cmdline: kernelParams(m.kit.closure, append(counterParams(), m.Config.Params...)), clock: m.Config.Clock, incoming: state,
	}, dir)
	if err != nil {
		return err
	}
	m.vm = vm
	return nil
}

// Boots is how often the machine was switched on, whether to boot or to go on from a saved state.
func (m *Machine) Boots() int { return m.boots }

// Restored is how many of these times it went on from a saved state.
func (m *Machine) Restored() int { return m.restored }

// newBootDir makes the directory of one boot.
func (m *Machine) newBootDir() (string, error) {
	m.boots++
	dir := m.bootDir()
	return dir, os.Mkdir(dir, 0o755)
}

// Overlays are the images that the machine writes to, one for each of its disks, in their order.
func (m *Machine) Overlays() []string {
	var paths []string
	suffix := ".qcow2"
	if m.Config.RawDisks {
		suffix = ".raw"
	}
	for _, base := range m.Config.Disks {
		paths = append(paths, filepath.Join(m.dir, "disk-"+cache.Key(base)+suffix))
	}
	return paths
}

// ResetDisks throws away all that the machine has written. It has to be off.
func (m *Machine) ResetDisks() error {
	if m.running() {
		return fmt.Errorf("reset disks: %w", errRunning)
	}
	for _, path := range m.Overlays() {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("reset disks: %w", err)
		}
	}
	return nil
}

// makeOverlays makes those that are not there yet.
func (m *Machine) makeOverlays(ctx context.Context) error {
	for i, path := range m.Overlays() {
		_, err := os.Stat(path)
		switch {
		case !errors.Is(err, os.ErrNotExist):
		case m.Config.RawDisks:
			err = disk.Copy(m.Config.Disks[i], path)
		default:
			err = disk.Overlay(ctx, m.kit.tools, m.Config.Disks[i], path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Machine) bootDir() string { return filepath.Join(m.dir, fmt.Sprintf("boot-%d", m.boots)) }

func (m *Machine) initrdPath() string { return filepath.Join(m.bootDir(), "initrd.cpio") }

// dropInitrd removes the initrd of the boot before: large, and of use only to repeat the last boot.
func (m *Machine) dropInitrd() error {
	err := os.Remove(m.initrdPath())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// running tells whether QEMU runs.
func (m *Machine) running() bool {
	if m.vm == nil {
		return false
	}
	select {
	case <-m.vm.done:
		return false
	default:
		return true
	}
}

// errNeverBooted is a question to a machine that was never on.
var errNeverBooted = errors.New("the machine was never switched on")

// Wait returns when an event of the current boot has happened, which may have been before the call. It fails with a
// *WaitError when the time is over, and at once when the machine is off.
func (m *Machine) Wait(ctx context.Context, e Event, timeout time.Duration) error {
	if m.vm == nil {
		return fmt.Errorf("wait for %s: %w", e, errNeverBooted)
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := m.vm.state.wait(ctx, e)
	for range mostAborts {
		if err == nil || !errors.Is(err, errStalled) && !m.vm.hasAbortedEarly() {
			break
		}
		m.kit.report("QEMU or its emulation has failed before the guest began (%s), once more", m.vm.log)
		if err = m.vm.kill(); err == nil {
			err = m.Boot(ctx)
		}
		if err == nil {
			err = m.vm.state.wait(ctx, e)
		}
	}
	if err != nil {
		return m.waitError(e, time.Since(start), err)
	}
	return nil
}

func (m *Machine) waitError(e Event, waited time.Duration, err error) error {
	return &WaitError{
		Event: e.String(), Waited: waited, Tail: m.vm.state.tail(tailLines), ConsoleLog: m.vm.log, Command: m.vm.repeat, Err: err,
	}
}

// Run runs a command in the machine, in the initrd or in the running system, wherever the machine is. An error means
// that there is no result; a command that ends with another status than 0 is a result.
func (m *Machine) Run(ctx context.Context, argv ...string) (Result, error) {
	return m.RunInput(ctx, "", argv...)
}

// RunInput is Run with something to read on the command's standard input.
func (m *Machine) RunInput(ctx context.Context, stdin string, argv ...string) (Result, error) {
	if m.vm == nil {
		return Result{}, fmt.Errorf("run %q: %w", argv, errNeverBooted)
	}
	ctx, cancel := context.WithTimeout(ctx, CommandTimeout)
	defer cancel()
	return m.vm.agent.run(ctx, stdin, argv)
}

// Type types on the console.
func (m *Machine) Type(text string) error {
	if m.vm == nil {
		return fmt.Errorf("type %q: %w", text, errNeverBooted)
	}
	if _, err := m.vm.console.Write([]byte(text)); err != nil {
		return fmt.Errorf("type %q: %w", text, err)
	}
	return nil
}

// ConsoleText is all that the console has shown in this boot.
func (m *Machine) ConsoleText() string {
	if m.vm == nil {
		return ""
	}
	var text string
	m.vm.state.look(func() { text = string(m.vm.state.console) })
	return text
}
