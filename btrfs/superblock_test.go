package btrfs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestReadSuperblock(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{MkfsOptions: []string{"--label", "my disk"}})
	fs, err := btrfs.FSInfo(f.Open())
	if err != nil {
		t.Fatal(err)
	}
	s, err := btrfs.ReadSuperblock(f.Device())
	if err != nil || s.UUID != fs.UUID || s.Label != "my disk" || s.HasLog || s.Devices != 1 || s.DeviceID != 1 {
		t.Errorf("%+v, %v; want uuid %s", s, err, fs.UUID)
	}
	// An fsync leaves a log, and a commit ends it.
	file, err := os.Create(f.Path("file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("data"); err != nil {
		t.Fatal(err)
	}
	requireNoError(t, btrfs.Sync(f.Open()))
	if _, err := file.WriteString("more"); err != nil {
		t.Fatal(err)
	}
	requireNoError(t, file.Sync())
	if s, err := btrfs.ReadSuperblock(f.Device()); err != nil || !s.HasLog {
		t.Errorf("after an fsync: %+v, %v", s, err)
	}
	requireNoError(t, file.Close())
	f.Unmount()
	if s, err := btrfs.ReadSuperblock(f.Device()); err != nil || s.HasLog {
		t.Errorf("after the unmount: %+v, %v", s, err)
	}
}

func TestReadSuperblockOfTwoDevices(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{Devices: 2})
	for i, device := range f.Devices {
		if s, err := btrfs.ReadSuperblock(device); err != nil || s.Devices != 2 || s.DeviceID != uint64(i+1) {
			t.Errorf("device %d: %+v, %v", i+1, s, err)
		}
	}
}

func TestReadSuperblockOfOthers(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int64{"empty": 0, "short": 65536 + 100, "zeros": 1 << 20} {
		path := filepath.Join(dir, name)
		requireNoError(t, os.WriteFile(path, nil, 0o600))
		requireNoError(t, os.Truncate(path, size))
		_, err := btrfs.ReadSuperblock(path)
		requireError(t, err, btrfs.ErrNotBtrfs)
	}
	_, err := btrfs.ReadSuperblock(filepath.Join(dir, "none"))
	requireError(t, err, os.ErrNotExist)
}
