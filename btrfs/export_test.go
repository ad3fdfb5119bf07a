package btrfs

// WaitCleanedAtOnce is [WaitCleaned] without any patience.
func WaitCleanedAtOnce(fd int, ids []uint64) error {
	return waitCleaned(fd, ids, 0)
}
