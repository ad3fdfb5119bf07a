package powercut

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bootLogEntry is a sector, with the data behind it.
func bootLogEntry(sector, count, flags uint64, data []byte) []byte {
	head := make([]byte, sectorSize)
	binary.LittleEndian.PutUint64(head, sector)
	binary.LittleEndian.PutUint64(head[8:], count)
	binary.LittleEndian.PutUint64(head[16:], flags)
	return append(head, data...)
}

func TestParseBootLog(t *testing.T) {
	log := make([]byte, sectorSize)
	binary.LittleEndian.PutUint64(log, bootLogMagic)
	binary.LittleEndian.PutUint64(log[8:], 1)
	binary.LittleEndian.PutUint64(log[16:], 4)
	binary.LittleEndian.PutUint32(log[24:], sectorSize)
	data := make([]byte, 2*sectorSize)
	data[0], data[len(data)-1] = 1, 2
	log = append(log, bootLogEntry(8, 2, 0, data)...)
	log = append(log, bootLogEntry(0, 0, bootLogFlush, nil)...)
	log = append(log, bootLogEntry(4, 1, bootLogDiscard, nil)...)
	log = append(log, bootLogEntry(6, 2, bootLogFUA, data)...)
	records, err := parseBootLog(log, nil)
	if err != nil || len(records) != 4 {
		t.Fatalf("%v, %v", records, err)
	}
	for i, want := range []Record{{Write, 8 * sectorSize, data}, {Kind: Flush}, {Write, 6 * sectorSize, data}, {Kind: Flush}} {
		if got := records[i]; got.Kind != want.Kind || got.Offset != want.Offset || string(got.Data) != string(want.Data) {
			t.Errorf("record %d: %v", i, got)
		}
	}
	for _, length := range []int{0, sectorSize - 1, sectorSize, len(log) - 1} {
		if records, err := parseBootLog(log[:length], nil); err == nil {
			t.Errorf("of %d bytes: %v, want an error", length, records)
		}
	}
}

// A mark stands before what was logged after it.
func TestParseBootLogMarks(t *testing.T) {
	log := make([]byte, sectorSize)
	binary.LittleEndian.PutUint64(log, bootLogMagic)
	binary.LittleEndian.PutUint64(log[8:], 3)
	binary.LittleEndian.PutUint64(log[16:], 3)
	binary.LittleEndian.PutUint32(log[24:], sectorSize)
	var behind []int64
	for n := range uint64(3) {
		log = append(log, bootLogEntry(n, 1, 0, make([]byte, sectorSize))...)
		behind = append(behind, int64(len(log)))
	}
	done := Event{What: RollbackDone, Number: 1}
	for _, test := range []struct {
		behind int64
		want   []Kind
	}{
		{0, []Kind{Mark, Write, Write, Write}},
		{behind[0], []Kind{Write, Mark, Write, Write}},
		{behind[0] + 1, []Kind{Write, Write, Mark, Write}},
		{behind[1], []Kind{Write, Write, Mark, Write}},
		{behind[2], []Kind{Write, Write, Write}}, // nothing can be cut behind it
	} {
		records, err := parseBootLog(log, []BootMark{{Behind: test.behind, Event: done}})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []Kind
		known := newKnowledge()
		for _, r := range records {
			kinds = append(kinds, r.Kind)
			if err := known.learnRecord(r); err != nil {
				t.Error(err)
			}
		}
		if !slices.Equal(kinds, test.want) || (known.Highest == 1) != slices.Contains(test.want, Mark) {
			t.Errorf("a mark behind %d bytes: %v, highest number %d", test.behind, kinds, known.Highest)
		}
	}
}

// A disk on which nothing can be mounted fails, however often it is tried.
func TestUnmountable(t *testing.T) {
	need(t)
	dir := t.TempDir()
	boot := BootRecording{Image: filepath.Join(dir, "image"), Log: filepath.Join(dir, "log")}
	description, err := json.Marshal(boot)
	if err != nil {
		t.Fatal(err)
	}
	log := make([]byte, sectorSize)
	binary.LittleEndian.PutUint64(log, bootLogMagic)
	binary.LittleEndian.PutUint64(log[16:], 1)
	binary.LittleEndian.PutUint32(log[24:], sectorSize)
	log = append(log, bootLogEntry(0, 1, 0, bytes.Repeat([]byte{1}, sectorSize))...)
	for path, data := range map[string][]byte{boot.Image: make([]byte, 1<<20), boot.Log: log, filepath.Join(dir, "boot"): description} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output, err := exec.Command(build(t, ""), "boot", filepath.Join(dir, "boot"), "-cases", dir, "-states", "1").Output()
	if err != nil {
		t.Fatal(err)
	}
	var result Result
	if err := json.Unmarshal(output, &result); err != nil {
		t.Fatal(err)
	}
	if result.Failed != 1 || len(result.Again) != 0 || !strings.Contains(result.Failures[0].Reason, "mount") {
		t.Errorf("%+v", result)
	}
}
