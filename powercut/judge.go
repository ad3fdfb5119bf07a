package powercut

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/kmsg"
)

// judge boots from the disk as it is and says what is wrong with it: before
// anything is done, and after the rollback of that boot, which recovers what
// the cut has left. It leaves the file system unmounted. The log then has what
// that boot has written.
//
// recovered is called when the rollback is over and before anything else is.
// With further, the boot after that is tried, too.
func (m *machine) judge(k *Knowledge, further bool, recovered func() error) error {
	if err := m.disk.Forget(); err != nil {
		return err
	}
	m.disk.reset()
	m.kernel.skip()
	mount := m.mountTop
	if m.hasStoreDisk() {
		mount = m.mountStoreAlone
	}
	if err := mount(); err != nil {
		return &unmountableError{err, m.kernel.about(filepath.Base(m.disk.Paths[0]))}
	}
	if m.hasStoreDisk() {
		return errors.Join(m.judgeStore(k, further), unmount(m.top("@persist")))
	}
	err := m.judgeMounted(k, further, recovered)
	return errors.Join(err, m.unmountTop())
}

// unmountableError is returned for a disk that cannot be mounted as it is.
type unmountableError struct {
	err    error
	kernel string // what the kernel has said
}

func (e *unmountableError) Error() string { return e.err.Error() }
func (e *unmountableError) Unwrap() error { return e.err }

func (m *machine) judgeMounted(k *Knowledge, further bool, recovered func() error) error {
	before, err := m.inspect(true)
	if err != nil {
		return err
	}
	if err := k.checkBefore(before); err != nil {
		return fmt.Errorf("before the recovery: %w", err)
	}
	if err := errors.Join(m.checkStore(k, false), m.checkMoved(k)); err != nil {
		return fmt.Errorf("before the recovery: %w", err)
	}
	version, err := m.changeBlanks()
	if err != nil {
		return err
	}
	m.disk.mark(Event{What: RollbackBegins})
	host, record, err := m.rollback(&kmsg.Logger{})
	if err != nil {
		return err
	}
	m.disk.mark(Event{What: RollbackDone, Generation: unknown, Number: record.Sequence})
	if err := recovered(); err != nil {
		return err
	}
	if err := m.checkRecovered(k, before, record.Sequence, version); err != nil {
		return fmt.Errorf("after the recovery: %w", err)
	}
	if err := host.Rollback(m.cfg); err != nil {
		return fmt.Errorf("a second run in the same boot: %w", err)
	}
	if err := m.checkEntered(k, host); err != nil {
		return fmt.Errorf("after the recovery: %w", err)
	}
	if m.scenario.Delete {
		if err := m.checkCleared(k); err != nil {
			return fmt.Errorf("after the recovery: %w", err)
		}
	}
	if further {
		if err := m.checkNext(k, before, record.Sequence, version); err != nil {
			return err
		}
	}
	if err := m.checkStore(k, true); err != nil {
		return fmt.Errorf("after the recovery: %w", err)
	}
	return nil
}

// checkEntered brings the entries into place, where the cut has left work to be
// done. The entry that is new since the last root was whole must not hide what
// that has, however many boots were cut in between.
func (m *machine) checkEntered(k *Knowledge, host *initrd.Host) error {
	last := fresh
	for generation := range k.Whole {
		last = max(last, generation)
	}
	adopted := m.top("@persist/var/lib", applicationName(last))
	if _, err := os.Lstat(adopted); last == fresh || err == nil && !m.scenario.Keep {
		return nil
	}
	if err := m.mountRoot(); err != nil {
		return err
	}
	err := m.enter(host, last+1)
	if err := errors.Join(err, m.unmountRoot()); err != nil {
		return err
	}
	if err := checkFiles(adopted, m.contents.of(applicationMember, last)); err != nil {
		return fmt.Errorf("the data of generation %d, which is to be adopted: %w", last, err)
	}
	return m.checkAdopted(last)
}

// checkNext makes another rollback, in the next boot. It finds nothing to clear
// up.
func (m *machine) checkNext(k *Knowledge, before []place, number uint64, version string) error {
	_, next, err := m.rollback(&kmsg.Logger{})
	if err != nil {
		return fmt.Errorf("the boot after the recovery: %w", err)
	}
	if len(next.Recovered) > 0 {
		return fmt.Errorf("the boot after the recovery still recovers: %s", next.Recovered[0])
	}
	if next.Sequence != number+1 {
		return fmt.Errorf("the boot after the recovery has number %d after %d", next.Sequence, number)
	}
	if err := m.checkRecovered(k, before, next.Sequence, version); err != nil {
		return fmt.Errorf("in the boot after the recovery: %w", err)
	}
	return nil
}

