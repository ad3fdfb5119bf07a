package main

import (
	"fmt"
	"strings"
	"time"
)

// boots are all boots of one set-up.
type boots struct {
	Name    string      `json:"name"`
	Entries int         `json:"entries"`
	Times   []bootTimes `json:"boots"`
}

// summarize tells of one of the times.
func (b *boots) summarize(of func(bootTimes) time.Duration) summary {
	var values []float64
	for _, t := range b.Times {
		values = append(values, of(t).Seconds())
	}
	return summarize(values)
}

func ready(t bootTimes) time.Duration      { return t.Ready }
func unitsDone(t bootTimes) time.Duration  { return t.Units }
func rolledBack(t bootTimes) time.Duration { return t.Rollback }
func up(t bootTimes) time.Duration         { return t.Up }

// findBoots returns the boots of a set-up, nil if there were none.
func (r *report) findBoots(name string, entries int) *boots {
	for _, b := range r.Boots {
		if b.Name == name && b.Entries == entries {
			return b
		}
	}
	return nil
}

// readyLimit is from stores mounted to entries in place, in seconds.
func readyLimit(entries int) float64 {
	if entries <= 100 {
		return 0.25
	}
	return 0.5
}

func (r *report) judgeBoots() {
	for _, entries := range bootCases() {
		ebb := r.findBoots(ebbName, entries)
		got, limit := ebb.summarize(ready).median, readyLimit(entries)
		r.judge(fmt.Sprintf("boot, %d entries, from stores mounted to ready", entries),
			"at most "+seconds(limit), seconds(got), got <= limit)
	}
}

// judgeLargeBoot tells of a boot with very many entries.
func (r *report) judgeLargeBoot(t bootTimes, err error) {
	measured := fmt.Sprintf("ready after %s, multi-user after %s", seconds(t.Ready.Seconds()), seconds(t.Up.Seconds()))
	if err != nil {
		measured, _, _ = strings.Cut(err.Error(), "\n")
	}
	r.judge(fmt.Sprintf("boot, %d entries, in %d MiB of memory", mostEntries, machineMB), "reaches multi-user, all in place", measured, err == nil)
}

func bootColumns() []string {
	return []string{"entries", "brought into place by", "boots", "stores mounted to ready", "times ebb", "its units", "rollback", "kernel to multi-user", "more than with nothing"}
}

func (r *report) bootRows() (rows [][]string) {
	control := r.findBoots(nothingName, 0)
	for _, b := range r.Boots {
		row := []string{
			fmt.Sprint(b.Entries), b.Name, fmt.Sprint(len(b.Times)),
			spread(b.summarize(ready)), "", spread(b.summarize(unitsDone)), spread(b.summarize(rolledBack)), spread(b.summarize(up)), "",
		}
		if ebb := r.findBoots(ebbName, b.Entries); ebb != nil && b.Name != ebbName {
			row[4] = fmt.Sprintf("%.1f", b.summarize(ready).median/ebb.summarize(ready).median)
		}
		if b.Entries > 0 && control != nil {
			row[8] = fmt.Sprintf("%+.2f s", b.summarize(up).median-control.summarize(up).median)
		}
		rows = append(rows, row)
	}
	return rows
}

// spread shows a median with the least and the most, and nothing for what there
// was not.
func spread(s summary) string {
	if s == (summary{}) {
		return ""
	}
	return fmt.Sprintf("%.2f s [%.2f-%.2f]", s.median, s.min, s.max)
}

// bootNote stands above the table of boots.
const bootNote = "Debian's systemd, kernel and QEMU, the initrd set up as NixOS sets it up, a machine of two processors " +
	"and 1 GiB, a new disk for each boot. Times are those of systemd's journal."
