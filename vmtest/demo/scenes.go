package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ebb-nix/ebb/units"
)

// archiveMount is where the demo mounts the file system's top level to look at the old root.
const archiveMount = "/run/ebb-demo"

func (t *teller) showConfig(context.Context) error {
	t.screen.line("")
	t.screen.block(document)
	return nil
}

func (t *teller) firstBoot(ctx context.Context) error {
	t.screen.line("")
	began := time.Now()
	if err := t.machine.Boot(ctx); err != nil {
		return err
	}
	if err := t.follow(ctx, began); err != nil {
		return err
	}
	return t.remember(ctx)
}

// remember notes which boot and which root this is.
func (t *teller) remember(ctx context.Context) (err error) {
	if t.bootID, err = t.ask(ctx, "cat", "/proc/sys/kernel/random/boot_id"); err != nil {
		return err
	}
	t.rootID, err = t.ask(ctx, "btrfs", "inspect-internal", "rootid", "/")
	return err
}

func (t *teller) write(ctx context.Context) error {
	all := append(lost(), kept()...)
	if _, err := t.ask(ctx, "sh", "-euc", script(all)); err != nil {
		return err
	}
	found, err := t.traces(ctx, paths(all))
	if err != nil {
		return err
	}
	t.before = found
	for _, group := range []struct {
		title  string
		things []thing
	}{{"on the root, not listed", lost()}, {"in places that are listed", kept()}} {
		t.screen.line("\n%s%s", indent, t.screen.bold(group.title))
		var rows [][]string
		for _, thing := range group.things {
			seen := found[thing.path]
			rows = append(rows, []string{seen.mode, seen.owner, thing.path, thing.what})
		}
		t.screen.table(rows)
	}
	return nil
}

// show runs a command and shows what it prints, however it ends.
func (t *teller) show(argv ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		r, err := t.machine.Run(ctx, argv...)
		if err != nil {
			return err
		}
		t.screen.session(strings.Join(argv, " "), r.Stdout+r.Stderr)
		return nil
	}
}

func (t *teller) secondBoot(ctx context.Context) error {
	t.screen.line("")
	if err := t.restart(ctx); err != nil {
		return err
	}
	if err := t.follow(ctx, time.Now()); err != nil {
		return err
	}
	if err := t.showPlan(ctx); err != nil {
		return err
	}
	t.screen.line("\nAnd this it did, by the journal (seconds since the kernel started):")
	return t.show("journalctl", "--boot", "--no-pager", "--no-hostname", "--output=short-monotonic",
		"_SYSTEMD_UNIT="+units.Rollback, "_SYSTEMD_UNIT="+units.Mount)(ctx)
}

func (t *teller) showPlan(ctx context.Context) error {
	text, err := t.ask(ctx, "cat", planFile)
	if err != nil {
		return err
	}
	if t.planned, err = parsePlan(text); err != nil {
		return err
	}
	t.screen.line("\nIn the initrd, just before it acted, \"ebb plan\" said of the rollback:\n")
	t.screen.block(strings.Join(t.planned, "\n"))
	return nil
}

// showArchive lists the old roots, and mounts the file system's top level for the claims to look at.
func (t *teller) showArchive(ctx context.Context) error {
	if err := t.show("ebb", "roots")(ctx); err != nil {
		return err
	}
	r, err := t.record(ctx)
	if err != nil {
		return err
	}
	if _, err := t.ask(ctx, "sh", "-euc", fmt.Sprintf("mkdir %s; mount -o ro,subvolid=5 %s %s", archiveMount, device, archiveMount)); err != nil {
		return err
	}
	made, _ := r.Rollback.Subvolume("root")
	t.archived = made.Archived
	t.screen.line("\nThe root of boot 1 is %s there.", t.archived)
	return nil
}

func (t *teller) showTimes(ctx context.Context) error {
	r, err := t.record(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"unit", "the work itself", "the whole unit, by systemd"}}
	for _, unit := range []struct {
		name    string
		seconds float64
	}{{units.Rollback, r.Rollback.Seconds}, {units.Mount, r.Mount.Seconds}} {
		whole, err := t.unitTime(ctx, unit.name)
		if err != nil {
			return fmt.Errorf("%s: %w", unit.name, err)
		}
		rows = append(rows, []string{unit.name, fmt.Sprintf("%.3f s", unit.seconds), fmt.Sprintf("%.3f s", whole.Seconds())})
	}
	t.screen.line("")
	t.screen.table(rows)
	t.screen.line("\nThe whole boot took %.1f s.", t.took.Seconds())
	return nil
}
