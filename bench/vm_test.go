package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/units"
)

// line is a line of the journal, with times in microseconds.
func line(id, unit, sent, received, monotonic string) string {
	return `{"MESSAGE_ID":"` + id + `","UNIT":"` + unit + `","_SOURCE_REALTIME_TIMESTAMP":"` + sent +
		`","__REALTIME_TIMESTAMP":"` + received + `","__MONOTONIC_TIMESTAMP":"` + monotonic + `"}` + "\n"
}

func started(unit, second string) string {
	return line(messageStarted, unit, second+"000000", "9000000", "9000000")
}

func starting(unit, second string) string {
	return line(messageStarting, unit, second+"000000", "9000000", "9000000")
}

func TestTimesOfABoot(t *testing.T) {
	stores := started("sysroot.mount", "2") + started("sysroot-nix.mount", "4") + started("sysroot-persist.mount", "3")
	text := stores + starting("ebb-rollback.service", "1") + started("ebb-rollback.service", "2") +
		starting("a.mount", "6") + starting("b.mount", "5") + started("b.mount", "6") + started("a.mount", "7") + started("a.mount", "8") +
		started("done.target", "7") + started("multi-user.target", "9")
	j, err := parseJournal(text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := j.times(&setup{units: []string{"a.mount", "b.mount", "done.target"}, rollback: units.Rollback})
	if err != nil {
		t.Fatal(err)
	}
	if want := (bootTimes{Ready: 3 * time.Second, Units: 2 * time.Second, Rollback: time.Second, Up: 9 * time.Second}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, s := range []*setup{{units: []string{"c.mount"}}, {units: []string{"a.mount"}, rollback: "c.service"}} {
		if _, err := j.times(s); err == nil {
			t.Errorf("no error for a unit that was not started: %+v", s)
		}
	}
}

func TestTimeOfALineIsWhenItWasSent(t *testing.T) {
	j, err := parseJournal(line(messageStarted, "u", "5000000", "7000000", "10000000"))
	if err != nil {
		t.Fatal(err)
	}
	if got := j.started["u"]; got != 8*time.Second {
		t.Errorf("got %v, want 8s", got)
	}
	if _, err := parseJournal("{"); err == nil {
		t.Error("no error for a line cut short")
	}
}

func TestEntriesInPlace(t *testing.T) {
	table := "1 0 0:1 / / rw - btrfs /dev/vda2 rw\n" +
		"2 1 0:1 /d0 /d0 rw - btrfs /dev/vda2 rw\n" +
		"3 1 0:1 /d17 /d17 rw - btrfs /dev/vda2 rw\n" +
		"4 1 0:2 / /dev rw - devtmpfs devtmpfs rw\n\n"
	if got := entriesInPlace(table); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}

func TestSetupsNameTheirUnits(t *testing.T) {
	for _, s := range []*setup{scriptEntries(3), floorEntries(&tools{mount: "mount", rollback: "rollback"}, 3), unitEntries(3)} {
		c, err := s.machine()
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range append(s.units, s.rollback) {
			found := unit == ""
			for _, f := range c.Initrd {
				found = found || strings.HasSuffix(f.Path, "system/"+unit) && strings.Contains(f.Data, "[Unit]")
				if strings.Contains(f.Data, "%!") || strings.Contains(f.Data, "%[") {
					t.Errorf("%s: %s", f.Path, f.Data)
				}
			}
			if !found {
				t.Errorf("%s has no %s", s.label(), unit)
			}
		}
	}
	c, err := config.Parse(machineConfig(2))
	if err != nil {
		t.Fatal(err)
	}
	if c.Root.Kind != config.KindBtrfs {
		t.Errorf("root %+v", c.Root)
	}
}

func TestJudgeBoots(t *testing.T) {
	r := report{Boots: []*boots{
		{Name: nothingName, Times: []bootTimes{{Up: 4 * time.Second}}},
		{Name: ebbName, Entries: 100, Times: []bootTimes{{Ready: 200 * time.Millisecond, Rollback: 120 * time.Millisecond, Up: 5 * time.Second}}},
		{Name: scriptName, Entries: 100, Times: []bootTimes{{Ready: 2 * time.Second, Up: 6 * time.Second}}},
		{Name: floorName, Entries: 100, Times: []bootTimes{{Ready: 100 * time.Millisecond, Rollback: 100 * time.Millisecond}}},
		{Name: ebbName, Entries: 300, Times: []bootTimes{{Ready: 600 * time.Millisecond, Rollback: 130 * time.Millisecond}}},
		{Name: floorName, Entries: 300, Times: []bootTimes{{Ready: 400 * time.Millisecond, Rollback: 100 * time.Millisecond}}},
	}}
	r.judgeBoots()
	r.judgeBootRollback()
	r.judgeLargeBoot(bootTimes{}, errors.New("out of memory\nthe console"))
	for i, met := range []bool{true, false, false, true, true, false} {
		if r.Verdicts[i].Met != met {
			t.Errorf("%+v", r.Verdicts[i])
		}
	}
	rows := r.bootRows()
	if got := rows[2]; got[4] != "10.0" || got[8] != "+2.00 s" {
		t.Errorf("row %q", got)
	}
}

func TestParts(t *testing.T) {
	tests := map[string]string{
		"":                     "start mount rollback diff size vm",
		"-vm":                  "vm",
		"-only mount":          "mount",
		"-only size,vm":        "size vm",
		"-skip vm,rollback":    "start mount diff size",
		"-only mount -skip vm": "mount",
	}
	for args, want := range tests {
		o, err := parseOptions(strings.Fields(args))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range parts() {
			if o.wants(p.name) {
				got = append(got, p.name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", args, got, want)
		}
	}
	if _, err := parseOptions([]string{"-only", "monut"}); err == nil {
		t.Error("no error for a part that there is not")
	}
}

func TestOtherMessagesArePassedOver(t *testing.T) {
	j, err := parseJournal(line("another", "u", "1", "1", "1") + `{"MESSAGE":[1,2],"UNIT":"u"}` + "\n" + starting("v", "1"))
	if err != nil {
		t.Fatal(err)
	}
	if len(j.started) != 0 || len(j.starting) != 1 {
		t.Errorf("got %+v", j)
	}
}
