package vmtest

import (
	"bytes"
	"errors"
	"os/exec"
	"syscall"
)

// mostAborts is how often in a row a machine is switched on again.
const mostAborts = 3

// hasAbortedEarly reports whether QEMU has failed an assertion of its own before the guest had a word to say. QEMU 10.0 does so
// once in some thousand boots, when it emulates several processors and the firmware changes the memory map under one of them
// ("iotlb_to_section: Assertion `section_index < d->map.sections_nb' failed"). No kernel has seen the disks by then, so
// to switch such a machine on again hides nothing. A machine that went on from a saved state is another matter: its
// kernel need not say anything before it writes.
func (p *process) hasAbortedEarly() (yes bool) {
	p.state.look(func() {
		var exit *exec.ExitError
		if p.restored || !p.state.off || !errors.As(p.state.offErr, &exit) {
			return
		}
		status, ok := exit.Sys().(syscall.WaitStatus)
		yes = ok && status.Signal() == syscall.SIGABRT && isAssertion(p.state.console)
	})
	return yes
}

// isStalled reports whether a console begins with the kernel's word that the timer of a processor is gone, and has had
// nothing else before. An emulated machine of several processors has that once in some hundred boots on a busy host, stays so
// for ever, and has started no program by then: to switch it on again hides nothing, either.
func isStalled(console []byte) bool {
	line, rest, _ := bytes.Cut(console, []byte("\n"))
	return bytes.Contains(line, []byte("rcu: INFO: rcu_preempt detected stalls")) && bytes.Contains(rest, []byte("kthread timer wakeup didn't happen"))
}

// isAssertion reports whether a console has nothing but one line of QEMU's own.
func isAssertion(console []byte) bool {
	line, rest, _ := bytes.Cut(console, []byte("\n"))
	return len(rest) == 0 && bytes.HasPrefix(line, []byte("qemu-system-")) && bytes.Contains(line, []byte(": Assertion `"))
}