// changeBlanks makes the blanks others than they were before the cut, so that
// a root which was made then is not taken for a fresh one.
func (m *machine) changeBlanks() (version string, err error) {
	for _, b := range m.scenario.members() {
		if b.blank == "" {
			continue
		}
		version = fmt.Sprintf("changed for %d", m.boots+1)
		if err := os.WriteFile(m.top(b.blank, versionFile), []byte(version), 0o644); err != nil {
			return "", err
		}
	}
	return version, nil
}

// checkBefore judges what a cut has left.
func (k *Knowledge) checkBefore(places []place) error {
	for i := range places {
		if err := k.checkPlace(&places[i]); err != nil {
			return fmt.Errorf("%s: %w", &places[i], err)
		}
	}
	for generation := range k.Whole {
		if err := onceEach(places, generation); err != nil {
			return err
		}
	}
	return k.checkDoomedTogether(places)
}

func (k *Knowledge) checkPlace(p *place) error {
	if p.where == isLive {
		return k.checkLive(p)
	}
	if p.generation == fresh {
		return nil
	}
	if number, doomed := k.Doomed[p.generation]; doomed {
		return k.checkDoomed(p, number)
	}
	whole := k.Whole[p.generation]
	switch {
	case p.where == isTrash:
		return fmt.Errorf("generation %d is about to be deleted", p.generation)
	case p.where == isStaged && !(k.Rolling && p.generation == k.Live):
		return fmt.Errorf("generation %d is there though no rollback was under way", p.generation)
	case whole && p.notWhole != nil:
		return fmt.Errorf("generation %d: %w", p.generation, p.notWhole)
	case whole && p.where == isArchived && p.meta != nil:
		return p.meta
	}
	number, acknowledged := k.Archived[p.generation]
	switch {
	case !acknowledged:
	case p.where != isArchived || p.number != number:
		return fmt.Errorf("generation %d was archived as %06d", p.generation, number)
	case !p.info.Flags.IsReadOnly():
		return errors.New("it can be written to")
	}
	return k.checkFsynced(p)
}

// checkLive judges a live subvolume: it is wholly the old one or wholly a fresh
// one.
func (k *Knowledge) checkLive(p *place) error {
	switch {
	case p.generation == fresh && k.Live != fresh && !k.Rolling:
		return fmt.Errorf("it is fresh, and no rollback was begun since generation %d", k.Live)
	case p.generation == fresh && k.Writing == fresh:
		return p.notFresh
	case p.generation == fresh, p.generation == k.Writing:
		return nil // programs had begun to write
	case p.generation != k.Live:
		return fmt.Errorf("it is generation %d, which was rolled back", p.generation)
	case p.notWhole != nil:
		return p.notWhole
	}
	return k.checkFsynced(p)
}

// onceEach demands each subvolume of a generation in exactly one place.
func onceEach(places []place, generation int) error {
	count := map[string]int{}
	for i := range places {
		count[places[i].member] += 0
		if places[i].generation == generation {
			count[places[i].member]++
		}
	}
	for member, times := range count {
		if times != 1 {
			return fmt.Errorf("the %s of generation %d is in %d places", member, generation, times)
		}
	}
	return nil
}

