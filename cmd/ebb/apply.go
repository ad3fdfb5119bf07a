package main

import (
	"errors"

	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/keep"
	"github.com/ebb-nix/ebb/mounts"
)

// applied is what "ebb apply" prints.
type applied struct {
	Version int                  `json:"version"`
	Entries []*keep.Result       `json:"entries"` // that were not in place
	Removed []mounts.EntryResult `json:"removed"` // that are in place until the next boot
	Waiting string               `json:"waiting,omitempty"`
}

func runApply(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	f.BoolVar(&i.dryRun, "dry-run", false, "say what would be brought into place, change nothing")
	root := f.rootVar()
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
	_, w, err := i.configAndWork(*root)
	if err != nil {
		return err
	}
	defer w.close()
	out := applied{Version: 1, Entries: []*keep.Result{}, Removed: []mounts.EntryResult{}}
	record, err := initrd.ReadRecord(i.runDir, w.host.BootID)
	switch {
	case errors.Is(err, initrd.ErrNoRecord), err == nil && record.Mount == nil:
		out.Waiting = "ebb has brought no entries into place in this boot: all of them come with the next one"
	case err != nil:
		return err
	case record.Mount.State == initrd.StateKept:
		out.Waiting = "no entries are wanted in this boot: " + record.Mount.Reason
	default:
		out.Removed = append(out.Removed, w.machine.Removed(append(record.Mount.Entries, record.Live...))...)
		w.machine.Boot = record.Mount.Entries
		out.Entries = append(out.Entries, w.machine.Apply(func(r *keep.Result) {
			if !i.json {
				i.printKept(r)
			}
		})...)
	}
	if len(out.Entries) > 0 {
		if err := i.recordKept(w, out.Entries); err != nil {
			i.log.Log(kmsg.Refusal, "apply: %v", err)
		}
	}
	if !i.json {
		i.printApplied(w, &out)
		return problemsOf(out.Entries)
	}
	return errors.Join(printJSON(i.stdout, out), problemsOf(out.Entries))
}

func (i *invocation) printApplied(w *work, out *applied) {
	for _, e := range out.Removed {
		format.Fprintf(i.stdout, "removed %s: stays in place until the next boot, its data stays in %s\n", showText(e.Path), showText(e.Source))
	}
	for _, note := range w.machine.Root.Notes {
		format.Fprintf(i.stdout, "! %s\n", showText(note))
	}
	switch {
	case out.Waiting != "":
		format.Fprintln(i.stdout, out.Waiting)
	case len(out.Entries) == 0:
		format.Fprintln(i.stdout, "Nothing to do: every entry is in place.")
	case problemsOf(out.Entries) != nil:
		format.Fprintln(i.stdout, "\nWhat is not in place waits for the next boot, or for what is said above.")
	case i.dryRun:
		i.next("ebb apply")
	}
}
