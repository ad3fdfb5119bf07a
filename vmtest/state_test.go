package vmtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/vmtest/internal/wire"
)

// shortly is a deadline for events that never come.
const shortly = 20 * time.Millisecond

func TestWait(t *testing.T) {
	hello := func(stage string) func(*bootState) {
		return func(s *bootState) { s.hellos, s.listening = append(s.hellos, wire.Hello{Stage: stage}), true }
	}
	console := func(text string) func(*bootState) {
		return func(s *bootState) { s.console = append(s.console, text...) }
	}
	off := func(s *bootState) { s.off, s.reason = true, reasonReset }
	for _, c := range []struct {
		name    string
		changes []func(*bootState)
		event   Event
		want    error
	}{
		{"a line", []func(*bootState){console("one\ntwo\n")}, Console(`(?m)^two$`), nil},
		{"a prompt without a newline", []func(*bootState){console("login: ")}, Console(`login: $`), nil},
		{"a line in two parts", []func(*bootState){console("sw"), console("itch")}, Console("switch"), nil},
		{"nothing", nil, Console("x"), context.DeadlineExceeded},
		{"a mark", []func(*bootState){console("[ 1.2] vmtest: mark gate\r\n")}, Mark("gate"), nil},
		{"another mark", []func(*bootState){console("vmtest: mark gates\n")}, Mark("gate"), context.DeadlineExceeded},
		{"the initrd", []func(*bootState){hello(wire.Initrd)}, InitrdUp(), nil},
		{"the other stage", []func(*bootState){hello(wire.Initrd)}, SystemUp(), context.DeadlineExceeded},
		{"one stage after the other", []func(*bootState){hello(wire.Initrd), hello(wire.System)}, SystemUp(), nil},
		{"an agent that is gone", []func(*bootState){hello(wire.System), func(s *bootState) { s.listening = false }}, SystemUp(), context.DeadlineExceeded},
		{"off", []func(*bootState){off}, Off(), nil},
		{"off too early", []func(*bootState){console("x"), off}, SystemUp(), errOff},
		{"the last word before off", []func(*bootState){console("x"), off}, Console("x"), nil},
		{"emergency", []func(*bootState){console("vmtest: mark emergency-initrd\n")}, SystemUp(), errEmergency},
		{"emergency that is waited for", []func(*bootState){console("vmtest: mark emergency-initrd\n")}, InitrdEmergency(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newBootState()
			patience := generous
			if errors.Is(c.want, context.DeadlineExceeded) {
				patience = shortly
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			started := make(chan struct{})
			ended := make(chan error)
			// The first look at the state is under its lock: hold it until the goroutine is there.
			go func() { close(started); ended <- s.wait(ctx, c.event) }()
			<-started
			time.Sleep(time.Millisecond)
			for _, change := range c.changes {
				s.update(func() { change(s) })
			}
			if err := <-ended; !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// An emergency that the test has dealt with does not stand in the way of the boot that goes on.
func TestWaitAfterEmergency(t *testing.T) {
	s := newBootState()
	s.update(func() { s.console = []byte("vmtest: mark emergency-initrd\n") })
	ctx, cancel := context.WithTimeout(t.Context(), shortly)
	defer cancel()
	if err := s.wait(ctx, SystemUp()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

func TestTail(t *testing.T) {
	s := newBootState()
	s.update(func() { s.console = []byte("1\r\n2\r\n3\r\npart") })
	if got := strings.Join(s.tail(3), "|"); got != "2|3|part" {
		t.Errorf("got %s", got)
	}
	if got := len(s.tail(99)); got != 4 {
		t.Errorf("%d lines of 4", got)
	}
}

func TestWaitErrorText(t *testing.T) {
	err := &WaitError{
		Event: "the agent in the system", Waited: 1500 * time.Millisecond, Tail: []string{"line"}, ConsoleLog: "/log",
		Command: "qemu", Err: context.DeadlineExceeded,
	}
	for _, want := range []string{"1.5 s", "the agent in the system", "    line", "/log", "qemu"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %s", want, err)
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("the reason cannot be told")
	}
}
