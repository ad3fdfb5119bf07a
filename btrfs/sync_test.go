package btrfs_test

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// withoutAdmin returns what call returns on a thread without CAP_SYS_ADMIN.
func withoutAdmin(call func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread is not used again
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			result <- err
			return
		}
		data[0].Effective &^= 1 << unix.CAP_SYS_ADMIN
		if err := unix.Capset(&header, &data[0]); err != nil {
			result <- err
			return
		}
		result <- call()
	}()
	return <-result
}

// committed returns the number of the last commit, from the super block of the
// device: what a power cut would leave.
func committed(t *testing.T, device string) uint64 {
	t.Helper()
	const superBlock, generation = 64 << 10, 0x48
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	requireNoError(t, err)
	defer unix.Close(fd)
	block, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	requireNoError(t, err)
	defer func() { requireNoError(t, unix.Munmap(block)) }()
	_, err = unix.Pread(fd, block, superBlock)
	requireNoError(t, err)
	var number uint64
	for i := range 8 {
		number |= uint64(block[generation+i]) << (8 * i)
	}
	return number
}

// settle syncs until there is nothing left to write: the kernel's own threads go
// on with a file system for a while after it was made and mounted (the cleaner,
// the block groups that are unused), and begin transactions for that.
func settle(t *testing.T, f *testenv.Fixture, top int) {
	t.Helper()
	const mostCommits = 50
	for range mostCommits {
		before := committed(t, f.Device())
		requireNoError(t, btrfs.Sync(top))
		if committed(t, f.Device()) == before {
			return
		}
	}
	t.Fatalf("after %d times there is still something to write", mostCommits)
}

// TestWhatCommits pins down which calls are durable on return.
func TestWhatCommits(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{MountOptions: "commit=300"})
	testenv.Tree(t, f.Dir, "subvolume a", "subvolume b", "dir d")
	top := f.Open()
	settle(t, f, top)
	steps := []struct {
		name    string
		call    func() error
		commits bool
	}{
		{"sync when clean", func() error { return btrfs.Sync(top) }, false},
		{"rename", func() error { return rename(f, "b", "d/b") }, false},
		{"exchange", func() error { return exchange(f, "a", "d/b") }, false},
		{"sync when dirty", func() error { return btrfs.Sync(top) }, true},
		{"exchange", func() error { return exchange(f, "a", "d/b") }, false},
		{"snapshot", func() error { return btrfs.Snapshot(top, "s", f.Open("a"), false) }, true},
		{"read-only", func() error { return btrfs.SetReadOnly(f.Open("s"), true) }, true},
		{"read-only again", func() error { return btrfs.SetReadOnly(f.Open("s"), true) }, false},
		{"writable", func() error { return btrfs.SetReadOnly(f.Open("s"), false) }, true},
		{"delete", func() error { return btrfs.DeleteByID(top, mustInfo(t, f.Open("s")).ID) }, false},
		{"sync", func() error { return btrfs.Sync(top) }, true},
	}
	for _, step := range steps {
		before := committed(t, f.Device())
		requireNoError(t, step.call())
		if after := committed(t, f.Device()); (after > before) != step.commits {
			t.Errorf("%s: commit %d, then %d; want a commit: %v", step.name, before, after, step.commits)
		}
	}
}
