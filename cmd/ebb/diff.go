package main

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/catalog"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/diff"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// difference is one run of "ebb diff".
type difference struct {
	*invocation
	cfg      *config.Config
	root     string
	path     string // what is looked at
	depth    uint64
	from     uint64
	since    time.Time
	all      bool
	files    bool
	files0   bool
	nix      bool
	save     bool
	baseline diff.Baseline
	judged   *diff.Judged
	node     uint32 // of path
	found    bool   // something at path is lost
}

func runDiff(i *invocation, args []string) error {
	d := &difference{invocation: i}
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	f.BoolVar(&d.all, "all", false, "show caches and what is ignored, too")
	f.BoolVar(&d.files, "files", false, "list every file")
	f.BoolVar(&d.files0, "files0", false, "list the names of all files, each with a NUL behind it")
	f.BoolVar(&d.nix, "nix", false, "print the lines of the configuration that would keep it")
	f.BoolVar(&d.save, "save", false, "write the report to the first store, too")
	exitCode := f.Bool("exit-code", false, "exit with 1 when something would be lost")
	f.Uint64Var(&d.depth, "depth", 0, "show `N` levels of directories")
	f.Uint64Var(&d.from, "from", 0, "show what archived root `N` had that this one has not")
	f.Func("since", "", "only what was modified since `TIME`: 90m, 2h, 3d ago, or 2006-01-02", func(s string) (err error) {
		d.since, err = parseSince(s, time.Now())
		return err
	})
	root := f.rootVar()
	rest, err := i.parsePaths(f, args, 0, 1)
	if err != nil {
		return err
	}
	d.root, d.path = *root, "/"
	if len(rest) > 0 {
		d.path = rest[0]
	}
	if d.cfg, err = i.config(); err != nil {
		return err
	}
	if err := d.read(); err != nil {
		return err
	}
	if err := d.report(); err != nil {
		return err
	}
	if *exitCode && d.found {
		return errProblems
	}
	return nil
}

// parseSince reads how long ago something was, as 90m, 2h or 3d, or a day.
func parseSince(s string, now time.Time) (time.Time, error) {
	for _, unit := range ageUnits() {
		number, found := strings.CutSuffix(s, unit.name[:1])
		if n, err := strconv.ParseUint(number, 10, 16); found && err == nil {
			return now.Add(-time.Duration(n) * unit.size), nil
		}
	}
	return format.ParseDate(s, time.Local)
}

