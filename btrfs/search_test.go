package btrfs

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
)

// appendItem appends an item as TREE_SEARCH_V2 writes it.
func appendItem(buffer []byte, key itemKey, data []byte) []byte {
	buffer = binary.NativeEndian.AppendUint64(buffer, 7) // transid
	buffer = binary.NativeEndian.AppendUint64(buffer, key.objectID)
	buffer = binary.NativeEndian.AppendUint64(buffer, key.offset)
	buffer = binary.NativeEndian.AppendUint32(buffer, uint32(key.kind))
	buffer = binary.NativeEndian.AppendUint32(buffer, uint32(len(data)))
	return append(buffer, data...)
}

func rootItemBytes(transactionID, flags uint64, references uint32, uuid UUID) []byte {
	data := make([]byte, rootItemSize)
	binary.LittleEndian.PutUint64(data[rootItemGeneration:], transactionID)
	binary.LittleEndian.PutUint64(data[rootItemFlags:], flags)
	binary.LittleEndian.PutUint32(data[rootItemReferences:], references)
	binary.LittleEndian.PutUint64(data[rootItemGenerationV2:], transactionID)
	copy(data[rootItemUUID:], uuid[:])
	return data
}

func rootReferenceBytes(directoryID uint64, name string) []byte {
	data := binary.LittleEndian.AppendUint64(nil, directoryID)
	data = binary.LittleEndian.AppendUint64(data, 2)
	data = binary.LittleEndian.AppendUint16(data, uint16(len(name)))
	return append(data, name...)
}

func TestItemKeyNext(t *testing.T) {
	tests := []struct {
		key, want itemKey
		ok        bool
	}{
		{itemKey{1, 2, 3}, itemKey{1, 2, 4}, true},
		{itemKey{1, 2, math.MaxUint64}, itemKey{1, 3, 0}, true},
		{itemKey{1, 255, math.MaxUint64}, itemKey{2, 0, 0}, true},
		{itemKey{math.MaxUint64, 255, math.MaxUint64}, itemKey{}, false},
	}
	for _, test := range tests {
		got, ok := test.key.next()
		if got != test.want || ok != test.ok {
			t.Errorf("%v: %v %v, want %v %v", test.key, got, ok, test.want, test.ok)
		}
		if ok && got.compare(test.key) <= 0 {
			t.Errorf("%v is not above %v", got, test.key)
		}
	}
}

func TestEachItem(t *testing.T) {
	first, second := itemKey{256, typeRootItem, 0}, itemKey{256, typeRootBackReference, 5}
	good := appendItem(appendItem(nil, first, []byte("one")), second, nil)
	long := appendItem(nil, first, []byte("one"))
	binary.NativeEndian.PutUint32(long[28:], 4)
	huge := appendItem(nil, first, nil)
	binary.NativeEndian.PutUint32(huge[28:], math.MaxUint32)
	strange := appendItem(nil, first, nil)
	binary.NativeEndian.PutUint32(strange[24:], 256)
	tests := []struct {
		name   string
		buffer []byte
		count  uint32
		from   itemKey
		want   string // in the error; "" for none
	}{
		{"two", good, 2, itemKey{}, ""},
		{"two from the first", good, 2, first, ""},
		{"room behind", append(good[:len(good):len(good)], make([]byte, 100)...), 2, itemKey{}, ""},
		{"more than there are", good, 3, itemKey{}, "begins beyond"},
		{"cut header", good[:len(good)-1], 2, itemKey{}, "begins beyond"},
		{"cut data", good[:searchHeaderSize+2], 1, itemKey{}, "are left"},
		{"length beyond the buffer", long, 1, itemKey{}, "has 4 bytes, 3 are left"},
		{"huge length", huge, 1, itemKey{}, "are left"},
		{"huge count", good, math.MaxUint32, itemKey{}, "begins beyond"},
		{"type", strange, 1, itemKey{}, "type 256"},
		{"below the range", good, 2, second, "out of order"},
		{"twice", appendItem(long[:0:0], first, nil), 2, itemKey{}, "begins beyond"},
		{"same key", appendItem(appendItem(nil, first, nil), first, nil), 2, itemKey{}, "out of order"},
		{"descending", appendItem(appendItem(nil, second, nil), first, nil), 2, itemKey{}, "out of order"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			newest, err := eachItem(test.buffer, test.count, test.from, func(itemKey, []byte) error { return nil })
			switch {
			case test.want == "" && (err != nil || newest != second):
				t.Errorf("got %v, %v", newest, err)
			case test.want != "" && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want ErrCorrupt with %q", err, test.want)
			}
		})
	}
}

