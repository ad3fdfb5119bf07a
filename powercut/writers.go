package powercut

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// slots is how many records of a writer are in its file.
const slots = 8

const slotSize = 4096

// load is what else goes on in the file system.
type load struct {
	machine *machine
	counts  []int    // records of each writer so far
	wholes  chan int // the generations that the live root is of, one after the other
	stop    atomic.Bool
	running sync.WaitGroup
	mu      sync.Mutex
	err     error
}

// writer is how one of them makes a record durable.
type writer func(l *load, index, count int) error

// writers are the kinds; the writer n is of kind n.
var writers = []writer{(*load).overwrite, (*load).replace, (*load).syncDirectories, (*load).overwrite}

// startLoad starts the writers of the scenario. Counts go on where the last
// boot's ended, in a live root that is of the generation.
func (m *machine) startLoad(counts []int, generation int) *load {
	l := &load{machine: m, counts: counts, wholes: make(chan int, 2)}
	l.wholes <- generation
	if m.scenario.InRoot {
		l.running.Go(l.writeInRoots)
	}
	for index := range m.scenario.Writers {
		l.running.Go(func() { l.write(index) })
	}
	if m.scenario.Committer {
		l.running.Go(l.commit)
	}
	return l
}

// end stops the writers and returns what went wrong.
func (l *load) end() error {
	l.stop.Store(true)
	close(l.wholes)
	l.running.Wait()
	return l.err
}

// wrote tells the load that the live root is of that generation now.
func (l *load) wrote(generation int) { l.wholes <- generation }

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
	l.stop.Store(true)
}

func (l *load) write(index int) {
	random := rand.New(rand.NewPCG(uint64(index), uint64(l.machine.boots)))
	for !l.stop.Load() {
		count := l.counts[index] + 1
		if err := writers[index%len(writers)](l, index, count); err != nil {
			l.fail(fmt.Errorf("writer %d: %w", index, err))
			return
		}
		l.counts[index] = count
		l.machine.disk.mark(Event{What: WriteDone, Writer: index, Count: count})
		time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
	}
}

func (l *load) commit() {
	commit, end, err := l.machine.committer()
	if err != nil {
		l.fail(err)
		return
	}
	for !l.stop.Load() && err == nil {
		err = commit()
	}
	if err := errors.Join(err, end()); err != nil {
		l.fail(err)
	}
}

func (m *machine) writerFile(index int) string {
	return m.top("@persist", fmt.Sprintf("writer%d", index))
}

// slot is a record with its number and a checksum.
func slot(count int) []byte {
	data := make([]byte, 8, slotSize)
	binary.LittleEndian.PutUint64(data, uint64(count))
	data = append(data, noise(count, 100+count*37%3000)...)
	return binary.LittleEndian.AppendUint32(data, crc32.ChecksumIEEE(data))
}

// overwrite writes a record over an older one.
func (l *load) overwrite(index, count int) error {
	return overwriteFile(l.machine.writerFile(index), count)
}

func overwriteFile(name string, count int) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(slot(count), int64(count%slots)*slotSize)
	return errors.Join(err, f.Sync(), f.Close())
}

// replace writes a new file and renames it, as programs that save a file do.
func (l *load) replace(index, count int) error {
	return replaceFile(l.machine.writerFile(index), count, l.machine.syncDirectory)
}

func replaceFile(name string, count int, syncDirectory func(path string) error) error {
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(slot(count), int64(count%slots)*slotSize)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(name))
}

// syncDirectories fsyncs the directories in which the rollback and the entries
// rename, and a file beside them, for which btrfs logs or commits more than that
// file.
func (l *load) syncDirectories(index, count int) error {
	f, err := os.OpenFile(l.machine.top("beside"), os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(slot(count), 0)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := l.machine.fsyncDirectories(); err != nil {
		return err
	}
	return l.overwrite(index, count)
}

// fsyncDirectories fsyncs the directories in which the rollback and the entries
// rename, as far as they are there.
func (m *machine) fsyncDirectories() error {
	for _, dir := range []string{m.top(), m.top("@"), m.top("@roots"), m.top("@roots", ".next"), m.top("@persist"), m.top("@persist/var/lib")} {
		if err := m.syncDirectory(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// syncDirectory fsyncs one directory at a time. btrfs answers an fsync at once when
// somebody else has just logged that directory, and is not waited for, while their log
// is not on the disk yet: if that is the first log of a subvolume in a transaction. It
// has the number 0 then, and so has the last one that is on the disk (btrfs_add_log_tree
// in fs/btrfs/disk-io.c, btrfs_inode_in_log in fs/btrfs/btrfs_inode.h; Linux 6.12 to 7.2
// at least). What is told as durable here has to be.
func (m *machine) syncDirectory(path string) error {
	m.directories.Lock()
	defer m.directories.Unlock()
	return syncDirectory(path)
}

func syncDirectory(path string) error {
	fd, err := openDirectory(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fsync(fd)
}

// checkWriter demands the record that was acknowledged last, or a later one in
// its place.
func (m *machine) checkWriter(index, count int) error {
	switch {
	case index%len(writers) == 1:
		return checkReplaced(m.writerFile(index), count)
	case m.hasStoreDisk():
		// Neither ext4 nor XFS writes data to another place than that of the old:
		// the record that is about to be overwritten may be neither.
		return checkOverwritten(m.writerFile(index), count, slots-1)
	}
	return checkOverwritten(m.writerFile(index), count, slots)
}

// checkOverwritten looks for the newest records, so many of them.
func checkOverwritten(name string, count, newest int) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("an acknowledged fsync is lost: %w", err)
	}
	for back := range min(newest, count) {
		if err := checkSlot(data, name, count-back); err != nil {
			return err
		}
	}
	return nil
}

func checkSlot(data []byte, name string, count int) error {
	at := count % slots * slotSize
	found := 0
	if len(data) >= at+8 {
		found = int(binary.LittleEndian.Uint64(data[at:]))
	}
	if found < count || found%slots != count%slots {
		return fmt.Errorf("an acknowledged fsync is lost: %s has record %d where %d was", filepath.Base(name), found, count)
	}
	want := slot(found)
	if len(data) < at+len(want) || !bytes.Equal(data[at:at+len(want)], want) {
		return fmt.Errorf("an acknowledged fsync is lost: record %d of %s is not whole", found, filepath.Base(name))
	}
	return nil
}

// checkReplaced looks into a file that is wholly of one record.
func checkReplaced(name string, count int) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("an acknowledged fsync is lost: %w", err)
	}
	for at := 0; at+8 <= len(data); at += slotSize {
		found := int(binary.LittleEndian.Uint64(data[at:]))
		if found >= count && found < count+2*slots && found%slots == at/slotSize {
			return checkSlot(data, name, found)
		}
	}
	return fmt.Errorf("an acknowledged fsync is lost: %s does not have record %d", filepath.Base(name), count)
}
