package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
)

const (
	// mostEntries is how many the store of the machine's disk has.
	mostEntries = 1000
	// machineMB is the memory of the machine.
	machineMB = 1024
	// bootRuns is how often each set-up is booted.
	bootRuns = 3
)

// bootCases are the numbers of entries that all set-ups are booted with.
func bootCases() []int { return []int{100, 300} }

// measureVM boots virtual machines, with a systemd in the initrd and another
// one after it, as NixOS has them.
func (b *bench) measureVM(r *report) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	m, err := b.newBooter(ctx)
	if err != nil {
		return err
	}
	setups := []*setup{noEntries()}
	for _, entries := range bootCases() {
		setups = append(setups,
			ebbEntries(b.tools.ebb, entries), floorEntries(&b.tools, entries), scriptEntries(entries), unitEntries(entries))
	}
	boots, err := m.bootAll(ctx, setups)
	if err != nil {
		return err
	}
	r.Boots = boots
	r.judgeBoots()
	r.judgeBootRollback()
	r.judgeLargeBoot(m.bootAgain(ctx, ebbEntries(b.tools.ebb, mostEntries)))
	return nil
}

// bootAll boots each set-up as often as it takes, in turn.
func (m *booter) bootAll(ctx context.Context, setups []*setup) ([]*boots, error) {
	contenders := make([]contender[bootTimes], len(setups))
	for i, s := range setups {
		contenders[i] = contender[bootTimes]{s.label(), m.bench.runs(bootRuns), func() (bootTimes, error) {
			return m.bootAgain(ctx, s)
		}}
	}
	results, err := inTurn(m.bench.progress, "boots", contenders)
	if err != nil {
		return nil, err
	}
	all := make([]*boots, len(setups))
	for i, s := range setups {
		all[i] = &boots{Name: s.name, Entries: s.entries, Times: results[i]}
	}
	return all, nil
}

// booter boots machines that have nothing in common but their first contents.
type booter struct {
	bench *bench
	kit   *vmtest.Kit
	disk  string
}

func (b *bench) newBooter(ctx context.Context) (*booter, error) {
	kit, err := vmtest.Prepare(ctx, vmtest.Options{Log: os.Stderr})
	if err != nil {
		return nil, err
	}
	layout := vmtest.DiskLayout{
		Label: diskLabel, Subvolumes: []string{"@", "@nix", "@" + storeName}, ReadOnly: []string{"@blank"}, Store: "@nix",
	}
	layout.Files = append(layout.Files, files.Dir("@roots", 0o700))
	for i := range mostEntries {
		layout.Files = append(layout.Files, files.Dir(filepath.Join("@"+storeName, entryName(i)), 0o755))
	}
	disk, err := kit.Disk(ctx, layout)
	return &booter{bench: b, kit: kit, disk: disk}, err
}

const (
	diskLabel = "bench"
	diskPath  = "/dev/disk/by-label/" + diskLabel
)

// bootAgain is boot with a second try. An emulated machine on a host that is
// busy with something else may be too late, and with it all others would be
// lost.
func (m *booter) bootAgain(ctx context.Context, s *setup) (bootTimes, error) {
	t, err := m.boot(ctx, s)
	if err == nil || ctx.Err() != nil {
		return t, err
	}
	m.bench.progress.step("boot, %s, once more: %v", s.label(), err)
	return m.boot(ctx, s)
}

// boot boots a new machine until its system is up, and returns what its
// journal says of the times.
func (m *booter) boot(ctx context.Context, s *setup) (t bootTimes, err error) {
	began := time.Now()
	m.bench.progress.show("boot, %s", s.label())
	dir, err := os.MkdirTemp(m.bench.dir, "machine-")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(dir)
	c, err := s.machine()
	if err != nil {
		return t, err
	}
	c.Disks, c.MemoryMB, c.CPUs = []string{m.disk}, machineMB, 2
	machine, err := m.kit.NewMachine(dir, c)
	if err != nil {
		return t, err
	}
	defer machine.PowerCut() // nothing in it is wanted any more
	if err := machine.Boot(ctx); err != nil {
		return t, err
	}
	if t, err = lookAt(ctx, machine, s); err != nil {
		return t, err
	}
	m.bench.progress.step("boot, %s: ready %.2f s after the stores, multi-user %.2f s after the start; %.0f s in all",
		s.label(), t.Ready.Seconds(), t.Up.Seconds(), time.Since(began).Seconds())
	return t, nil
}

// lookAt waits for the system of a machine and asks it for its times.
func lookAt(ctx context.Context, machine *vmtest.Machine, s *setup) (t bootTimes, err error) {
	if err := machine.Wait(ctx, vmtest.SystemUp(), vmtest.BootTimeout); err != nil {
		return t, err
	}
	if _, err := machine.Run(ctx, "systemctl", "is-system-running", "--wait"); err != nil {
		return t, err
	}
	table, err := ask(ctx, machine, "cat", "/proc/1/mountinfo")
	if err != nil {
		return t, err
	}
	if got := entriesInPlace(table); got != s.entries {
		return t, fmt.Errorf("%d of %d entries are in place", got, s.entries)
	}
	text, err := ask(ctx, machine, "journalctl", "--boot", "--no-pager", "--output=json",
		"--output-fields=UNIT,MESSAGE_ID,_SOURCE_REALTIME_TIMESTAMP", "_PID=1", "MESSAGE_ID="+messageStarting, "MESSAGE_ID="+messageStarted)
	if err != nil {
		return t, err
	}
	j, err := parseJournal(text)
	if err != nil {
		return t, err
	}
	return j.times(s)
}

// ask runs a command in a machine that must end well.
func ask(ctx context.Context, machine *vmtest.Machine, argv ...string) (string, error) {
	result, err := machine.Run(ctx, argv...)
	if err == nil {
		err = result.Err()
	}
	return result.Stdout, err
}
