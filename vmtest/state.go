package vmtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/ebb-nix/ebb/vmtest/internal/wire"
)

// bootState is what is known of one boot. Whoever reads from QEMU updates it, and wakes those who wait for events.
type bootState struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every update

	console []byte
	hellos  []wire.Hello
	// listening is true from the hello of an agent to its end.
	listening bool
	// reason is QEMU's for the end, by the event SHUTDOWN of its machine protocol: "guest-reset", say.
	reason string
	off    bool
	offErr error
	// restored: it went on from a saved state.
	restored bool
}

func newBootState() *bootState {
	return &bootState{changed: make(chan struct{})}
}

func (s *bootState) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// look runs f while nothing changes.
func (s *bootState) look(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Why an event will not come.
var (
	errOff       = errors.New("the machine went off")
	errEmergency = errors.New("the machine went into emergency mode")
	errStalled   = errors.New("a processor of the machine has lost its timer before any program was started")
)

// wait returns when e has happened, when it cannot happen any more, or when the context ends. A machine that had been
// in emergency mode before the call is taken to be on its way again.
func (s *bootState) wait(ctx context.Context, e Event) error {
	var before int
	s.look(func() { before = e.troubles(s) })
	for {
		var reached bool
		var changed chan struct{}
		var hopeless error
		s.look(func() {
			reached, changed = e.reached(s), s.changed
			switch {
			case s.off:
				hopeless = fmt.Errorf("%w (%s)", errOff, s.ending())
			case e.troubles(s) > before:
				hopeless = errEmergency
			case !s.restored && isStalled(s.console):
				hopeless = errStalled
			}
		})
		switch {
		case reached:
			return nil
		case hopeless != nil:
			return hopeless
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ending says how QEMU ended, with the lock held.
func (s *bootState) ending() string {
	words := []string{"reason: " + s.reason}
	if s.reason == "" {
		words = []string{"QEMU gave no reason"}
	}
	if s.offErr != nil {
		words = append(words, s.offErr.Error())
	}
	return strings.Join(words, ", ")
}

// recorder is the writer that QEMU's console goes to.
type recorder struct {
	state *bootState
	file  io.Writer
}

func (r recorder) Write(p []byte) (int, error) {
	r.state.update(func() { r.state.console = append(r.state.console, p...) })
	return r.file.Write(p)
}

// tail returns the last n lines of the console.
func (s *bootState) tail(n int) []string {
	var lines []string
	s.look(func() {
		text := bytes.TrimRight(s.console, "\r\n")
		lines = strings.Split(strings.ReplaceAll(string(text), "\r", ""), "\n")
	})
	return lines[max(0, len(lines)-n):]
}

// WaitError says what did not happen. Its text holds all that is needed to look for the reason.
type WaitError struct {
	// Event that was waited for, and for how long.
	Event  string
	Waited time.Duration
	// Tail is the end of the console, ConsoleLog the file with all of it.
	Tail       []string
	ConsoleLog string
	// Command repeats the boot in a terminal.
	Command string
	// Err is why the wait ended: context.DeadlineExceeded, or that the machine went off.
	Err error
}

func (e *WaitError) Error() string {
	return fmt.Sprintf("waited %.1f s for %s: %v\nthe console's last lines:\n    %s\nthe whole console: %s\nto repeat the boot:\n    %s",
		e.Waited.Seconds(), e.Event, e.Err, strings.Join(e.Tail, "\n    "), e.ConsoleLog, e.Command)
}

// Unwrap returns the reason.
func (e *WaitError) Unwrap() error { return e.Err }
