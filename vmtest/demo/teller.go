package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ebb-nix/ebb/vmtest"
)

// chapter is a part of the story.
type chapter struct {
	title, text string
	// do makes something happen and shows it. Nil: nothing.
	do func(context.Context) error
	// claims are looked up afterwards.
	claims []*claim
}

// claim is something that is said about the machine, and how to see whether it is so.
type claim struct {
	text string
	look func(context.Context) (seen string, so bool, err error)

	looked bool
	seen   string
	so     bool
}

// teller tells the story of a machine.
type teller struct {
	screen  *screen
	machine *vmtest.Machine
	verbose bool

	// What was seen in boot 1, to compare with.
	before map[string]trace
	bootID string
	rootID string
	took   time.Duration // the second boot, up to all services

	// What was seen of boot 2.
	planned  []string // the steps of the rollback, before it was made
	archived string   // the old root, below the top level
}

// tell goes through the chapters, up to the first in which something could not be done or looked up.
func (t *teller) tell(ctx context.Context, story []chapter) error {
	for n, c := range story {
		t.screen.heading(fmt.Sprintf("%d. %s", n+1, c.title))
		t.screen.text(c.text)
		if c.do != nil {
			if err := c.do(ctx); err != nil {
				return err
			}
		}
		if len(c.claims) > 0 {
			t.screen.line("")
		}
		for _, claim := range c.claims {
			if err := claim.check(ctx); err != nil {
				return fmt.Errorf("%s: %w", claim.text, err)
			}
			t.screen.line("%s%s  %s: %s", indent, t.screen.mark(claim), claim.text, claim.seen)
		}
	}
	return nil
}

func (c *claim) check(ctx context.Context) (err error) {
	c.seen, c.so, err = c.look(ctx)
	c.looked = err == nil
	return err
}

// follow waits until the machine, switched on at that time, has started all services, and tells how far it is.
func (t *teller) follow(ctx context.Context, began time.Time) error {
	p := &progress{screen: t.screen, phases: bootPhases(), verbose: t.verbose}
	err := p.during(ctx, began, t.machine.ConsoleText, func(ctx context.Context) error {
		if err := t.machine.Wait(ctx, vmtest.SystemUp(), vmtest.BootTimeout); err != nil {
			return err
		}
		_, err := t.machine.Run(ctx, "systemctl", "is-system-running", "--wait")
		return err
	})
	t.took = time.Since(began)
	if err == nil {
		t.screen.line("%s", stamp(t.took, "all services have been started"))
	}
	return err
}

// restart shuts the machine down in order and switches it on again.
func (t *teller) restart(ctx context.Context) error {
	began := time.Now()
	p := &progress{screen: t.screen, current: "shutting down"}
	// Which console there is to look at is changing meanwhile.
	err := p.during(ctx, began, func() string { return "" }, t.machine.Reboot)
	if err == nil {
		t.screen.line("%s", stamp(time.Since(began), "the machine has shut down and reset itself"))
	}
	return err
}
