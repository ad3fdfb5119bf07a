// Package doctor finds out what is wrong with a machine, and says what to type
// next: in the running system, and most of all in the emergency shell, where
// there is nothing but the binary, its config, and a person in a hurry.
//
// It changes nothing, and it goes on after whatever it finds: one fault is
// seldom alone.
package doctor

import (
	"errors"
	"io/fs"
	"path"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/roots"
)

// Level says how bad a finding is.
type Level string

// The levels.
const (
	Fault   Level = "fault"   // the next boot, or this one, will not do what it should
	Warning Level = "warning" // it works, and may not for ever
	Note    Level = "note"    // good to know
)

// Finding is one thing that was found, and what to do about it.
type Finding struct {
	Level Level    `json:"level"`
	Text  string   `json:"text"`
	Type  []string `json:"type,omitempty"` // what to type next, a line each
}

// Examination is what the doctor looks at.
type Examination struct {
	Host   *initrd.Host
	Config *config.Config // nil when it cannot be read
	// ConfigError is why there is no Config.
	ConfigError error
	ConfigPath  string
	// Root is the directory that the root is, or will be, mounted on.
	Root string
	// Disks is where udev's links to disks are, /dev/disk.
	Disks string
	// KernelLog is what the kernel has logged in this boot.
	KernelLog string

	findings []Finding
}

// Run makes the examination and returns what was found, faults first.
func (x *Examination) Run() []Finding {
	x.findings = []Finding{}
	x.examineKernel()
	if x.Config == nil {
		x.examineConfigError()
		return x.findings
	}
	if x.Config.Root.Kind == config.KindBtrfs && x.examineDevice() {
		x.examineFileSystem()
	}
	x.examineStores()
	x.examineStatus()
	return worstFirst(x.findings)
}

func worstFirst(findings []Finding) []Finding {
	sorted := []Finding{}
	for _, level := range []Level{Fault, Warning, Note} {
		for _, f := range findings {
			if f.Level == level {
				sorted = append(sorted, f)
			}
		}
	}
	return sorted
}

// Sound reports whether no finding is a fault.
func Sound(findings []Finding) bool {
	for _, f := range findings {
		if f.Level == Fault {
			return false
		}
	}
	return true
}

func (x *Examination) add(level Level, text string, commands ...string) {
	x.findings = append(x.findings, Finding{level, text, commands})
}

func (x *Examination) examineKernel() {
	for _, problem := range bugsOf(x.Host.Kernel) {
		x.add(Warning, "kernel "+x.Host.Kernel+": "+problem)
	}
}

func (x *Examination) examineConfigError() {
	var problems config.Problems
	if !errors.As(x.ConfigError, &problems) {
		x.add(Fault, format.Sprintf("%s: %v", x.ConfigPath, x.ConfigError))
		return
	}
	for _, p := range problems {
		x.add(Fault, format.Sprintf("%s: %s", x.ConfigPath, p))
	}
	x.add(Note, "an earlier generation of the system has an earlier config: choose it in the boot menu")
}

// examineDevice reports whether the root's device is there.
func (x *Examination) examineDevice() bool {
	device := x.Config.Root.Device
	err := sys.Exists(device)
	if err == nil {
		return true
	}
	x.add(Fault, format.Sprintf("the root's device %s is not there: %v", device, err), x.otherDevices()...)
	return false
}

// otherDevices are the names that disks have here, and what is on them.
func (x *Examination) otherDevices() (lines []string) {
	x.eachSuperblock(func(link string, s btrfs.Superblock) {
		lines = append(lines, format.Sprintf("# btrfs, label %q, uuid %s: %s", s.Label, s.UUID, link))
	})
	if lines == nil {
		return []string{"ls -l " + x.Disks + "/by-*    # no disk with a btrfs is here: is it encrypted and not open, or its driver not in the initrd?"}
	}
	return lines
}

// namesIn are the paths of what lies in dir.
func namesIn(dir string) (paths []string) {
	fd, err := sys.OpenDirectory(dir)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	names, _ := archive.Names(fd)
	for _, name := range names {
		paths = append(paths, path.Join(dir, name))
	}
	return paths
}

// examineFileSystem looks at what is on the root's device.
func (x *Examination) examineFileSystem() {
	root := &x.Config.Root
	x.examineNames()
	err := initrd.WithTopLevel(root, func(top int) error {
		x.examineSpace(top)
		x.examineArchive(top)
		return x.examineSubvolumes(top)
	})
	if err != nil {
		x.examineMembers()
		x.add(Fault, format.Sprintf("the file system on %s cannot be looked at: %v", root.Device, err),
			"dmesg | tail -n 30", "btrfs check --readonly "+root.Device)
		return
	}
	x.examineLog()
	if _, err := x.Host.PlanRollback(x.Config); errors.Is(err, initrd.ErrRefused) && x.Host.Stage1 {
		x.add(Fault, format.Sprintf("a rollback would refuse: %v", err), asComment(initrd.Hint(err)))
	}
}

