package main

import (
	"slices"
	"time"
)

// sample is one run of a program, from before its start to after its end.
type sample struct {
	Time time.Duration `json:"ns"`
	CPU  time.Duration `json:"cpu_ns"` // processor time, user and system
	RSS  int64         `json:"rss"`    // the largest resident set, in bytes
}

// series is all runs of one program in one situation, in the order made.
type series struct {
	Name    string   `json:"name"`
	Samples []sample `json:"samples"`
}

func (s *series) times() []float64 {
	times := make([]float64, len(s.Samples))
	for i, sample := range s.Samples {
		times[i] = sample.Time.Seconds()
	}
	return times
}

func (s *series) processorTimes() []float64 {
	times := make([]float64, len(s.Samples))
	for i, sample := range s.Samples {
		times[i] = sample.CPU.Seconds()
	}
	return times
}

func (s *series) maxRSS() (most int64) {
	for _, sample := range s.Samples {
		most = max(most, sample.RSS)
	}
	return most
}

// summary is what is told of a number of values.
type summary struct{ median, min, max float64 }

func summarize(values []float64) summary {
	if len(values) == 0 {
		return summary{}
	}
	return summary{median: median(values), min: slices.Min(values), max: slices.Max(values)}
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratios divides run by run: what disturbs the machine for longer than a round
// disturbs both.
func ratios(of, by []float64) []float64 {
	out := make([]float64, min(len(of), len(by)))
	for i := range out {
		out[i] = of[i] / by[i]
	}
	return out
}
