package main

import (
	"context"
	"errors"
	"os"
	"time"
)

// run tells the story with a machine in a directory for temporary files. It reports whether all that was claimed was so.
func run(ctx context.Context, o options, s *screen) (allSo bool, err error) {
	s.text("ebb gives a machine a root file system that is new at every boot, and brings what shall stay back into its " +
		"place. This boots a virtual machine twice to show it.")
	dir, err := os.MkdirTemp("", "ebb-demo-")
	if err != nil {
		return false, err
	}
	allSo, err = demonstrate(ctx, o, s, dir)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	// Files of a failure are wanted, those of an interruption are not.
	if o.keep || (!allSo && ctx.Err() == nil) {
		s.line("\nThe machine's disk and the logs of its console are in %s.", dir)
		return allSo, err
	}
	return allSo, errors.Join(err, os.RemoveAll(dir))
}

// demonstrate prepares a machine in dir and tells the story. The machine is off in the end.
func demonstrate(ctx context.Context, o options, s *screen, dir string) (allSo bool, err error) {
	start := time.Now()
	m, err := prepare(ctx, s, dir)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, m.PowerCut()) }()
	prepared := time.Now()
	t := &teller{screen: s, machine: m, verbose: o.verbose}
	story := t.story()
	err = t.tell(ctx, story)
	if ctx.Err() != nil {
		return false, err // there is nobody to read a summary
	}
	allSo = summarize(s, claims(story))
	s.line("\nIt took %.0f s to prepare the machine, and %.0f s to boot it twice and look at it.",
		prepared.Sub(start).Seconds(), time.Since(prepared).Seconds())
	return allSo && err == nil, err
}
