package main

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/roots"
	"github.com/ebb-nix/ebb/stores"
)

// prune is one run of the command.
type prune struct {
	*invocation
	root       *config.Root
	bootID     string
	rollback   time.Time // of this boot, zero when not known
	trustClock bool
	wait       bool
	grace      uint64        // days
	trash      []*stores.Day // of all stores
}

func runPrune(i *invocation, args []string) error {
	p := &prune{invocation: i, grace: graceDays}
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	f.BoolVar(&i.dryRun, "dry-run", false, "say what would go and why, change nothing")
	f.BoolVar(&p.wait, "wait", false, "wait until the kernel has freed the space")
	f.BoolVar(&p.trustClock, "trust-clock", false, "believe the clock, also after a jump")
	f.Uint64Var(&p.grace, "grace", graceDays, "how many `DAYS` what was put into the trash of a store stays there")
	root := f.rootVar()
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
	cfg, err := i.config()
	if err != nil {
		return err
	}
	host, err := i.host("/")
	if err != nil {
		return err
	}
	p.bootID = host.BootID
	if p.rollback, err = i.rollbackStarted(); err != nil {
		return err
	}
	failed := p.pruneTrash(cfg, *root)
	p.root, err = archiveOf(cfg)
	switch {
	case err != nil: // nothing but stores
		err = p.print(&roots.Report{Verdicts: []roots.Verdict{}, Deleted: []uint64{}, FreePercent: 100})
	case err == nil && i.dryRun:
		err = initrd.WithTopLevel(p.root, p.plan)
	case err == nil:
		err = host.ChangeTopLevel(p.root, p.run)
	}
	return errors.Join(failed, err)
}

// pruneTrash deletes what has been in the trash of the stores for long enough.
func (p *prune) pruneTrash(cfg *config.Config, root string) error {
	list, err := p.openStores(cfg, root, p.trustClock, true) // without a store there is no trash of it
	failed := []error{err}
	p.trash = []*stores.Day{}
	for _, s := range list {
		days, err := s.Trashed(p.grace)
		failed = append(failed, err)
		p.trash = append(p.trash, days...)
		for _, d := range days {
			if d.Goes && !p.dryRun {
				p.log.Log(kmsg.Info, "deleting %q", d.Path)
				failed = append(failed, s.Delete(d))
			}
		}
		s.Close()
	}
	return errors.Join(failed...)
}

// archiveOf returns the root of a config that has an archive.
func archiveOf(cfg *config.Config) (*config.Root, error) {
	if cfg.Root.Kind != config.KindBtrfs {
		return nil, format.Errorf("a root of kind %s has no archive", cfg.Root.Kind)
	}
	return &cfg.Root, nil
}

// judge asks the retention about every root in the archive.
func (p *prune) judge(top int) ([]roots.Verdict, roots.Clock, error) {
	lastSeen, err := lastClock(top, p.root.Archive)
	if err != nil {
		return nil, roots.Clock{}, err
	}
	clock, err := roots.ReadClock(lastSeen, p.rollback)
	if err != nil {
		return nil, clock, err
	}
	if p.trustClock {
		clock.Synchronized, clock.LastSeen = true, time.Time{}
	}
	list, err := roots.List(top, p.root.Archive)
	return roots.Retain(list, p.root.Keep, clock, p.bootID), clock, err
}

// lastClock is when a prune last believed the clock, zero where there is no archive.
func lastClock(top int, name string) (time.Time, error) {
	fd, err := archive.Open(top, name)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	defer unix.Close(fd)
	return archive.LastClock(fd)
}

func (p *prune) plan(top int) error {
	verdicts, _, err := p.judge(top)
	if err != nil {
		return err
	}
	free, err := roots.FreePercent(top)
	if err != nil {
		return err
	}
	return p.print(&roots.Report{Verdicts: verdicts, Deleted: []uint64{}, FreePercent: free})
}

