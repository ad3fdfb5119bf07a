package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// bootTimes are the times of one boot.
type bootTimes struct {
	Ready    time.Duration `json:"ready_ns"`      // from all stores mounted to all entries in place
	Units    time.Duration `json:"units_ns"`      // from the first start of a unit that does it to the last end
	Rollback time.Duration `json:"rollback_ns"`   // from start to end of its unit, 0 without one
	Up       time.Duration `json:"multi_user_ns"` // from the start of the kernel to multi-user.target
}

// Message ids of systemd, from its sd-messages.h.
const (
	messageStarting = "7d4958e842da4a758f6c1cdc7b36dcc5"
	messageStarted  = "39f53479d3a045ac8e11786248231fbf"
)

// journal is when units were first started, and when they had first been, since
// the start of the kernel.
type journal struct{ starting, started map[string]time.Duration }

// parseJournal reads what PID 1 has logged, in the format "json".
func parseJournal(text string) (*journal, error) {
	j := &journal{starting: map[string]time.Duration{}, started: map[string]time.Duration{}}
	for line := range strings.Lines(text) {
		var e struct {
			ID        string `json:"MESSAGE_ID"`
			Unit      string `json:"UNIT"`
			Sent      string `json:"_SOURCE_REALTIME_TIMESTAMP"`
			Received  string `json:"__REALTIME_TIMESTAMP"`
			Monotonic string `json:"__MONOTONIC_TIMESTAMP"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, fmt.Errorf("parse the journal: %w", err)
		}
		to := j.of(e.ID)
		if e.Sent == "" || to == nil {
			continue // from before journald was there, or about something else
		}
		at, err := sentAt(e.Sent, e.Received, e.Monotonic)
		if err != nil {
			return nil, fmt.Errorf("parse the journal: %w", err)
		}
		if _, ok := to[e.Unit]; !ok {
			to[e.Unit] = at
		}
	}
	return j, nil
}

// of returns the times that a message is about, nil for other messages.
func (j *journal) of(message string) map[string]time.Duration {
	switch message {
	case messageStarting:
		return j.starting
	case messageStarted:
		return j.started
	}
	return nil
}

// sentAt is when something was logged, by the monotonic clock. Journald notes
// that clock only when it gets round to a message.
func sentAt(sent, received, monotonic string) (time.Duration, error) {
	var at [3]int64
	for i, text := range []string{sent, received, monotonic} {
		var err error
		if at[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return 0, err
		}
	}
	return time.Duration(at[2]-(at[1]-at[0])) * time.Microsecond, nil
}

// times are those of a boot of a set-up.
func (j *journal) times(s *setup) (t bootTimes, err error) {
	var stores, ready time.Duration
	for _, unit := range []string{"sysroot.mount", "sysroot-nix.mount", "sysroot-" + storeName + ".mount"} {
		if err := j.latest(&stores, unit); err != nil {
			return t, err
		}
	}
	first := time.Duration(-1)
	for _, unit := range s.units {
		if err := j.latest(&ready, unit); err != nil {
			return t, err
		}
		if at, ok := j.starting[unit]; ok && (first < 0 || at < first) {
			first = at
		}
	}
	t.Ready = ready - stores
	if first >= 0 {
		t.Units = ready - first
	}
	if s.rollback != "" {
		began, ok := j.starting[s.rollback]
		done, ended := j.started[s.rollback]
		if !ok || !ended {
			return t, fmt.Errorf("the journal does not say how long %s took", s.rollback)
		}
		t.Rollback = done - began
	}
	return t, j.latest(&t.Up, "multi-user.target")
}

// latest raises t to when a unit had started.
func (j *journal) latest(t *time.Duration, unit string) error {
	at, ok := j.started[unit]
	if !ok {
		return fmt.Errorf("the journal does not say when %s was started", unit)
	}
	*t = max(*t, at)
	return nil
}

// entriesInPlace counts the entries in a mountinfo.
func entriesInPlace(table string) int {
	count := 0
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		number, ok := strings.CutPrefix(fields[4], "/d")
		if _, err := strconv.Atoi(number); ok && err == nil {
			count++
		}
	}
	return count
}
