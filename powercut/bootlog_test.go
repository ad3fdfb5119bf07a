package powercut

import (
	"encoding/binary"
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
	records, err := parseBootLog(log)
	if err != nil || len(records) != 4 {
		t.Fatalf("%v, %v", records, err)
	}
	for i, want := range []Record{{Write, 8 * sectorSize, data}, {Kind: Flush}, {Write, 6 * sectorSize, data}, {Kind: Flush}} {
		if got := records[i]; got.Kind != want.Kind || got.Offset != want.Offset || string(got.Data) != string(want.Data) {
			t.Errorf("record %d: %v", i, got)
		}
	}
	for _, length := range []int{0, sectorSize - 1, sectorSize, len(log) - 1} {
		if records, err := parseBootLog(log[:length]); err == nil {
			t.Errorf("of %d bytes: %v, want an error", length, records)
		}
	}
}
