package roots

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
)

var today = time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)

func daysAgo(days int) time.Time { return today.AddDate(0, 0, -days) }

// archived is a root with that number, archived at that time by boot "bN".
func archived(number uint64, at time.Time) Root {
	return Root{Number: number, Info: &archive.Info{Sequence: number, Archived: at, Boot: archive.Boot{ID: fmt.Sprintf("b%d", number)}}}
}

// rules puts the verdicts into one line: "9:count 8:age".
func rules(verdicts []Verdict) string {
	var words []string
	for _, v := range verdicts {
		words = append(words, fmt.Sprintf("%d:%s", v.Number, v.Rule))
	}
	return strings.Join(words, " ")
}

func TestRetain(t *testing.T) {
	keep := config.Keep{Count: 2, Days: 30, MinFreePercent: 10}
	pinned := archived(3, daysAgo(400))
	pinned.Pin = &Pin{Why: "the last good one"}
	damaged := Root{Number: 4, Damage: "meta.json cannot be read"}
	good := Clock{Now: today, LastSeen: daysAgo(1)}
	for name, test := range map[string]struct {
		list  []Root
		keep  config.Keep
		clock Clock
		want  string
	}{
		"empty":            {nil, keep, good, ""},
		"fewer than count": {[]Root{archived(1, daysAgo(900))}, keep, good, "1:count"},
		"count, then age": {
			[]Root{archived(9, daysAgo(0)), archived(8, daysAgo(1)), archived(7, daysAgo(29)), archived(6, daysAgo(30)), archived(5, daysAgo(90))},
			keep, good, "9:count 8:count 7:space 6:age 5:age",
		},
		"count goes by number, not by age": {
			[]Root{archived(9, daysAgo(90)), archived(8, daysAgo(90)), archived(7, daysAgo(90))}, keep, good, "9:count 8:count 7:age",
		},
		"pinned and damaged stay": {
			[]Root{archived(9, daysAgo(1)), archived(8, daysAgo(2)), damaged, pinned, archived(2, daysAgo(500))},
			keep, good, "9:count 8:count 4:damaged 3:pinned 2:age",
		},
		"no age limit": {
			[]Root{archived(9, daysAgo(1)), archived(8, daysAgo(1)), archived(7, daysAgo(1))}, config.Keep{Count: 1}, good, "9:count 8:age 7:age",
		},
		"the clock of a boot showed 1970": {
			[]Root{archived(9, daysAgo(0)), archived(8, daysAgo(1)), archived(7, time.Unix(5, 0)), archived(6, daysAgo(3)), archived(5, daysAgo(60))},
			keep, good, "9:count 8:count 7:space 6:space 5:age",
		},
		"every clock showed 1970": {
			[]Root{archived(9, time.Unix(50, 0)), archived(8, time.Unix(40, 0)), archived(7, time.Unix(5, 0))}, keep, good, "9:count 8:count 7:clock",
		},
		"archived in the future, and younger ones": {
			[]Root{archived(9, daysAgo(0)), archived(8, daysAgo(1)), archived(7, daysAgo(50)), archived(6, daysAgo(-5000)), archived(5, daysAgo(60))},
			keep, good, "9:count 8:count 7:clock 6:clock 5:age",
		},
		"the clock shows 1970": {
			[]Root{archived(9, daysAgo(0)), archived(8, daysAgo(1)), archived(7, daysAgo(60))}, keep, Clock{Now: time.Unix(60, 0)}, "9:count 8:count 7:clock",
		},
		"the clock shows 2106": {
			[]Root{archived(9, daysAgo(0)), archived(8, daysAgo(1)), archived(7, daysAgo(2))},
			keep,
			Clock{Now: time.Date(2106, 2, 7, 0, 0, 0, 0, time.UTC), LastSeen: daysAgo(1)},
			"9:count 8:count 7:clock",
		},
		"the clock shows 2106 at the first prune, too": {
			[]Root{archived(9, daysAgo(0)), archived(8, daysAgo(1)), archived(7, daysAgo(2))},
			keep,
			Clock{Now: time.Date(2106, 2, 7, 0, 0, 0, 0, time.UTC)},
			"9:count 8:count 7:clock",
		},
		"set back": {
			[]Root{archived(9, daysAgo(0)), archived(8, daysAgo(1)), archived(7, daysAgo(60))},
			keep,
			Clock{Now: daysAgo(10), LastSeen: daysAgo(1)},
			"9:count 8:count 7:clock",
		},
	} {
		if got := rules(Retain(test.list, test.keep, test.clock, "now")); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, test.want)
		}
	}
}

func TestDoubt(t *testing.T) {
	for name, test := range map[string]struct {
		clock    Clock
		archived time.Time
		doubt    bool
	}{
		"all well":                        {Clock{Now: today, LastSeen: daysAgo(1)}, daysAgo(0), false},
		"first prune of all":              {Clock{Now: today}, time.Time{}, false},
		"1970":                            {Clock{Now: time.Unix(0, 0), Synchronized: true}, time.Time{}, true},
		"a little back":                   {Clock{Now: today.Add(-time.Minute), LastSeen: today}, time.Time{}, false},
		"back":                            {Clock{Now: daysAgo(1), LastSeen: today}, time.Time{}, true},
		"back, and confirmed":             {Clock{Now: daysAgo(1), LastSeen: today, Synchronized: true}, time.Time{}, true},
		"off for a year and a day":        {Clock{Now: today, LastSeen: daysAgo(370)}, time.Time{}, true},
		"the same, confirmed":             {Clock{Now: today, LastSeen: daysAgo(370), Synchronized: true}, time.Time{}, false},
		"set by two days in this boot":    {Clock{Now: today, LastSeen: daysAgo(3), Stepped: 48 * time.Hour}, time.Time{}, true},
		"set back by two days":            {Clock{Now: today, LastSeen: daysAgo(3), Stepped: -48 * time.Hour}, time.Time{}, true},
		"the same, confirmed, both known": {Clock{Now: today, LastSeen: daysAgo(3), Stepped: 48 * time.Hour, Synchronized: true}, time.Time{}, false},
	} {
		if got := test.clock.Doubt(test.archived); (got != "") != test.doubt {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What this very boot has archived says nothing about an earlier clock.
func TestDoubtAsksEarlierBoots(t *testing.T) {
	list := []Root{archived(9, today.AddDate(80, 0, 0)), archived(8, daysAgo(1)), archived(7, daysAgo(2))}
	clock := Clock{Now: today.AddDate(80, 0, 0)}
	if got := rules(Retain(list, config.Keep{Count: 1, Days: 1}, clock, "b9")); got != "9:count 8:clock 7:clock" {
		t.Errorf("got %s", got)
	}
}

func TestReadClock(t *testing.T) {
	c, err := ReadClock(time.Time{}, time.Now())
	if err != nil || c.Now.IsZero() {
		t.Fatalf("%+v, %v", c, err)
	}
	// The rollback seems to have been just now: by as much as the machine is up,
	// the wall clock is behind.
	if c.Stepped > 0 {
		t.Errorf("stepped by %s", c.Stepped)
	}
}
