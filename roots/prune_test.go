package roots

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/sys"
)

// prune keeps the newest of the archived roots and deletes all others.
func (d *disk) prune() (*Report, error) {
	d.t.Helper()
	list, err := List(d.Open(), "@roots")
	if err != nil {
		d.t.Fatal(err)
	}
	r := d.open()
	defer r.Close()
	keep := config.Keep{Count: 1, Days: 1}
	return r.Prune(Retain(list, keep, Clock{Now: today, LastSeen: daysAgo(1)}, "now"), keep)
}

// What machines, portable services and docker leave in a root: subvolumes side
// by side and in one another, read-only ones, snapshots of snapshots.
func TestPruneManyNested(t *testing.T) {
	d := newDisk(t)
	var nested []string
	for n := range 600 {
		nested = append(nested, fmt.Sprintf("subvolume var/lib/machines/%03d", n))
	}
	deep := "deep"
	for range 100 {
		nested = append(nested, "subvolume "+deep)
		deep += "/d"
	}
	d.archive(1, append(nested, "subvolume docker/000", "file docker/000/etc/passwd 0644 0:0 x")...)
	d.setReadOnly("@roots/000001/root", false)
	// A layer is a snapshot of the one below it.
	docker := d.Open("@roots/000001/root/docker")
	for n := 1; n < 300; n++ {
		layer, err := os.Open(d.Path("@roots/000001/root/docker", fmt.Sprintf("%03d", n-1)))
		if err == nil {
			err = btrfs.Snapshot(docker, fmt.Sprintf("%03d", n), int(layer.Fd()), n%2 == 0)
			layer.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := 0; n < 600; n += 3 {
		d.setReadOnly(fmt.Sprintf("@roots/000001/root/var/lib/machines/%03d", n), true)
	}
	d.setReadOnly("@roots/000001/root/deep/d/d", true)
	d.setReadOnly("@roots/000001/root", true)
	d.archive(2)
	report, err := d.prune()
	if err != nil || report.Subvolumes != 1001 || fmt.Sprint(report.Deleted) != "[1]" {
		t.Errorf("%d subvolumes of %v, %v", report.Subvolumes, report.Deleted, err)
	}
	if got, want := d.subvolumes(), "@ @blank @persist @roots/000002/root"; got != want {
		t.Errorf("got %s", got)
	}
}

// The swap of a machine that slept in its own root: a subvolume with a file
// that nothing swaps to any more.
func TestPruneSwapFile(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "subvolume swap")
	d.archive(2)
	d.setReadOnly("@roots/000001/root", false)
	file, err := os.Create(d.Path("@roots/000001/root/swap/swapfile"))
	if err != nil {
		t.Fatal(err)
	}
	const noCOW = 0x00800000 // FS_NOCOW_FL of linux/fs.h
	if err := sys.AddInodeFlags(int(file.Fd()), noCOW); err != nil {
		t.Fatal(err)
	}
	page := append(make([]byte, 4086), "SWAPSPACE2"...) // where mkswap(8) writes it
	if _, err := file.Write(append(page, make([]byte, 4<<20)...)); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	d.setReadOnly("@roots/000001/root", true)
	if report, err := d.prune(); err != nil || report.Subvolumes != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	if got, want := d.subvolumes(), "@ @blank @persist @roots/000002/root"; got != want {
		t.Errorf("got %s", got)
	}
}

// Not a byte is left on the disk, neither for data nor for names: a prune needs
// none to make room, not even for a name in the trash.
func TestPruneFullDisk(t *testing.T) {
	t.Parallel() // most of it is waiting for the cleaner of the kernel
	d := newDisk(t)
	d.archive(1)
	d.archive(2)
	d.setReadOnly("@roots/000001/root", false)
	fill := func(name string, size int) {
		t.Helper()
		for n := range 100_000 {
			err := os.WriteFile(d.Path("@roots/000001/root", fmt.Sprint(name, n)), make([]byte, size), 0o600)
			if errors.Is(err, unix.ENOSPC) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Fatal("the disk does not fill")
	}
	// What lies inline, in the metadata, is written only while there is space for data.
	room := d.Path("@/room")
	if err := os.WriteFile(room, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	fill("large", 16<<20)
	fill("block", 64<<10)
	if err := errors.Join(os.Remove(room), btrfs.Sync(d.Open("."))); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what was written in between makes a little more
		fill("small"+strings.Repeat("-", 200), 1500)
		fill("name"+strings.Repeat("-", 200), 0)
		if err := btrfs.Sync(d.Open(".")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(d.Path("@roots/new"), 0o700); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("a directory on a disk that is full: %v", err)
	}
	gone := d.info("@roots/000001/root").ID
	d.setReadOnly("@roots/000001/root", true)
	if err := os.WriteFile(d.Path("@/new"), make([]byte, 16<<10), 0o600); err == nil {
		t.Log("there still was some space")
	}
	report, err := d.prune()
	if err != nil || fmt.Sprint(report.Deleted) != "[1]" {
		t.Fatalf("%+v, %v", report, err)
	}
	if err := btrfs.WaitCleaned(d.Open(), []uint64{gone}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.Path("@/new"), make([]byte, 16<<20), 0o600); err != nil {
		t.Error(err)
	}
}

// A prune that is killed before any of its changes is finished by the next.
func TestPruneGoesOn(t *testing.T) {
	d := newDisk(t)
	number := uint64(0)
	for stop := 0; ; stop++ {
		number++
		d.archive(number, "subvolume a", "subvolume a/b", "subvolume c")
		d.setReadOnly(fmt.Sprintf("@roots/%06d/root", number), false)
		d.setReadOnly(fmt.Sprintf("@roots/%06d/root/a", number), true)
		d.setReadOnly(fmt.Sprintf("@roots/%06d/root", number), true)
		if number == 1 {
			continue // the one that stays is added in the next round
		}
		changes := 0
		killed := d.killed(func(string, ...any) {
			if changes++; changes > stop {
				runtime.Goexit()
			}
		})
		if _, err := d.prune(); err != nil {
			t.Fatalf("killed at change %d: %v", stop, err)
		}
		if got, want := d.subvolumes(), fmt.Sprintf("@ @blank @persist @roots/%06[1]d/root @roots/%06[1]d/root/a @roots/%06[1]d/root/a/b @roots/%06[1]d/root/c", number); len(got) != len(want) {
			t.Fatalf("killed at change %d: got %s", stop, got)
		}
		if !killed {
			if stop < 5 {
				t.Errorf("only %d changes", stop)
			}
			return
		}
	}
}

// killed runs a prune that may end at any announcement, and reports whether it
// did.
func (d *disk) killed(announce func(string, ...any)) (killed bool) {
	d.t.Helper()
	list, err := List(d.Open(), "@roots")
	if err != nil {
		d.t.Fatal(err)
	}
	r := d.open()
	r.Announce = announce
	killed = true
	done := make(chan bool)
	go func() {
		defer close(done)
		defer r.Close() // as the kernel does
		keep := config.Keep{Count: 1, Days: 1}
		_, err := r.Prune(Retain(list, keep, Clock{Now: today, LastSeen: daysAgo(1)}, "now"), keep)
		if err != nil {
			d.t.Error(err)
		}
		killed = false
	}()
	<-done
	return killed
}

// Too little space: young roots go, the oldest first, and no more than needed.
func TestPruneForSpace(t *testing.T) {
	t.Parallel() // most of it is waiting for the cleaner of the kernel
	d := newDisk(t)
	for number := uint64(1); number <= 5; number++ {
		d.archive(number)
		d.setReadOnly("@roots/"+archive.DirectoryName(number)+"/root", false)
		data := make([]byte, 24<<20)
		for i := range data {
			data[i] = byte(i * int(number) >> 3)
		}
		if err := os.WriteFile(d.Path("@roots", archive.DirectoryName(number), "root/big"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	top := d.Open(".")
	if err := btrfs.Sync(top); err != nil {
		t.Fatal(err)
	}
	before, err := FreePercent(top)
	if err != nil {
		t.Fatal(err)
	}
	list, err := List(top, "@roots")
	if err != nil {
		t.Fatal(err)
	}
	keep := config.Keep{Count: 2, Days: 1000, MinFreePercent: before + 12}
	r := d.open()
	defer r.Close()
	report, err := r.Prune(Retain(list, keep, Clock{Now: today}, "now"), keep)
	if err != nil || fmt.Sprint(report.Deleted) != "[1 2]" || report.Short {
		t.Errorf("free before %d %%: %+v, %v", before, report, err)
	}
	// What is wanted cannot be had: the newest stay, and it is said.
	keep.MinFreePercent = 99
	if list, err = List(top, "@roots"); err != nil {
		t.Fatal(err)
	}
	report, err = r.Prune(Retain(list, keep, Clock{Now: today}, "now"), keep)
	if err != nil || fmt.Sprint(report.Deleted) != "[3]" || !report.Short {
		t.Errorf("%+v, %v", report, err)
	}
	if got, want := d.subvolumes(), "@ @blank @persist @roots/000004/root @roots/000005/root"; got != want {
		t.Errorf("got %s", got)
	}
}
