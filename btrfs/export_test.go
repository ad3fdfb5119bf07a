package btrfs

import "context"

// WaitCleanedAtOnce is [WaitCleaned] without any patience.
func WaitCleanedAtOnce(ctx context.Context, fd int, ids []uint64) error {
	return waitCleaned(ctx, fd, ids, 0)
}
