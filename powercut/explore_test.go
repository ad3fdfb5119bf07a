package powercut

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"testing"
)

// twoDevices is an explorer of a disk of two devices of a page each.
func twoDevices() *explorer {
	disk := &Disk{shared: &shared{image: make([]byte, 2*blockSize)}, Paths: []string{"first", "second"}}
	return &explorer{
		machine: &machine{scenario: &Scenario{}, disk: disk},
		base:    make([]byte, 2*blockSize), hashes: make([]uint64, 2), seed: maphash.MakeSeed(),
	}
}

// What a device has flushed is durable on that one, and another may still lose it.
func TestFlushIsOfOneDevice(t *testing.T) {
	x := twoDevices()
	s := &stage{known: newKnowledge(), records: []Record{
		{Write, 0, []byte{1}}, {Write, blockSize, []byte{2}}, {Kind: Flush, Offset: 1}, {Kind: Flush, Offset: 0},
	}}
	if err := x.advance(s, 3); err != nil {
		t.Fatal(err)
	}
	if len(s.pending) != 1 || s.pending[0].Offset != 0 || x.base[0] != 0 || x.base[blockSize] != 2 {
		t.Errorf("after the flush of the second: %d are pending, the devices begin with %d and %d", len(s.pending), x.base[0], x.base[blockSize])
	}
	if err := x.advance(s, 4); err != nil {
		t.Fatal(err)
	}
	if len(s.pending) != 0 || x.base[0] != 1 {
		t.Errorf("after the flush of both: %d are pending, the first begins with %d", len(s.pending), x.base[0])
	}
}

// A cut may leave one device without anything that was not flushed and the other
// with all of it, either way round.
func TestSharesOfDevices(t *testing.T) {
	x := twoDevices()
	random := rand.New(rand.NewPCG(1, 1))
	var seen [][]float64
	for range 500 {
		seen = append(seen, x.shares(random))
	}
	for _, want := range [][]float64{{0, 0.95}, {0.95, 0}, {1, 0.2}, {0.2, 1}, {0.5, 0.5}} {
		if !slices.ContainsFunc(seen, func(shares []float64) bool { return slices.Equal(shares, want) }) {
			t.Errorf("no state has the shares %v", want)
		}
	}
}

// btrfs check is given the device that the kernel goes by.
func TestNewestDevice(t *testing.T) {
	disk := &Disk{shared: &shared{image: make([]byte, 4*superblockOffset)}, Paths: []string{"first", "second"}}
	for _, c := range []struct {
		first, second byte
		want          string
	}{{0, 0, "first"}, {7, 7, "first"}, {8, 7, "first"}, {7, 9, "second"}} {
		for device, generation := range []byte{c.first, c.second} {
			disk.image[device*2*superblockOffset+superblockOffset+superblockGeneration] = generation
		}
		if got := disk.newest(); got != c.want {
			t.Errorf("of %d and %d the newest is the %s", c.first, c.second, got)
		}
	}
}

// Each device has a superblock that is not torn.
func TestSuperblockOfEachDevice(t *testing.T) {
	disk := &Disk{shared: &shared{image: make([]byte, 4*superblockOffset)}, Paths: []string{"first", "second"}}
	for offset, want := range map[uint64]bool{0: false, superblockOffset: true, 2 * superblockOffset: false, 3 * superblockOffset: true} {
		if got := disk.isSuperblock(offset); got != want {
			t.Errorf("isSuperblock(%d) = %t", offset, got)
		}
	}
}