func TestEachItemStops(t *testing.T) {
	stop := errors.New("stop")
	buffer := appendItem(appendItem(nil, itemKey{1, 1, 1}, nil), itemKey{1, 1, 2}, nil)
	calls := 0
	_, err := eachItem(buffer, 2, itemKey{}, func(itemKey, []byte) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("%d calls, error %v", calls, err)
	}
}

func TestParseRootItem(t *testing.T) {
	uuid := UUID{1, 2, 3}
	outdated := rootItemBytes(9, 0, 1, uuid)
	binary.LittleEndian.PutUint64(outdated[rootItemGenerationV2:], 8)
	tests := []struct {
		name string
		data []byte
		want rootItem
	}{
		{"writable", rootItemBytes(9, 0, 1, uuid), rootItem{transactionID: 9, uuid: uuid}},
		{"read-only", rootItemBytes(9, 1, 1, uuid), rootItem{transactionID: 9, flags: FlagReadOnly, uuid: uuid}},
		{"no references", rootItemBytes(9, 0, 0, uuid), rootItem{transactionID: 9, deleted: true, uuid: uuid}},
		{"dead", rootItemBytes(9, 1<<48, 1, uuid), rootItem{transactionID: 9, deleted: true, uuid: uuid}},
		{"old format", rootItemBytes(9, 0, 1, uuid)[:rootItemGenerationV2], rootItem{transactionID: 9}},
		{"written by an old kernel", outdated, rootItem{transactionID: 9}},
	}
	for _, test := range tests {
		if got, err := parseRootItem(257, test.data); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v; want %+v", test.name, got, err, test.want)
		}
	}
	if _, err := parseRootItem(257, make([]byte, rootItemGenerationV2-1)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("short item: %v", err)
	}
}

