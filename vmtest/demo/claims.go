package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/units"
)

func (t *teller) isRunning(ctx context.Context) (string, bool, error) {
	r, err := t.machine.Run(ctx, "systemctl", "is-system-running") // its status is that of the system
	if err != nil {
		return "", false, err
	}
	state := strings.TrimSpace(r.Stdout)
	if state == "running" {
		return state, true, nil
	}
	failed, err := t.ask(ctx, "systemctl", "list-units", "--failed", "--plain", "--no-legend")
	return state + " " + strings.Join(strings.Fields(failed), " "), false, err
}

func (t *teller) isFirstBoot(ctx context.Context) (string, bool, error) {
	text, err := t.ask(ctx, "journalctl", "--boot", "--no-pager", "--output=cat", "_PID=1", "--grep=first boot|First Boot")
	line, _, _ := strings.Cut(text, "\n")
	seen, _, _ := strings.Cut(line, " - ") // behind it is the unit's description
	return seen, seen != "", err
}

// succeeds is the look at a command's exit status.
func (t *teller) succeeds(argv ...string) func(context.Context) (string, bool, error) {
	return func(ctx context.Context) (string, bool, error) {
		r, err := t.machine.Run(ctx, argv...)
		return fmt.Sprintf("exit status %d", r.Status), r.Status == 0, err
	}
}

func (t *teller) allThere(context.Context) (string, bool, error) {
	want := len(lost()) + len(kept())
	return fmt.Sprintf("%d of %d", len(t.before), want), len(t.before) == want, nil
}

func (t *teller) isOtherBoot(ctx context.Context) (string, bool, error) {
	id, err := t.ask(ctx, "cat", "/proc/sys/kernel/random/boot_id")
	return fmt.Sprintf("boot id %.8s, was %.8s", id, t.bootID), id != t.bootID, err
}

func (t *teller) isOtherRoot(ctx context.Context) (string, bool, error) {
	id, err := t.ask(ctx, "btrfs", "inspect-internal", "rootid", "/")
	return fmt.Sprintf("id %s, was %s", id, t.rootID), id != t.rootID, err
}

// isAsPlanned looks for each step of the plan in what the rollback has written to the journal.
func (t *teller) isAsPlanned(ctx context.Context) (string, bool, error) {
	text, err := t.ask(ctx, "journalctl", "--boot", "--no-pager", "--output=cat", "_SYSTEMD_UNIT="+units.Rollback)
	done := strings.Split(text, "\n")
	found := 0
	for _, step := range t.planned {
		if slices.Contains(done, step) {
			found++
		}
	}
	return fmt.Sprintf("%d of %d steps", found, len(t.planned)), found == len(t.planned) && found > 0, err
}

func (t *teller) endedWell(ctx context.Context) (string, bool, error) {
	text, err := t.ask(ctx, "journalctl", "--boot=-1", "--no-pager", "--output=cat")
	n := strings.Count(text, "Failed unmounting")
	return fmt.Sprintf("%d in its journal of %d lines", n, strings.Count(text, "\n")+1), n == 0 && text != "", err
}

func (t *teller) isGone(ctx context.Context, path string) (string, bool, error) {
	found, err := t.traces(ctx, []string{path})
	if err != nil {
		return "", false, err
	}
	if _, there := found[path]; there {
		return "still there", false, nil
	}
	return "no such file", true, nil
}

func (t *teller) isAsBefore(ctx context.Context, path string) (string, bool, error) {
	found, err := t.traces(ctx, []string{path})
	if err != nil {
		return "", false, err
	}
	seen, so := compare(t.before[path], found[path])
	return seen, so, nil
}

// compare tells what has become of a file.
func compare(before, after trace) (string, bool) {
	switch {
	case after == trace{}:
		return "no such file", false
	case before == trace{}:
		return "was not there before", false
	case before.sum != after.sum:
		return "other contents", false
	case before != after:
		return fmt.Sprintf("%s %s, was %s %s", after.mode, after.owner, before.mode, before.owner), false
	}
	return after.mode + " " + after.owner, true
}

// tallied looks into the notes of tally.service: the id of each boot.
func (t *teller) tallied(ctx context.Context) (string, bool, error) {
	text, err := t.ask(ctx, "cat", "/var/lib/tally/boots")
	noted := strings.Fields(text)
	return fmt.Sprintf("%d noted", len(noted)), len(noted) == 2 && noted[0] == t.bootID, err
}

func (t *teller) journaled(ctx context.Context) (string, bool, error) {
	text, err := t.ask(ctx, "journalctl", "--list-boots", "--no-pager", "--quiet")
	n := len(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }))
	old := strings.Contains(text, strings.ReplaceAll(t.bootID, "-", ""))
	return fmt.Sprintf("%d boots", n), n == 2 && old, err
}

func (t *teller) isRecorded(ctx context.Context) (string, bool, error) {
	r, err := t.record(ctx)
	if err != nil {
		return "", false, err
	}
	id, err := t.ask(ctx, "btrfs", "inspect-internal", "rootid", "/")
	made, ok := r.Rollback.Subvolume("root")
	return fmt.Sprintf("id %s, recorded %d", id, made.ID), ok && id == fmt.Sprint(made.ID), err
}

func (t *teller) isReadOnly(ctx context.Context) (string, bool, error) {
	text, err := t.ask(ctx, "btrfs", "property", "get", "-ts", path.Join(archiveMount, t.archived), "ro")
	return text, text == "ro=true", err
}

func (t *teller) isArchived(ctx context.Context, name string) (string, bool, error) {
	there := path.Join(archiveMount, t.archived, name)
	found, err := t.traces(ctx, []string{there})
	if err != nil {
		return "", false, err
	}
	seen, so := compare(t.before[name], found[there])
	return seen, so, nil
}

func (t *teller) allDone(ctx context.Context) (string, bool, error) {
	r, err := t.record(ctx)
	if err != nil {
		return "", false, err
	}
	return fmt.Sprintf("rollback %s, mount %s", r.Rollback.State, r.Mount.State),
		r.Rollback.State == initrd.StateDone && r.Mount.State == initrd.StateDone, nil
}
