package main

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/roots"
	"github.com/ebb-nix/ebb/stores"
)

// ignoredName is the file beside the config that says what in the stores is
// the user's own business: absolute paths, one a line.
const ignoredName = "orphans-ignore"

// graceDays is how long what was put into the trash of a store stays there.
const graceDays = 30

func runOrphans(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	f.BoolVar(&i.dryRun, "dry-run", false, "only say what would be done")
	root := f.rootVar()
	trash := f.Bool("trash", false, "put the PATHs into the trash of their store, for 30 days")
	restore := f.Bool("restore", false, "put the PATHs back from the trash of their store")
	record := f.Bool("record", false, "only note in the ledgers what is declared in this boot")
	paths, err := i.parse(f, args, 0, -1)
	if err != nil {
		return err
	}
	if moves := *trash != *restore; moves != (len(paths) > 0) || *record && moves {
		return &usageError{"it takes PATHs with either --trash or --restore"}
	}
	cfg, err := i.config()
	if err != nil {
		return err
	}
	list, err := i.openStores(cfg, *root, false, false)
	for _, s := range list {
		defer s.Close()
	}
	switch {
	case *record:
		for _, s := range list {
			if i.dryRun {
				format.Fprintf(i.stdout, "%d entries would be noted in %s\n", s.Declared(), showText(s.LedgerPath()))
			} else {
				err = errors.Join(err, s.Record())
			}
		}
		return err
	case *trash:
		return errors.Join(err, i.moveOrphans(list, paths, (*stores.Store).Trash, "moved to", "ebb orphans --restore "))
	case *restore:
		return errors.Join(err, i.moveOrphans(list, paths, (*stores.Store).Restore, "restored from", "ebb why "))
	}
	return errors.Join(err, i.listOrphans(list))
}

// openStores opens all stores that can be opened.
func (i *invocation) openStores(cfg *config.Config, root string, trustClock, mayMiss bool) (list []*stores.Store, err error) {
	ignored, err := sys.ReadPath(path.Join(path.Dir(i.configPath), ignoredName), config.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	ignore := strings.Split(string(ignored), "\n")
	for _, s := range cfg.Stores {
		ignore = append(ignore, s.Path)
	}
	started, clockErr := i.rollbackStarted()
	failed := []error{err, clockErr}
	for n := range cfg.Stores {
		s, err := stores.Open(root, &cfg.Stores[n], ignore)
		if mayMiss && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			var clock roots.Clock
			clock, err = roots.ReadClock(s.LastSeen(), started)
			if s.Now = clock.Now; !trustClock {
				s.Doubt = clock.Doubt(time.Time{})
			}
			list = append(list, s)
		}
		failed = append(failed, err)
	}
	return list, errors.Join(failed...)
}

// rollbackStarted is when the rollback of this boot ran, zero when not known.
func (i *invocation) rollbackStarted() (started time.Time, err error) {
	host, err := i.host("/")
	if err != nil {
		return started, err
	}
	if record, err := initrd.ReadRecord(host.RunDir, host.BootID); err == nil && record.Rollback != nil {
		started = record.Rollback.Started
	}
	return started, nil
}

// moved is what became of one path.
type moved struct {
	Path  string `json:"path"`
	Trash string `json:"trash"`
}

// moveOrphans moves each path, and ends with what to type next. What fails keeps
// none of the others back.
func (i *invocation) moveOrphans(list []*stores.Store, paths []string, move func(*stores.Store, string, bool) (string, error), verb, next string) error {
	if i.dryRun {
		verb = "would be " + verb
	}
	results := []moved{}
	var failed []error
	for _, p := range paths {
		p = path.Clean(p)
		var in *stores.Store // the innermost
		for _, s := range list {
			if strings.HasPrefix(p, s.Path+"/") && (in == nil || len(s.Path) > len(in.Path)) {
				in = s
			}
		}
		trash, err := "", errors.New("it lies in no store")
		if in != nil {
			trash, err = move(in, p[len(in.Path):], i.dryRun)
		}
		if err != nil {
			failed = append(failed, format.Errorf("%q: %w", p, err))
			continue
		}
		results = append(results, moved{p, trash})
		if !i.json {
			format.Fprintf(i.stdout, "%s %s %s\n", showText(p), verb, showText(trash))
		}
	}
	if i.json {
		failed = append(failed, printJSON(i.stdout, struct {
			Version int     `json:"version"`
			Moved   []moved `json:"moved"`
		}{1, results}))
	} else if len(results) > 0 && !i.dryRun {
		i.next(next + shellQuote(results[0].Path))
	}
	return errors.Join(failed...)
}

func (i *invocation) listOrphans(list []*stores.Store) error {
	orphans, days := []*stores.Orphan{}, []*stores.Day{}
	var failed []error
	for _, s := range list {
		more, err := s.Orphans()
		trash, trashErr := s.Trashed(graceDays)
		orphans, days = append(orphans, more...), append(days, trash...)
		failed = append(failed, err, trashErr)
	}
	if i.json {
		return errors.Join(append(failed, printJSON(i.stdout, struct {
			Version int              `json:"version"`
			Orphans []*stores.Orphan `json:"orphans"`
			Trash   []*stores.Day    `json:"trash"`
		}{1, orphans, days}))...)
	}
	if len(orphans) == 0 {
		format.Fprintln(i.stdout, "Everything in the stores is declared.")
	} else {
		printOrphans(i, orphans)
	}
	for _, d := range days {
		format.Fprintf(i.stdout, "In the trash: %s, %s\n", d.Path, d.Reason)
	}
	if len(orphans) > 0 {
		i.next("ebb orphans --trash " + shellQuote(orphans[0].Path))
	}
	return errors.Join(failed...)
}

func printOrphans(i *invocation, orphans []*stores.Orphan) {
	var t table
	t.row("PATH", "SIZE", "FILES", "DECLARED UNTIL")
	for _, o := range orphans {
		since := "never that is known"
		if o.DeclaredUntil != nil {
			since = shortTime(*o.DeclaredUntil)
		}
		if o.Mounted != "" {
			since += ", in use on " + showText(o.Mounted)
		}
		name := showText(o.Path)
		if o.Type == "directory" {
			name += "/"
		}
		t.row(name, formatSize(o.Bytes), format.Sprint(o.Files), since)
	}
	t.print(i.stdout)
}
