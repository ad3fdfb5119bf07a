package main

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/roots"
)

// restore is one run of the command.
type restore struct {
	*invocation
	roots.Restore
	cfg       *config.Config
	root      string
	to        string
	intoStore bool
	forget    bool
	paths     []string
}

func runRestore(i *invocation, args []string) (err error) {
	r := &restore{invocation: i}
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	f.BoolVar(&i.dryRun, "dry-run", false, "say what would be restored and from where, change nothing")
	f.Uint64Var(&r.From, "from", 0, "take it from archived root `N`, not from the newest that has it")
	f.BoolVar(&r.Force, "force", false, "move what is in the way to a backup name")
	f.BoolVar(&r.SetID, "set-id", false, "keep set-user-ID and set-group-ID bits and file capabilities")
	root := f.rootVar()
	f.StringVar(&r.to, "to", "", "put it into `DIR`, not in its place")
	f.BoolVar(&r.intoStore, "into-store", false, "put it into the store of the entry that covers it, or the first store")
	f.BoolVar(&r.forget, "forget", false, "bring nothing back: ebb status is to tell of it no more")
	if r.paths, err = i.parsePaths(f, args, 1, -1); err != nil {
		return err
	}
	if r.to != "" && r.intoStore {
		return &usageError{"--to and --into-store exclude each other"}
	}
	if r.cfg, err = i.config(); err != nil {
		return err
	}
	r.root, r.Archive, r.DryRun, r.Flat, r.Store, r.Progress = *root, r.cfg.Root.Archive, i.dryRun, r.to != "", r.intoStore, progress()
	if r.forget {
		for _, p := range r.paths {
			err = errors.Join(err, r.settle(p, 0, -1, ""))
		}
		return err
	}
	if _, err := archiveOf(r.cfg); err != nil {
		return err
	}
	host, err := i.host("/sysroot")
	if err != nil {
		return err
	}
	if r.Members, err = initrd.MemberMounts(&r.cfg.Root, r.root); err != nil {
		return err
	}
	if i.dryRun {
		return initrd.WithTopLevel(&r.cfg.Root, r.run)
	}
	return host.ChangeTopLevel(&r.cfg.Root, r.run)
}

// target is the directory that a path is restored into.
func (r *restore) target(p string) string {
	switch {
	case r.to != "":
		return r.to
	case r.intoStore:
		return r.storeOf(p)
	}
	return r.root
}

// openTarget opens the directory that a path is restored into. In the initrd,
// where the root and the stores may not be mounted yet, what is put in their
// place lies in memory, and is gone when the boot goes on.
func (r *restore) openTarget(dir string) (int, error) {
	if r.to != "" {
		return sys.OpenDirectoryUnlinked(dir)
	}
	fd, err := sys.OpenDirectory(dir)
	if err != nil || !inInitrd() || r.root != defaultRoot() {
		return fd, err
	}
	st, err := sys.Stat(fd)
	if err == nil && !st.IsMountRoot() {
		err = format.Errorf("nothing is mounted on %s: mount it first, or restore elsewhere with --to DIR", dir)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// settle takes the note off the source of an entry that the archived root of that
// number has data for: it was brought back to name in the directory target, which
// is that source or lies in it, or, where the number is 0, nobody wants it.
func (r *restore) settle(p string, number uint64, target int, name string) error {
	dir, err := sys.OpenDirectory(r.storeOf(p))
	if err != nil {
		return nil // no store, no note
	}
	defer unix.Close(dir)
	fd, err := sys.OpenBeneath(dir, strings.TrimPrefix(p, "/"), unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	left := copytree.ReadLeft(fd)
	if r.DryRun || left == 0 || number != 0 && (left != number || !isIn(fd, target, name)) {
		return nil
	}
	return copytree.WriteLeft(fd, 0)
}

// isIn reports whether name in a directory is what source is open on, or the
// directory is.
func isIn(source, dir int, name string) bool {
	is, err := sys.Stat(source)
	if err != nil {
		return false
	}
	if at, err := sys.Stat(dir); err == nil && at.SameInode(&is) {
		return true
	}
	fd, err := sys.OpenBeneath(dir, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	at, err := sys.Stat(fd)
	return err == nil && at.SameInode(&is)
}

// storeOf is the store of the entry that covers a path, the deepest of several,
// else the first.
func (r *restore) storeOf(p string) string {
	deepest, store := "", ""
	for i := range r.cfg.Stores {
		s := &r.cfg.Stores[i]
		if i == 0 {
			store = s.Path
		}
		for j := range s.Entries {
			if e := s.Entries[j].Path; len(e) > len(deepest) && strings.HasPrefix(p+"/", e+"/") {
				deepest, store = e, s.Path
			}
		}
	}
	return path.Join(r.root, store)
}

// run restores each path. What fails keeps none of the others back.
func (r *restore) run(top int) error {
	results := []*roots.Restored{}
	var failed []error
	r.Top = top
	for _, p := range r.paths {
		dir := r.target(p)
		fd, err := r.openTarget(dir)
		if err == nil {
			r.Target = fd
			var result *roots.Restored
			result, err = r.Path(p)
			clearProgress()
			if err == nil {
				results = append(results, result)
				r.printRestored(result, dir)
				err = r.settle(result.Path, result.From, fd, result.Target)
			}
			unix.Close(fd)
		}
		failed = append(failed, err)
	}
	if r.json {
		failed = append(failed, printJSON(r.stdout, struct {
			Version  int               `json:"version"`
			Restored []*roots.Restored `json:"restored"`
		}{1, results}))
	} else if len(results) > 0 && !r.dryRun && !r.Flat && !inInitrd() {
		r.next("ebb why " + shellQuote(results[0].Path))
	}
	return errors.Join(failed...)
}

func (i *invocation) printRestored(r *roots.Restored, dir string) {
	if i.json {
		return
	}
	verb := "restored"
	if i.dryRun {
		verb = "would be restored"
	}
	line := format.Sprintf("%s %s from root %d", path.Join(dir, r.Target), verb, r.From)
	if r.Size != nil {
		line += ": " + formatSum(r.Size.Files, r.Size.Bytes)
	} else {
		line += format.Sprintf(": %d files, %s shared, %s copied", r.Stats.Files, formatSize(r.Stats.Shared), formatSize(r.Stats.Copied))
	}
	if r.Backup != "" {
		line += "; what was there is " + path.Join(dir, r.Backup)
	}
	if r.Stats.Skipped > 0 {
		line += format.Sprintf("; %d sockets or devices left out", r.Stats.Skipped)
	}
	format.Fprintln(i.stdout, kmsg.Quote(line))
}