func (p *prune) run(top int) error {
	remover, err := p.remover(p.root)
	if err != nil {
		return err
	}
	err = remover.Open(top, p.root.Archive)
	if errors.Is(err, fs.ErrNotExist) {
		return p.print(&roots.Report{Verdicts: []roots.Verdict{}, Deleted: []uint64{}, FreePercent: 100})
	}
	if err != nil {
		return err
	}
	defer remover.Close()
	verdicts, clock, err := p.judge(top)
	if err != nil {
		return err
	}
	report, err := remover.Prune(verdicts, p.root.Keep)
	if believed(verdicts) {
		err = errors.Join(err, remover.RememberClock(clock))
	}
	if p.wait {
		err = errors.Join(err, waitCleaned(top))
	}
	return errors.Join(err, p.print(report))
}

// believed reports whether the clock kept no root from being judged by its age.
func believed(verdicts []roots.Verdict) bool {
	for _, v := range verdicts {
		if v.Rule == roots.RuleClock {
			return false
		}
	}
	return true
}

// waitCleaned waits for everything that was ever deleted.
func waitCleaned(top int) error {
	if err := btrfs.Sync(top); err != nil {
		return err
	}
	pending, err := btrfs.Deleted(top)
	if err != nil {
		return err
	}
	return btrfs.WaitCleaned(top, pending)
}

// remover deletes for this invocation, and says so in the log.
func (i *invocation) remover(root *config.Root) (*roots.Remover, error) {
	protected, err := initrd.Protected(root)
	return &roots.Remover{
		Protected: protected,
		Members:   initrd.MemberNames(root),
		Announce:  func(format string, arguments ...any) { i.log.Log(kmsg.Info, format, arguments...) },
	}, err
}

func (p *prune) print(report *roots.Report) error {
	if p.json {
		return printJSON(p.stdout, struct {
			Version     int             `json:"version"`
			Verdicts    []roots.Verdict `json:"verdicts"`
			Deleted     []uint64        `json:"deleted"`
			Subvolumes  int             `json:"subvolumes"`
			FreePercent uint64          `json:"free_percent"`
			Short       bool            `json:"short,omitempty"`
			Trash       []*stores.Day   `json:"trash"`
		}{1, report.Verdicts, report.Deleted, report.Subvolumes, report.FreePercent, report.Short, p.trash})
	}
	for _, d := range p.trash {
		verdict := "stays"
		if d.Goes && p.dryRun {
			verdict = "goes"
		} else if d.Goes {
			verdict = "deleted"
		}
		format.Fprintf(p.stdout, "%s  %s  %s\n", d.Path, verdict, d.Reason)
	}
	if len(report.Verdicts) == 0 {
		format.Fprintln(p.stdout, "No archived root is there.")
		return nil
	}
	var t table
	t.row("NUMBER", "VERDICT", "WHY")
	short := report.FreePercent < p.root.Keep.MinFreePercent
	for _, v := range report.Verdicts {
		t.row(format.Sprint(v.Number), p.verdict(v, report, short), kmsg.Quote(v.Reason))
	}
	t.print(p.stdout)
	format.Fprintf(p.stdout, "\n%d %% of the space is free, %d %% is wanted.\n", report.FreePercent, p.root.Keep.MinFreePercent)
	switch {
	case p.dryRun:
		format.Fprintln(p.stdout, "Nothing was changed; ebb prune deletes what goes.")
	case report.Short:
		format.Fprintln(p.stdout, "Nothing more may go: ebb roots unpin, a lower keep.count, or less data elsewhere would help.")
	}
	return nil
}

// verdict is one word on what becomes of a root.
func (p *prune) verdict(v roots.Verdict, report *roots.Report, short bool) string {
	for _, number := range report.Deleted {
		if number == v.Number {
			return "deleted"
		}
	}
	switch {
	case p.dryRun && v.Deletes():
		return "goes"
	case p.dryRun && short && v.DeletesForSpace():
		return "goes, as long as space is short"
	case v.Deletes():
		return "failed"
	}
	return "stays"
}
