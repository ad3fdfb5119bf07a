package powercut

import "math/rand/v2"

// superblockOffset is where the first superblock lies. btrfs takes it for
// granted that its 4 KiB are written whole: the mount fails when its checksum
// is wrong, and "btrfs rescue super-recover" is for that. So it is not torn.
const superblockOffset = 64 << 10

// superblockGeneration is where the number of its transaction lies in a superblock.
const superblockGeneration = 72

// subset applies those of the pending writes that are on the disk after the
// cut, and returns how to take them back.
func (x *explorer) subset(pending []Record, seed uint64) (undo []change) {
	if seed == 0 {
		for _, w := range pending {
			undo = append(undo, x.set(w.Offset, w.Data))
		}
		return undo
	}
	random := rand.New(rand.NewPCG(seed, 3))
	keep := x.shares(random)
	for _, w := range pending {
		if random.Float64() >= keep[x.machine.disk.deviceOf(w.Offset)] {
			continue
		}
		if x.mayTear(w) && len(w.Data) > sectorSize && random.IntN(3) == 0 {
			undo = append(undo, x.tear(w, random)...)
			continue
		}
		undo = append(undo, x.set(w.Offset, w.Data))
	}
	return undo
}

// shares says how much of what is pending each device has kept. Of several one may
// have nothing, or all.
func (x *explorer) shares(random *rand.Rand) []float64 {
	shares := []float64{0.2, 0.5, 0.8, 0.95}
	keep := []float64{shares[random.IntN(len(shares))]}
	for shares = append(shares, 0, 1); len(keep) < len(x.machine.disk.Paths); {
		keep = append(keep, shares[random.IntN(len(shares))])
	}
	random.Shuffle(len(keep), func(i, j int) { keep[i], keep[j] = keep[j], keep[i] })
	return keep
}

// mayTear reports whether a write may be on the disk in part. The file systems of
// stores on a disk of their own are taken to be safe from that: of ext4 the
// superblock is not, nor is metadata of XFS that its log says is newer.
func (x *explorer) mayTear(w Record) bool {
	return !x.machine.disk.isSuperblock(w.Offset) && !x.machine.hasStoreDisk()
}

// tear writes some of the sectors: the first ones, or any.
func (x *explorer) tear(w Record, random *rand.Rand) (undo []change) {
	sectors := len(w.Data) / sectorSize
	first := random.IntN(sectors)
	scattered := random.IntN(2) == 0
	for i := range sectors {
		if scattered && random.IntN(2) == 0 || !scattered && i >= first {
			continue
		}
		at := i * sectorSize
		undo = append(undo, x.set(w.Offset+uint64(at), w.Data[at:at+sectorSize]))
	}
	return undo
}
