package btrfs_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// The tests mount file systems: they do it in a mount namespace of their own.
func TestMain(m *testing.M) { os.Exit(testenv.RunInNamespaces(m)) }

func requireNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func requireError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func mustInfo(t *testing.T, fd int) btrfs.SubvolumeInfo {
	t.Helper()
	info, err := btrfs.Info(fd)
	requireNoError(t, err)
	return info
}

func mustList(t *testing.T, fd int) btrfs.Listing {
	t.Helper()
	listing, err := btrfs.List(fd)
	requireNoError(t, err)
	return listing
}

// paths returns the ids of all subvolumes by path.
func paths(t *testing.T, listing btrfs.Listing) map[string]uint64 {
	t.Helper()
	result := make(map[string]uint64)
	for _, subvolume := range listing {
		path, err := listing.Path(subvolume.ID)
		requireNoError(t, err)
		result[path] = subvolume.ID
	}
	return result
}

func requireGone(t *testing.T, path string) {
	t.Helper()
	if err := unix.Lstat(path, new(unix.Stat_t)); !errors.Is(err, unix.ENOENT) {
		t.Errorf("%s is still there (%v)", path, err)
	}
}

func requireThere(t *testing.T, path string) {
	t.Helper()
	requireNoError(t, unix.Lstat(path, new(unix.Stat_t)))
}