// read finds out what is lost.
func (d *difference) read() error {
	known, err := catalog.Load()
	if err != nil {
		return err
	}
	how := diff.Judge{Catalog: known, All: d.all, Kept: map[string]bool{}, Homes: d.homes(), Since: -1 << 63}
	if !d.since.IsZero() {
		how.Since = d.since.UnixNano()
	}
	ignore, err := sys.ReadPath(path.Join(path.Dir(d.configPath), "ignore"), config.MaxBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	how.Ignore = diff.ParseIgnore(string(ignore))
	rootFd, err := sys.OpenDirectory(d.root)
	if err != nil {
		return err
	}
	defer unix.Close(rootFd)
	parts := []diff.Part{{Fd: rootFd, Path: "/"}}
	if d.from > 0 {
		return d.readArchived(how, rootFd)
	}
	if err := d.keep(how.Kept); err != nil {
		return err
	}
	host, err := d.host(d.root)
	if err != nil {
		return err
	}
	if record, err := initrd.ReadRecord(host.RunDir, host.BootID); err == nil && record.Baseline != nil {
		d.baseline = diff.Baseline(*record.Baseline)
		parts[0].Directories, _ = sys.ReadPath(path.Join(host.RunDir, directoriesName), 1<<30) // worst case: renames are not noticed
	}
	members, err := initrd.MemberMounts(&d.cfg.Root, d.root)
	if err != nil {
		return err
	}
	for _, m := range members[:len(members)-1] {
		fd, err := sys.OpenDirectory(path.Join(d.root, m.Mount))
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		parts = append(parts, diff.Part{Fd: fd, Path: m.Mount})
	}
	return d.judge(parts, how)
}

func (d *difference) judge(parts []diff.Part, how diff.Judge) error {
	tree, err := diff.Read(parts, d.baseline)
	if err != nil {
		return err
	}
	d.judged = tree.Judge(how)
	d.node, d.found = d.judged.Find(d.path)
	d.found = d.found && d.judged.Sum(d.node).Files > 0
	return nil
}

// keep notes what is not of the root: entries, stores, and all that is mounted.
func (d *difference) keep(kept map[string]bool) error {
	for s := range d.cfg.Stores {
		store := &d.cfg.Stores[s]
		kept[store.Path] = true
		for e := range store.Entries {
			kept[store.Entries[e].Path] = true
		}
	}
	table, err := mounts.ReadMountInfo()
	if err != nil {
		return err
	}
	root, err := sys.Resolve(d.root)
	if err != nil {
		return err
	}
	for _, m := range table {
		if below, inside := strings.CutPrefix(m.MountPoint, strings.TrimSuffix(root, "/")+"/"); inside && below != "" {
			kept["/"+below] = true
		}
	}
	return nil
}

// homes are those of users that /etc/passwd has (passwd(5)).
func (d *difference) homes() (homes []string) {
	data, err := sys.ReadPath(path.Join(d.root, "etc/passwd"), config.MaxBytes)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(line, ":")
		if len(f) >= 6 && len(f[2]) >= 4 && path.IsAbs(f[5]) && f[5] != "/" { // uids from 1000 on
			homes = append(homes, path.Clean(f[5]))
		}
	}
	return homes
}

// readArchived compares an archived root with the present one.
func (d *difference) readArchived(how diff.Judge, rootFd int) error {
	root, err := archiveOf(d.cfg)
	if err != nil {
		return err
	}
	how.Present = func(p string) bool {
		fd, err := unix.Openat2(rootFd, strings.Clone(p), &unix.OpenHow{
			Flags: unix.O_PATH | unix.O_CLOEXEC | unix.O_NOFOLLOW, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
		})
		if err == nil {
			unix.Close(fd)
		}
		return err == nil
	}
	members, err := initrd.MemberMounts(root, d.root)
	if err != nil {
		return err
	}
	return initrd.WithTopLevel(root, func(top int) error {
		var parts []diff.Part
		for n := len(members) - 1; n >= 0; n-- {
			name := format.Sprintf("%s/%06d/%s", root.Archive, d.from, members[n].Name)
			fd, err := sys.OpenBeneath(top, name, unix.O_RDONLY|unix.O_DIRECTORY)
			if err != nil {
				return format.Errorf("open archived root %d: %w", d.from, err)
			}
			defer unix.Close(fd)
			parts = append(parts, diff.Part{Fd: fd, Path: members[n].Mount})
		}
		return d.judge(parts, how)
	})
}

// directoriesName is where the directories of a root in memory are noted, beside
// the boot record.
const directoriesName = "directories"

// recordBaseline notes that activation is over, for later runs.
func recordBaseline(host *initrd.Host, kind config.Kind, rootFd int) error {
	var generation uint64
	if info, err := btrfs.FSInfo(rootFd); err == nil {
		generation = info.Generation
	}
	now, err := diff.Now(generation)
	if err != nil {
		return err
	}
	if err := host.RecordBaseline(initrd.Baseline(now)); err != nil || kind != config.KindTmpfs {
		return err
	}
	return noteDirectories(host.RunDir, rootFd)
}

// noteDirectories notes the directories that a root has now, once in a boot.
func noteDirectories(runDir string, rootFd int) error {
	dir, err := sys.OpenDirectory(runDir)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if sys.Exists(path.Join(runDir, directoriesName)) == nil {
		return nil
	}
	noted, err := diff.Directories(rootFd)
	if err != nil {
		return err
	}
	return sys.ReplaceFile(dir, directoriesName, noted, 0o600) // they tell of names in directories of others
}
