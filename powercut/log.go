package powercut

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Kind is what a record of the log is.
type Kind uint32

// The kinds.
const (
	Write   Kind = 1 // of Data at Offset
	Flush   Kind = 2 // what was written before it to block device number Offset is durable
	Mark    Kind = 3 // what the test knows: Data is the JSON of an [Event]
	Discard Kind = 4 // of as many bytes at Offset as the number in Data says
)

// Record is one entry of the log.
type Record struct {
	Kind   Kind
	Offset uint64
	Data   []byte
}

// written is the record as a write: discarded sectors are zeros, or what they
// were as long as no flush has come.
func (r Record) written() (write Record, ok bool) {
	switch r.Kind {
	case Write:
		return r, true
	case Discard:
		return Record{Write, r.Offset, make([]byte, binary.NativeEndian.Uint64(r.Data))}, true
	}
	return Record{}, false
}

// Sizes of the shared memory. Only what is used takes memory.
const (
	logCapacity  = 2 << 30
	logStart     = 4096 // the first page has the position of the end
	recordHeader = 24   // ready, kind, length, padding, offset
	recordAlign  = 8
)

// shared is the memory that the disk's process and the test have in common:
// the image and the log. Records of writes and flushes come from the one,
// marks from the other. A record has its place in the log from the moment that
// the end was moved behind it.
type shared struct {
	image []byte
	log   []byte
}

func mapShared(imageFd, logFd int, size int64) (*shared, error) {
	image, err := unix.Mmap(imageFd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the image: %w", err)
	}
	log, err := unix.Mmap(logFd, 0, logCapacity, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the log: %w", err)
	}
	return &shared{image: image, log: log}, nil
}

// end is where the next record goes, counted from logStart.
func (s *shared) end() *uint64 { return (*uint64)(unsafe.Pointer(&s.log[0])) }

// append adds a record. It reports whether there was room for it.
func (s *shared) append(kind Kind, offset uint64, data []byte) bool {
	size := uint64(recordHeader+len(data)+recordAlign-1) &^ (recordAlign - 1)
	at := logStart + atomic.AddUint64(s.end(), size) - size
	if at+size > uint64(len(s.log)) {
		return false
	}
	record := s.log[at : at+size]
	binary.NativeEndian.PutUint32(record[4:], uint32(kind))
	binary.NativeEndian.PutUint32(record[8:], uint32(len(data)))
	binary.NativeEndian.PutUint64(record[16:], offset)
	copy(record[recordHeader:], data)
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&record[0])), 1)
	return true
}

// records returns what was logged since the last reset, without copying the
// data. Nobody may be writing.
func (s *shared) records() ([]Record, error) {
	end := logStart + atomic.LoadUint64(s.end())
	if end > uint64(len(s.log)) {
		return nil, fmt.Errorf("the log of %d bytes is full", len(s.log))
	}
	return parseRecords(s.log[logStart:end])
}

func parseRecords(text []byte) ([]Record, error) {
	var records []Record
	for at := 0; at < len(text); {
		if len(text)-at < recordHeader || binary.NativeEndian.Uint32(text[at:]) != 1 {
			return nil, fmt.Errorf("the log is damaged at byte %d", at)
		}
		length := int(binary.NativeEndian.Uint32(text[at+8:]))
		if len(text)-at-recordHeader < length {
			return nil, fmt.Errorf("the log ends within the record at byte %d", at)
		}
		records = append(records, Record{
			Kind:   Kind(binary.NativeEndian.Uint32(text[at+4:])),
			Offset: binary.NativeEndian.Uint64(text[at+16:]),
			Data:   text[at+recordHeader : at+recordHeader+length],
		})
		at += (recordHeader + length + recordAlign - 1) &^ (recordAlign - 1)
	}
	return records, nil
}

// raw is the log as it is kept in a file.
func (s *shared) raw() []byte { return s.log[logStart : logStart+atomic.LoadUint64(s.end())] }

// reset empties the log. Nobody may be writing.
func (s *shared) reset() {
	clear(s.raw())
	atomic.StoreUint64(s.end(), 0)
}