func TestParseRootReference(t *testing.T) {
	directoryID, name, err := parseRootReference(257, rootReferenceBytes(260, "root"))
	if err != nil || directoryID != 260 || name != "root" {
		t.Errorf("got %d %q %v", directoryID, name, err)
	}
	whole := rootReferenceBytes(260, "root")
	bad := map[string][]byte{
		"empty":       nil,
		"short":       whole[:rootReferenceSize-1],
		"cut name":    whole[:len(whole)-1],
		"no name":     rootReferenceBytes(260, ""),
		"up":          rootReferenceBytes(260, ".."),
		"slash":       rootReferenceBytes(260, "a/b"),
		"NUL":         rootReferenceBytes(260, "a\x00"),
		"long name":   rootReferenceBytes(260, strings.Repeat("x", 256)),
		"huge length": append(whole[:16:16], 0xff, 0xff, 'a'),
	}
	for name, data := range bad {
		if _, _, err := parseRootReference(257, data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func defaultBytes(id uint64, name string) []byte {
	data := make([]byte, directoryItemSize)
	binary.LittleEndian.PutUint64(data, id)
	binary.LittleEndian.PutUint16(data[directoryItemNameLength:], uint16(len(name)))
	return append(data, name...)
}

func TestParseDefault(t *testing.T) {
	both := append(defaultBytes(300, "other"), defaultBytes(257, "default")...)
	if id, found, err := parseDefault(both); err != nil || !found || id != 257 {
		t.Errorf("second of two: %d %v %v", id, found, err)
	}
	if _, found, err := parseDefault(defaultBytes(300, "other")); err != nil || found {
		t.Errorf("other name: %v %v", found, err)
	}
	for _, end := range []int{1, directoryItemSize - 1, directoryItemSize, len(both) - 1} {
		if _, _, err := parseDefault(both[:end]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d: %v", end, err)
		}
	}
}

func TestParseInodeReference(t *testing.T) {
	good := append([]byte{2, 0, 0, 0, 0, 0, 0, 0, 3, 0}, "lib"...)
	if name, err := parseInodeReference(good); err != nil || name != "lib" {
		t.Errorf("got %q, %v", name, err)
	}
	dots := append([]byte{2, 0, 0, 0, 0, 0, 0, 0, 2, 0}, ".."...)
	for _, data := range [][]byte{nil, good[:9], good[:10], good[:12], dots} {
		if name, err := parseInodeReference(data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %q, %v", data, name, err)
		}
	}
}

// FuzzSearchResults feeds search results to everything that parses them.
func FuzzSearchResults(f *testing.F) {
	good := appendItem(nil, itemKey{5, typeRootItem, 0}, rootItemBytes(9, 0, 1, UUID{1}))
	good = appendItem(good, itemKey{256, typeRootItem, 0}, rootItemBytes(9, 1, 1, UUID{2}))
	good = appendItem(good, itemKey{256, typeRootBackReference, 5}, rootReferenceBytes(256, "a"))
	good = appendItem(good, itemKey{257, typeRootItem, 0}, rootItemBytes(9, 0, 0, UUID{3}))
	f.Add(good, uint32(4))
	f.Add(good, uint32(5))
	f.Add(good[:len(good)-1], uint32(4))
	f.Add(appendItem(nil, itemKey{6, typeDirectoryItem, 1}, defaultBytes(257, "default")), uint32(1))
	loop := appendItem(nil, itemKey{256, typeRootItem, 0}, rootItemBytes(9, 0, 1, UUID{}))
	loop = appendItem(loop, itemKey{256, typeRootBackReference, 257}, rootReferenceBytes(256, "a"))
	loop = appendItem(loop, itemKey{257, typeRootItem, 0}, rootItemBytes(9, 0, 1, UUID{}))
	loop = appendItem(loop, itemKey{257, typeRootBackReference, 256}, rootReferenceBytes(256, "b"))
	f.Add(loop, uint32(4))
	f.Fuzz(func(t *testing.T, buffer []byte, count uint32) {
		found := newCollector()
		_, err := eachItem(buffer, count, itemKey{}, func(key itemKey, data []byte) error {
			_, _, _ = parseDefault(data)
			_, _ = parseInodeReference(data)
			return found.add(key, data)
		})
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("error %v is not ErrCorrupt", err)
		}
		checkListing(t, found.listing())
	})
}

// checkListing makes sure that the helpers end and agree with each other.
func checkListing(t *testing.T, listing Listing) {
	t.Helper()
	for _, subvolume := range listing {
		_, pathErr := listing.Path(subvolume.ID)
		if below := listing.IsBelow(subvolume.ID, TopLevelID); below && pathErr != nil {
			t.Errorf("%d is below the top level but has no path: %v", subvolume.ID, pathErr)
		}
		descendants, err := listing.Descendants(subvolume.ID)
		if err != nil {
			continue
		}
		seen := make(map[uint64]bool)
		for _, descendant := range descendants {
			if seen[descendant.ParentID] {
				t.Errorf("%d comes after its parent", descendant.ID)
			}
			seen[descendant.ID] = true
			if !listing.IsBelow(descendant.ID, subvolume.ID) {
				t.Errorf("%d is a descendant of %d but not below it", descendant.ID, subvolume.ID)
			}
		}
	}
}
