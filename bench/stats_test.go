package main

import (
	"slices"
	"testing"
	"time"
)

func TestSummarize(t *testing.T) {
	tests := []struct {
		values []float64
		want   summary
	}{
		{nil, summary{}},
		{[]float64{3}, summary{3, 3, 3}},
		{[]float64{4, 1}, summary{2.5, 1, 4}},
		{[]float64{9, 1, 2}, summary{2, 1, 9}},
		{[]float64{4, 3, 2, 1}, summary{2.5, 1, 4}},
	}
	for _, test := range tests {
		before := slices.Clone(test.values)
		if got := summarize(test.values); got != test.want {
			t.Errorf("summarize(%v) = %v, want %v", test.values, got, test.want)
		}
		if !slices.Equal(before, test.values) {
			t.Errorf("summarize has changed %v to %v", before, test.values)
		}
	}
}

func TestRatiosAreOfPairs(t *testing.T) {
	got := ratios([]float64{2, 9, 5}, []float64{1, 3})
	if want := []float64{2, 3}; !slices.Equal(got, want) {
		t.Errorf("ratios = %v, want %v", got, want)
	}
}

func TestMaxRSS(t *testing.T) {
	s := series{Samples: []sample{{RSS: 1}, {RSS: 3}, {RSS: 2}}}
	if got := s.maxRSS(); got != 3 {
		t.Errorf("maxRSS = %d, want 3", got)
	}
}

func TestParseSample(t *testing.T) {
	got, err := parseSample("1500000 700000 2048\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := (sample{Time: 1500 * time.Microsecond, CPU: 700 * time.Microsecond, RSS: 2 << 20}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, text := range []string{"", "1 2", "a b c"} {
		if _, err := parseSample(text); err == nil {
			t.Errorf("parseSample(%q) gives no error", text)
		}
	}
}
