package main

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/service"
	"github.com/ebb-nix/ebb/mounts"
)

func runSync(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	f.BoolVar(&i.dryRun, "dry-run", false, "say what would be copied, change nothing")
	watch := f.Bool("watch", false, "go on, copying back what changes, until killed")
	root := f.rootVar()
	paths, err := i.parsePaths(f, args, 0, -1)
	if err != nil {
		return err
	}
	host, err := i.host(*root)
	if err != nil {
		return err
	}
	cfg, err := i.config()
	if err != nil {
		return err
	}
	if err := checkSyncPaths(cfg, paths); err != nil {
		return err
	}
	entries, err := host.EntryRoot(cfg, *root)
	if err != nil {
		return err
	}
	defer unix.Close(entries.Fd)
	entries.Patience = mounts.MostPatience
	switch {
	case i.dryRun:
		return i.reportSync(entries.PlanSyncBack(paths...))
	case *watch:
		return i.watch(entries)
	}
	return i.reportSync(entries.SyncBack(paths...))
}

// checkSyncPaths refuses arguments that are no "sync" entries: nothing would
// be copied, and whoever asked would think otherwise.
func checkSyncPaths(cfg *config.Config, paths []string) error {
	var known []string
	for _, store := range cfg.Stores {
		for _, e := range store.Entries {
			if e.How == config.Sync {
				known = append(known, e.Path)
			}
		}
	}
	for _, p := range paths {
		if !slices.Contains(known, p) {
			return &usageError{format.Sprintf("%s is no \"sync\" entry; there are: %s", kmsg.Quote(p), strings.Join(known, ", "))}
		}
	}
	return nil
}

// watch copies back what changes until the process is killed. The unit runs
// "ebb sync" after that, for what changed last.
func (i *invocation) watch(entries *mounts.Root) error {
	if err := service.Notify("READY=1"); err != nil {
		i.log.Log(kmsg.Refusal, "sync: %v", err)
	}
	return entries.Watch(-1, func(report mounts.Report) { i.logSync(report) })
}

func (i *invocation) logSync(report mounts.Report) (failed int) {
	for _, e := range report.Entries {
		if !e.OK() {
			failed++
			i.log.Log(kmsg.Failure, "sync: %s was not copied back: %s", e.Path, e.Reason)
		}
		for _, note := range e.Notes {
			i.log.Log(kmsg.Refusal, "sync: %s: %s", e.Path, note)
		}
	}
	for _, note := range report.Notes {
		i.log.Log(kmsg.Refusal, "sync: %s", note)
	}
	return failed
}

func (i *invocation) reportSync(report mounts.Report) error {
	if i.json {
		if err := printJSON(i.stdout, struct {
			Version int                  `json:"version"`
			Entries []mounts.EntryResult `json:"entries"`
			Notes   []string             `json:"notes,omitempty"`
		}{1, report.Entries, report.Notes}); err != nil {
			return err
		}
	} else {
		for _, e := range report.Entries {
			line := format.Sprintf("%-10s %s", e.State, kmsg.Quote(e.Path))
			if e.Reason != "" {
				line += " (" + kmsg.Escape(e.Reason) + ")"
			}
			format.Fprintln(i.stdout, line)
		}
	}
	if i.logSync(report) > 0 {
		return errProblems
	}
	return nil
}
