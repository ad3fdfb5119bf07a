package vmtest

import (
	"context"
	"errors"
	"fmt"
)

// QEMU's reasons for its end (RunState "ShutdownCause" in qapi/run-state.json).
const (
	reasonShutdown = "guest-shutdown"
	reasonReset    = "guest-reset"
)

// PowerCut kills QEMU at once. Writes that QEMU was told of and had not passed on yet are lost, as with a disk.
func (m *Machine) PowerCut() error {
	if !m.running() {
		return nil
	}
	return errors.Join(m.fetchCounters(context.Background()), m.vm.kill())
}

// Panic lets the kernel panic at whatever it does, by an interrupt that nobody has asked for, and returns when the
// machine is off. The kernel needs the parameter PanicParam for that. What it had given to its disks by then is written.
func (m *Machine) Panic(ctx context.Context) error {
	if m.vm == nil {
		return fmt.Errorf("panic: %w", errNeverBooted)
	}
	err := errors.Join(m.fetchCounters(ctx), m.vm.command("inject-nmi", nil))
	if err == nil {
		err = m.awaitOff(ctx, reasonReset)
	}
	if err != nil {
		return fmt.Errorf("panic: %w", err)
	}
	return nil
}

// PanicParam is the kernel parameter with which Panic comes about.
const PanicParam = "unknown_nmi_panic"

// PowerOff shuts the machine down in order and returns when it is off.
func (m *Machine) PowerOff(ctx context.Context) error {
	return m.shutDown(ctx, "poweroff", reasonShutdown)
}

// Reboot shuts the machine down in order and boots it again, with the Config as it is now.
func (m *Machine) Reboot(ctx context.Context) error {
	if err := m.shutDown(ctx, "reboot", reasonReset); err != nil {
		return err
	}
	return m.Boot(ctx)
}

// killedBySIGTERM is the status of a command that the shutdown which it asked for has overtaken.
const killedBySIGTERM = 128 + 15

func (m *Machine) shutDown(ctx context.Context, verb, want string) error {
	return m.leave(ctx, verb, want, verb)
}

// Hibernate writes the machine's memory to its swap space, which has to be in use and named by resume= on the kernel
// command line, and returns when the machine is off. The next boot, with the same kernel, resumes it; SystemUp is true
// again then.
func (m *Machine) Hibernate(ctx context.Context) error {
	return m.leave(ctx, "hibernate", reasonShutdown, "start", "systemd-hibernate.service")
}

// leave runs systemctl(1) and waits until the machine is off for the reason that is wanted.
func (m *Machine) leave(ctx context.Context, verb, want string, args ...string) error {
	if err := m.fetchCounters(ctx); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	r, err := m.Run(ctx, append([]string{"systemctl", "--no-block"}, args...)...)
	// The agent, too, may be stopped before it has answered.
	if err != nil && !errors.Is(err, errAgentGone) {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if err := r.Err(); err != nil && r.Status != killedBySIGTERM {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if err := m.awaitOff(ctx, want); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	return nil
}

// awaitOff waits until the machine is off for the reason that is wanted.
func (m *Machine) awaitOff(ctx context.Context, want string) error {
	if err := m.Wait(ctx, Off(), OffTimeout); err != nil {
		return err
	}
	<-m.vm.done                                      // which follows at once, and is what the next boot asks
	if reason := m.vm.state.reason; reason != want { // no writer is left, the machine is off
		return m.waitError(Off(), 0, fmt.Errorf("QEMU ended with %q, not %q", reason, want))
	}
	return nil
}
