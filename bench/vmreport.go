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

// bootLimit is an aim for the time from stores mounted to entries in place, in
// seconds, and what the C program took on the machine that the aim was set on.
type bootLimit struct{ aim, floor float64 }

func bootLimits() map[int]bootLimit {
	return map[int]bootLimit{100: {0.25, 0.14}, 300: {0.50, 0.27}}
}

// judgeBoots compares with the aims as they are, and as a multiple of what the
// C program takes here: an emulated machine is as fast as its host has time.
func (r *report) judgeBoots() {
	for _, entries := range bootCases() {
		limit := bootLimits()[entries]
		got := r.findBoots(ebbName, entries).summarize(ready).median
		what := fmt.Sprintf("boot, %d entries, from stores mounted to ready", entries)
		r.judge(what, "at most "+seconds(limit.aim), seconds(got), got <= limit.aim)
		most, ratio := limit.aim/limit.floor, got/r.findBoots(floorName, entries).summarize(ready).median
		r.judge(what, fmt.Sprintf("%.2f x C", most), fmt.Sprintf("%.2f x C", ratio), ratio <= most)
	}
}

// judgeBootRollback compares the units that make the root fresh, in all boots:
// how many entries follow is nothing to them.
func (r *report) judgeBootRollback() {
	ebb, floor := r.rollbacks(ebbName), r.rollbacks(floorName)
	r.judge("boot, rollback, from start to end of its unit", fmt.Sprintf("%.1f x C = %s", rollbackLimit, seconds(rollbackLimit*floor)),
		fmt.Sprintf("%s = %.2f x C", seconds(ebb), ebb/floor), ebb <= rollbackLimit*floor)
}

// rollbacks is the median of all boots of a name.
func (r *report) rollbacks(name string) float64 {
	var all boots
	for _, b := range r.Boots {
		if b.Name == name {
			all.Times = append(all.Times, b.Times...)
		}
	}
	return all.summarize(rolledBack).median
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
