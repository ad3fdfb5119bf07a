package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ebb-nix/ebb/initrd"
)

// trace is what is seen of a file: that it is the same one as before.
type trace struct {
	mode  string // as ls(1) shows it
	owner string // "user:group"
	sum   string // of the contents
}

// ask runs a command in the machine that must end well, and returns what it has printed.
func (t *teller) ask(ctx context.Context, argv ...string) (string, error) {
	r, err := t.machine.Run(ctx, argv...)
	if err == nil {
		err = r.Err()
	}
	return strings.TrimSuffix(r.Stdout, "\n"), err
}

// traces looks at files in the machine. Those that are not there are missing in the answer.
func (t *teller) traces(ctx context.Context, paths []string) (map[string]trace, error) {
	stat, err := t.look(ctx, append([]string{"stat", "--dereference", "--format=%n|%A|%U:%G"}, paths...))
	if err != nil {
		return nil, err
	}
	sums, err := t.look(ctx, append([]string{"sha256sum"}, paths...))
	if err != nil {
		return nil, err
	}
	return parseTraces(stat, sums), nil
}

// look runs a command that may find files missing, and nothing else wrong.
func (t *teller) look(ctx context.Context, argv []string) (string, error) {
	r, err := t.machine.Run(ctx, argv...)
	if err != nil {
		return "", err
	}
	missing := 0
	for line := range strings.Lines(r.Stderr) {
		if !strings.HasSuffix(strings.TrimSpace(line), "No such file or directory") {
			return "", fmt.Errorf("%q: %s", argv, r.Stderr)
		}
		missing++
	}
	if missing == 0 && r.Err() != nil {
		return "", r.Err()
	}
	return r.Stdout, nil
}

// parseTraces reads lines "path|mode|owner", and those of sha256sum(1).
func parseTraces(stat, sums string) map[string]trace {
	found := map[string]trace{}
	for line := range strings.Lines(stat) {
		if f := strings.Split(strings.TrimSpace(line), "|"); len(f) == 3 {
			found[f[0]] = trace{mode: f[1], owner: f[2]}
		}
	}
	for line := range strings.Lines(sums) {
		sum, path, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if seen, ok := found[path]; ok {
			seen.sum = sum
			found[path] = seen
		}
	}
	return found
}

// record is the boot record of ebb.
func (t *teller) record(ctx context.Context) (*initrd.Record, error) {
	text, err := t.ask(ctx, "cat", "/run/ebb/boot.json")
	if err != nil {
		return nil, err
	}
	var r initrd.Record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, fmt.Errorf("boot record: %w", err)
	}
	return &r, nil
}

// unitTime is from the start to the end of a unit's start job, by what systemd has written to the journal.
func (t *teller) unitTime(ctx context.Context, unit string) (time.Duration, error) {
	text, err := t.ask(ctx, "journalctl", "--boot", "--no-pager", "--output=json", "_PID=1", "UNIT="+unit)
	if err != nil {
		return 0, err
	}
	return parseUnitTime(text)
}

// Message ids of systemd, from its sd-messages.h.
const (
	messageStarting = "7d4958e842da4a758f6c1cdc7b36dcc5"
	messageStarted  = "39f53479d3a045ac8e11786248231fbf"
)

func parseUnitTime(journal string) (time.Duration, error) {
	at := map[string]time.Duration{}
	for line := range strings.Lines(journal) {
		var entry struct {
			ID string `json:"MESSAGE_ID"`
			// Microseconds, when systemd wrote it.
			At time.Duration `json:"_SOURCE_REALTIME_TIMESTAMP,string"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			return 0, fmt.Errorf("parse the journal: %w", err)
		}
		at[entry.ID] = entry.At * time.Microsecond
	}
	from, started := at[messageStarting]
	to, ended := at[messageStarted]
	if !started || !ended {
		return 0, errors.New("the journal does not tell when the unit started and when it was done")
	}
	return to - from, nil
}

// parsePlan returns the steps of the rollback in the output of "ebb plan --json".
func parsePlan(text string) ([]string, error) {
	var plan struct {
		Rollback struct {
			Steps   []string `json:"steps"`
			Refused string   `json:"refused"`
		} `json:"rollback"`
	}
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		return nil, fmt.Errorf("output of ebb plan: %w", err)
	}
	if plan.Rollback.Refused != "" {
		return nil, fmt.Errorf("ebb plan refuses: %s", plan.Rollback.Refused)
	}
	return plan.Rollback.Steps, nil
}