func asComment(hint string) string { return "# " + hint }

// lowPercent is how little free space is worth a word.
const lowPercent = 3

func (x *Examination) examineSpace(top int) {
	free, err := roots.FreePercent(top)
	if err != nil || free > lowPercent {
		return
	}
	x.add(Warning, format.Sprintf("only %d %% of the file system is free; a rollback needs a little", free),
		"ebb prune", "ebb roots delete N")
}

func (x *Examination) examineArchive(top int) {
	name := x.Config.Root.Archive
	fd, err := archive.Open(top, name)
	if errors.Is(err, fs.ErrNotExist) {
		x.add(Note, format.Sprintf("no root has been archived yet: %q is not there", name))
		return
	}
	if err != nil {
		x.add(Fault, err.Error(), asComment("a rollback needs the archive: move away what is in its place"))
		return
	}
	defer unix.Close(fd)
	if st, err := sys.Stat(fd); err == nil && st.UID != 0 {
		x.add(Fault, format.Sprintf("the archive %q belongs to user %d", name, st.UID), asComment("move it away; ebb makes a new one"))
	}
	if _, err := sys.StatComponent(fd, archive.Next); err == nil {
		x.add(Note, format.Sprintf("a rollback was interrupted: %q is there; the next one finishes it", path.Join(name, archive.Next)),
			"ebb plan    # says how")
	}
	list, err := roots.List(top, name)
	if err != nil {
		x.add(Warning, err.Error())
	}
	for _, r := range list {
		if r.Damage != "" {
			x.add(Warning, format.Sprintf("archived root %d: %s", r.Number, r.Damage), format.Sprintf("ebb roots delete --damaged %d", r.Number))
		}
	}
}

// examineSubvolumes compares the names in the config with those on the disk.
func (x *Examination) examineSubvolumes(top int) error {
	root := &x.Config.Root
	listing, err := btrfs.List(top)
	if err != nil {
		return err
	}
	there := map[string]btrfs.Subvolume{}
	for _, s := range listing {
		if p, err := listing.Path(s.ID); err == nil {
			there[p] = s
		}
	}
	for _, m := range append([]config.Also{{Name: archive.Root, Subvolume: root.Subvolume, Blank: root.Blank}}, root.Also...) {
		if _, ok := there[m.Subvolume]; !ok {
			x.add(Warning, format.Sprintf("there is no subvolume %q; a rollback makes it anew", m.Subvolume), x.otherSubvolumes(there)...)
		}
		blank, ok := there[m.Blank]
		switch {
		case m.Blank == "":
		case !ok:
			x.add(Note, format.Sprintf("there is no %q: a fresh %q is empty", m.Blank, m.Subvolume))
		case !blank.Flags.IsReadOnly():
			x.add(Warning, format.Sprintf("%q is writable: what changes in it is in every new %q", m.Blank, m.Subvolume),
				"btrfs property set TOP/"+m.Blank+" ro true    # TOP: where subvolid=5 is mounted")
		}
	}
	return nil
}

// otherSubvolumes are those that a name in the config may have been meant for.
func (x *Examination) otherSubvolumes(there map[string]btrfs.Subvolume) (lines []string) {
	for name := range there {
		if name != "." && !strings.HasPrefix(name, x.Config.Root.Archive+"/") && strings.Count(name, "/") < 2 {
			lines = append(lines, "# there is "+name)
		}
	}
	sort.Slice(lines, func(i, j int) bool { return lines[i] < lines[j] })
	return lines
}

// examineStores looks whether each store is a mount of its own.
func (x *Examination) examineStores() {
	for i := range x.Config.Stores {
		where := path.Join(x.Root, x.Config.Stores[i].Path)
		st, err := statPath(where)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			x.add(Fault, format.Sprintf("the store %s is not there", where), "systemctl status $(systemd-escape -p --suffix=mount "+where+")")
		case err != nil:
			x.add(Fault, format.Sprintf("the store %s: %v", where, err))
		case !st.IsMountRoot() && x.Config.Root.Kind != config.KindNone:
			x.add(Fault, format.Sprintf("the store %s is not mounted", where), "systemctl status $(systemd-escape -p --suffix=mount "+where+")")
		}
	}
}

func statPath(p string) (sys.Status, error) {
	fd, err := sys.OpenDirectory(p)
	if err != nil {
		return sys.Status{}, err
	}
	defer unix.Close(fd)
	return sys.Stat(fd)
}

// examineStatus takes over what "ebb status" has to say.
func (x *Examination) examineStatus() {
	status, err := x.Host.Status(x.Config, x.Root)
	if err != nil {
		x.add(Fault, err.Error())
		return
	}
	for _, p := range status.Problems {
		var commands []string
		if p.Hint != "" {
			commands = []string{asComment(p.Hint)}
		}
		x.add(Fault, p.Text, commands...)
	}
}
