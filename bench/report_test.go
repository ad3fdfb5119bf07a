package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/config"
)

func milliseconds(values ...int) (samples []sample) {
	for _, v := range values {
		samples = append(samples, sample{Time: time.Duration(v) * time.Millisecond, CPU: time.Millisecond, RSS: 4 << 20})
	}
	return samples
}

// twoTo makes a group in which ebb takes twice what the floor takes.
func twoTo(label string, floor int) *group {
	return &group{Label: label, Series: []series{
		{Name: "ebb mount", Samples: milliseconds(2*floor, 2*floor)},
		{Name: floorName, Samples: milliseconds(floor, floor)},
	}}
}

func TestJudgeMountAllowsForTheStart(t *testing.T) {
	for start, met := range map[int]bool{0: false, 4: false, 6: true} {
		r, g := report{}, twoTo("100", 10)
		g.Series = append(g.Series, series{Name: emptyGoName, Samples: milliseconds(start)}, series{Name: emptyCName, Samples: milliseconds(2)})
		r.judgeMount(g, false)
		if r.Verdicts[0].Met != met {
			t.Errorf("start %v: %+v", start, r.Verdicts[0])
		}
		if memory := r.Verdicts[1]; !memory.Met || memory.Measured != "4.0 MiB" {
			t.Errorf("memory: %+v", memory)
		}
	}
}

func TestJudgeGrowth(t *testing.T) {
	tests := []struct {
		small, large, floorSmall, floorLarge int
		met                                  bool
	}{
		{10, 100, 10, 100, true},  // linear
		{10, 200, 10, 100, false}, // not linear
		{10, 200, 10, 200, true},  // the kernel is not linear
		{10, 105, 10, 50, true},   // the kernel is better than linear
	}
	for _, test := range tests {
		of := func(ebb, floor int) *group {
			return &group{Series: []series{{Name: "ebb mount", Samples: milliseconds(ebb)}, {Name: floorName, Samples: milliseconds(floor)}}}
		}
		var r report
		r.judgeGrowth("growth", "ebb mount", of(test.small, test.floorSmall), of(test.large, test.floorLarge), 10)
		if r.Verdicts[0].Met != test.met {
			t.Errorf("%+v: %+v", test, r.Verdicts[0])
		}
	}
}

func TestRender(t *testing.T) {
	r := report{Ebb: "ebb v1."}
	s := &section{Title: "Entries", Groups: []*group{twoTo("100", 10)}}
	r.Sections = append(r.Sections, s)
	r.judge("something", "at most 1", "2", false)
	tests := []struct {
		format format
		want   []string
	}{
		{plain{}, []string{"\nEntries\n", "ebb mount", "20.00 ms - 20.00 ms", "2.00 [2.00-2.00]", "NOT MET"}},
		{markdown{}, []string{
			"\n## Entries\n",
			"| 100 | ebb mount | 2 | 20.00 ms | 20.00 ms - 20.00 ms | 2.00 [2.00-2.00] | 1.00 ms | 4.0 MiB |\n",
			"| 100 | " + floorName + " | 2 | 10.00 ms | 10.00 ms - 10.00 ms |  | 1.00 ms | 4.0 MiB |\n",
			"|---|---|---|---|\n| something | at most 1 | 2 | NOT MET |\n",
		}},
	}
	for _, test := range tests {
		var out bytes.Buffer
		if err := r.render(&out, test.format); err != nil {
			t.Fatal(err)
		}
		for _, want := range test.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%T lacks %q:\n%s", test.format, want, out.String())
			}
		}
	}
}

func TestSeconds(t *testing.T) {
	for value, want := range map[float64]string{0.00216: "2.16 ms", 0.09949: "99.49 ms", 0.0996: "100 ms", 0.204: "204 ms", 0.9996: "1.00 s", 11.064: "11.06 s"} {
		if got := seconds(value); got != want {
			t.Errorf("seconds(%v) = %q, want %q", value, got, want)
		}
	}
}

func TestMountConfigIsValid(t *testing.T) {
	cfg, err := config.Parse(mountConfig(3))
	if err != nil {
		t.Fatal(err)
	}
	if entries := cfg.Stores[0].Entries; len(entries) != 3 || entries[2].Path != "/d2" {
		t.Errorf("entries %+v", entries)
	}
	if _, err := config.Parse(rollbackConfig("/dev/loop0")); err != nil {
		t.Error(err)
	}
}
