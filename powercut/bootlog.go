package powercut

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// bootScenario is a boot of another machine, whose disk has the files of
// [BootFiles] and whose config has the entries of [BootEntries].
var bootScenario = Scenario{Name: "boot"}

// BootMark is what was acknowledged when the log of such a boot had so many
// bytes.
type BootMark struct {
	Behind int64
	Event  Event
}

// BootDone are the events when the machine is up: the root that was there is
// archived, and programs write to the new one.
func BootDone() []Event {
	return []Event{
		{What: RollbackDone, Generation: 0, Number: 1},
		{What: EntriesDone, Generation: 0},
		{What: WritingBegins, Generation: 1},
	}
}

// scenarioKnowledge is what is known of the disk before the first record. In
// the log of a boot of another machine nothing is marked before the machine is
// up: all of it may be a rollback, what is adopted after it, and what programs
// write to the new root.
func scenarioKnowledge(s *Scenario) *Knowledge {
	k := newKnowledge()
	if s.Name == bootScenario.Name {
		k.Rolling, k.Writing, k.Adopting[0] = true, 1, true
	}
	return k
}

// BootFiles are what the root "@" has on the disk of such a machine, by their
// paths in it. Its directory "srv" is a subvolume.
func BootFiles() map[string]string {
	list := map[string]string{}
	for _, f := range bootScenario.generationFiles("root", 0) {
		list[f.path] = string(f.data)
	}
	return list
}

// BootEntries are the directories that its config has for the store /persist,
// which is the subvolume "@persist", as JSON: one whose data the root has, and
// a new one.
func BootEntries() string {
	return fmt.Sprintf(`{"path": "/var/lib/%s"}, {"path": "/var/%s", "uid": %d, "gid": %d, "mode": "%04o"}`,
		applicationName(0), madeName(1), madeUID, madeGID, madeMode)
}

// BootRecording is a boot of another machine.
type BootRecording struct {
	Image      string // a raw image of the disk before, whole blocks of 4 KiB
	Log        string // what was written to the disk, as QEMU's blklogwrites keeps it
	Marks      []BootMark
	Encryption *Encryption `json:",omitempty"` // of the disk; nil for none
}

// ExploreBoot judges the states of the disk that another machine has booted from.
// Cases that fail are kept in caseDir, not encrypted.
func ExploreBoot(boot *BootRecording, budget Budget, workDir, caseDir string) (*Result, error) {
	start := time.Now()
	records, err := readBootLog(boot.Log, boot.Marks)
	if err != nil {
		return nil, err
	}
	image, err := os.Open(boot.Image)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	disk := &bootDisk{image: image}
	if boot.Encryption != nil {
		disk.offset = boot.Encryption.Offset
		if disk.decrypter, err = newDecrypter(boot.Encryption); err != nil {
			return nil, err
		}
		if records, err = disk.decrypter.decryptRecords(records); err != nil {
			return nil, fmt.Errorf("%s: %w", boot.Log, err)
		}
	}
	result, err := disk.explore(records, budget, workDir, caseDir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", boot.Log, err)
	}
	result.Seconds = time.Since(start).Seconds()
	return result, nil
}

// bootDisk is the disk of such a machine before its boot.
type bootDisk struct {
	image     *os.File
	offset    int64      // of the file system
	decrypter *decrypter // nil where nothing is encrypted
}

func (b *bootDisk) explore(records []Record, budget Budget, workDir, caseDir string) (*Result, error) {
	st, err := b.image.Stat()
	if err != nil {
		return nil, err
	}
	scenario := bootScenario
	scenario.Size = st.Size() - b.offset
	m, err := newMachine(&scenario, workDir)
	if err != nil {
		return nil, err
	}
	result, err := m.exploreBoot(b, records, budget, caseDir)
	if err != nil {
		_ = m.close() // the first error tells more
		return nil, err
	}
	return result, m.close()
}

func (m *machine) exploreBoot(b *bootDisk, records []Record, budget Budget, caseDir string) (*Result, error) {
	if err := b.copyTo(m.disk.image); err != nil {
		return nil, err
	}
	x, first, err := m.startFrom(budget)
	if err != nil {
		return nil, err
	}
	return x.result, x.exploreRecords(records, first, scenarioKnowledge(m.scenario), caseDir)
}

// copyTo makes an image like the disk, not encrypted. What is zero is left alone, so
// that it takes no memory: on an encrypted disk nobody has written there.
func (b *bootDisk) copyTo(image []byte) error {
	block := make([]byte, blockSize)
	for at := int64(0); at < int64(len(image)); at += blockSize {
		if _, err := b.image.ReadAt(block, b.offset+at); err != nil {
			return fmt.Errorf("read %s: %w", b.image.Name(), err)
		}
		if isZero(block) {
			continue
		}
		if b.decrypter != nil {
			if err := b.decrypter.decrypt(block, at); err != nil {
				return err
			}
		}
		copy(image[at:], block)
	}
	return nil
}

func isZero(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}

// The format of the kernel's dm-log-writes
// (drivers/md/dm-log-writes.c), which QEMU's blklogwrites shares: a sector with
// a header, then for each entry a sector, and the data of a write.
const (
	bootLogMagic   = 0x6a736677736872
	bootLogFlush   = 1
	bootLogFUA     = 2
	bootLogDiscard = 4
	bootLogMark    = 8
)

// readBootLog reads such a log. A write that has to be durable by itself (FUA)
// is followed by a flush.
func readBootLog(path string, marks []BootMark) ([]Record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	records, err := parseBootLog(data, marks)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return records, nil
}

func parseBootLog(data []byte, marks []BootMark) ([]Record, error) {
	if len(data) < sectorSize || binary.LittleEndian.Uint64(data) != bootLogMagic {
		return nil, errors.New("not a log of writes")
	}
	count, sector := binary.LittleEndian.Uint64(data[16:]), uint64(binary.LittleEndian.Uint32(data[24:]))
	if sector != sectorSize {
		return nil, fmt.Errorf("a log with sectors of %d bytes, want %d", sector, sectorSize)
	}
	var records []Record
	rest := data[sectorSize:]
	for n := range count {
		for len(marks) > 0 && marks[0].Behind <= int64(len(data)-len(rest)) {
			mark, err := json.Marshal(marks[0].Event)
			if err != nil {
				return nil, err
			}
			records, marks = append(records, Record{Kind: Mark, Data: mark}), marks[1:]
		}
		if len(rest) < sectorSize {
			return nil, fmt.Errorf("it ends within entry %d of %d", n, count)
		}
		offset, length := binary.LittleEndian.Uint64(rest)*sectorSize, binary.LittleEndian.Uint64(rest[8:])*sectorSize
		flags := binary.LittleEndian.Uint64(rest[16:])
		rest = rest[sectorSize:]
		if flags&(bootLogDiscard|bootLogMark) != 0 {
			length = 0
		}
		if uint64(len(rest)) < length {
			return nil, fmt.Errorf("it ends within entry %d of %d", n, count)
		}
		if length > 0 {
			records = append(records, Record{Write, offset, rest[:length]})
		}
		if flags&(bootLogFlush|bootLogFUA) != 0 {
			records = append(records, Record{Kind: Flush})
		}
		rest = rest[length:]
	}
	return records, nil
}
