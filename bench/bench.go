package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// bench is one run of this program.
type bench struct {
	options  options
	dir      string // for everything that is made; removed at the end
	tools    tools
	progress progress
}

func newBench(o options) (*bench, error) {
	dir, err := os.MkdirTemp(o.dir, "ebb-bench-")
	if err != nil {
		return nil, err
	}
	// Its path stands in mountinfo, so that it has to be the real one.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	b := &bench{options: o, dir: dir, progress: newProgress()}
	if err := b.buildTools(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() {
	b.progress.clear()
	os.RemoveAll(b.dir)
}

// part is one kind of measurement.
type part struct {
	name    string
	measure func(*bench, *report) error
}

// parts are in the order of the report.
func parts() []part {
	return []part{
		{"start", (*bench).measureStart},
		{"mount", (*bench).measureMount},
		{"rollback", (*bench).measureRollback},
		{"diff", (*bench).measureDiff},
		{"size", (*bench).measureSize},
		{"vm", (*bench).measureVM},
	}
}

// measure makes the report. A part that fails is said to be not measured, and
// the others are not lost: then both are returned, the report and an error.
func (b *bench) measure() (*report, error) {
	machine, err := b.describeMachine()
	if err != nil {
		return nil, err
	}
	r := &report{Machine: machine, Ebb: b.describeEbb()}
	var failed error
	for _, p := range parts() {
		if !b.options.wants(p.name) {
			continue
		}
		if err := p.measure(b, r); err != nil {
			reason, _, _ := strings.Cut(err.Error(), "\n")
			r.judge("part "+p.name, "is measured", reason, false)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return r, failed
}

// runs is how often something is measured: what was asked for, a third of it
// with -quick.
func (b *bench) runs(usual int) int {
	switch {
	case b.options.runs > 0:
		return b.options.runs
	case b.options.quick:
		return max(usual/3, 1)
	}
	return usual
}

// fewRuns is for what is slow and shown for comparison alone.
func (b *bench) fewRuns(usual int) int { return min(b.runs(usual), usual) }
