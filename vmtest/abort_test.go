package vmtest

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Only QEMU's own end, before the guest has said anything, is one that a machine is switched on again after.
func TestAbortedEarly(t *testing.T) {
	const says = `echo "qemu-system-x86_64: physmem.c:1: f: Assertion \` + "`x' failed.\" >&2; "
	const assertion = "qemu-system-x86_64: system/physmem.c:2671: iotlb_to_section: Assertion `section_index < d->map.sections_nb' failed."
	for _, test := range []struct {
		name, script string
		restored     bool
		want         bool
	}{
		{"assertion", says + "kill -ABRT $$", false, true},
		{"on from a saved state", says + "kill -ABRT $$", true, false},
		{"the guest was there", "echo Linux; " + says + "kill -ABRT $$", false, false},
		{"killed", says + "kill -KILL $$", false, false},
		{"another word", "echo qemu-system-x86_64: no memory >&2; kill -ABRT $$", false, false},
		{"off in order", "exit 0", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := startFake(t, test.script+"\n")
			p.restored = test.restored
			p.expect(t, Off())
			if got := p.hasAbortedEarly(); got != test.want {
				t.Errorf("%v, want %v; the console: %q", got, test.want, p.state.console)
			}
		})
	}
	if !isAssertion([]byte(assertion + "\n")) {
		t.Errorf("not seen: %s", assertion)
	}
}

// A kernel that hangs before there is any program is told from one that hangs later.
func TestStalled(t *testing.T) {
	const stall = "[   23.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n[   23.2] rcu: rcu_preempt kthread timer wakeup didn't happen for 5251 jiffies!\n"
	for _, test := range []struct {
		name, console string
		restored      bool
		want          bool
	}{
		{"at once", stall, false, true},
		{"on from a saved state", stall, true, false},
		{"systemd was there", "[  OK  ] Started x.\n" + stall, false, false},
		{"slow, with its timers", "[   23.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newBootState()
			s.restored, s.console = test.restored, []byte(test.console)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if err := s.wait(ctx, Console("never")); errors.Is(err, errStalled) != test.want {
				t.Errorf("%v", err)
			}
		})
	}
}