// checkRecovered judges the disk after a rollback: everything that anything was
// written to is archived, and the live ones are fresh.
func (m *machine) checkRecovered(k *Knowledge, before []place, number uint64, version string) error {
	places, err := m.inspect(false)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(m.top("@roots", archive.Next)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is a staging directory (%v)", err)
	}
	var highest uint64
	for i := range places {
		p := &places[i]
		highest = max(highest, p.number)
		if err := k.checkRecoveredPlace(p, version); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	if number <= k.Highest || highest != number {
		return fmt.Errorf("number %d is given out after %d, the highest there is %d", number, k.Highest, highest)
	}
	return checkAllArchived(k, before, places)
}

func (k *Knowledge) checkRecoveredPlace(p *place, version string) error {
	switch {
	case p.where == isLive:
		if p.generation != fresh {
			return fmt.Errorf("it is generation %d", p.generation)
		}
		return checkFresh(p.path, version)
	case p.generation == fresh:
		return nil
	case k.isDoomed(p.generation):
		return k.checkDoomed(p, k.Doomed[p.generation])
	case p.where != isArchived:
		return fmt.Errorf("it is generation %d", p.generation)
	case !k.Whole[p.generation]:
		return nil
	case p.notWhole != nil:
		return p.notWhole
	case p.meta != nil:
		return p.meta
	case !p.info.Flags.IsReadOnly():
		return errors.New("it can be written to")
	}
	if number, acknowledged := k.Archived[p.generation]; acknowledged && number != p.number {
		return fmt.Errorf("generation %d was archived as %06d", p.generation, number)
	}
	return k.checkFsynced(p)
}

// checkAllArchived demands everything that was there before, and that what was
// live together is archived together.
func checkAllArchived(k *Knowledge, before, after []place) error {
	type identity struct {
		member     string
		generation int
	}
	number := map[identity]uint64{}
	for i := range after {
		if p := &after[i]; p.where == isArchived && p.generation != fresh {
			id := identity{p.member, p.generation}
			if other, twice := number[id]; twice {
				return fmt.Errorf("the %s of generation %d is in %06d and in %06d", p.member, p.generation, other, p.number)
			}
			number[id] = p.number
		}
	}
	for i := range before {
		p := &before[i]
		if _, kept := number[identity{p.member, p.generation}]; p.generation != fresh && p.where != isTrash && !kept {
			return fmt.Errorf("%s, generation %d, is gone", p, p.generation)
		}
	}
	for generation := range k.Whole {
		if home, also := number[identity{"home", generation}]; also && home != number[identity{"root", generation}] {
			return fmt.Errorf("generation %d is torn apart: its home is in %06d", generation, home)
		}
	}
	return nil
}

// checkStore judges what lies in the store, before a boot or after one. Of a file
// that was never copied back the boot takes in what the old root has: a program
// has written that without an fsync, so after a cut it may be anything.
func (m *machine) checkStore(k *Knowledge, afterBoot bool) error {
	for generation := range k.Adopting {
		if err := m.checkAdopted(generation); err != nil {
			return err
		}
	}
	if !afterBoot || k.Synced > 0 {
		if err := m.checkSynced(k); err != nil {
			return err
		}
	}
	if err := errors.Join(m.checkRestored(k), m.checkKept(k), m.checkSyncedFiles(k, afterBoot)); err != nil {
		return err
	}
	for writer, count := range k.WritersAcknowledged {
		if err := m.checkWriter(writer, count); err != nil {
			return err
		}
	}
	return nil
}

// checkAdopted demands that what an entry has brought into the store is whole,
// or not there.
func (m *machine) checkAdopted(generation int) error {
	adopted := m.top("@persist/var/lib", applicationName(generation))
	if _, err := os.Lstat(adopted); err == nil {
		if err := checkFiles(adopted, m.contents.of(applicationMember, generation)); err != nil {
			return fmt.Errorf("the adopted data of generation %d: %w", generation, err)
		}
	}
	var st unix.Stat_t
	made := m.top("@persist/var", madeName(generation+1))
	if unix.Lstat(made, &st) == nil && (st.Uid != madeUID || st.Gid != madeGID || st.Mode&0o7777 != madeMode) {
		return fmt.Errorf("the new source %s belongs to %d:%d and has mode %04o", filepath.Base(made), st.Uid, st.Gid, st.Mode&0o7777)
	}
	return nil
}

// checkSyncedFiles demands the files that somebody has synced. After a boot those
// of the root are in the archive.
func (m *machine) checkSyncedFiles(k *Knowledge, afterBoot bool) error {
	for path, text := range k.Files {
		if afterBoot && strings.HasPrefix(path, "@/") {
			continue
		}
		data, err := os.ReadFile(m.top(path))
		if err != nil {
			return fmt.Errorf("a file that was synced is lost: %w", err)
		}
		if string(data) != text {
			return fmt.Errorf("a file that was synced is lost: %s holds %q", path, data)
		}
	}
	return nil
}

func (m *machine) checkSynced(k *Knowledge) error {
	data, err := os.ReadFile(m.top("@persist", syncedFile))
	if errors.Is(err, fs.ErrNotExist) && k.Synced == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the file that is copied back: %w", err)
	}
	version, err := parseSynced(data)
	if err != nil {
		return fmt.Errorf("the file that is copied back: %w", err)
	}
	if version < k.Synced || version > k.Syncing {
		return fmt.Errorf("the file that is copied back has version %d, not %d to %d", version, k.Synced, k.Syncing)
	}
	return nil
}
