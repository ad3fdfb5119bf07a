package roots

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestDelete(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "subvolume var/lib/machines", "subvolume var/lib/machines/inner", "dir var/lib/docker", "subvolume var/lib/docker/layer")
	d.setReadOnly("@roots/000001/root/", false)
	d.setReadOnly("@roots/000001/root/var/lib/docker/layer", true)
	d.setReadOnly("@roots/000001/root/var/lib/machines", true)
	d.setReadOnly("@roots/000001/root/", true)
	d.archive(2)
	for range 2 { // the second run finds nothing to do
		r := d.open()
		if err := r.Trash(1, false); err != nil {
			var gone *NotThereError
			if !errors.As(err, &gone) {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(d.Path("@roots/.trash/000001", pinName), nil, 0o600); err != nil { // too late
			t.Fatal(err)
		}
		if _, err := r.EmptyTrash(); err != nil {
			t.Fatal(err)
		}
		r.Close()
		if got, want := d.subvolumes(), "@ @blank @persist @roots/000002/root"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	for _, gone := range []string{"@roots/000001", "@roots/.trash/000001"} {
		if _, err := os.Lstat(d.Path(gone)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", gone, err)
		}
	}
}

// What a removal leaves that had no room for the trash, and was killed: it is
// an archived root without its subvolume, and is taken away as any other.
func TestDeleteWhatIsEmpty(t *testing.T) {
	d := newDisk(t)
	d.archive(1)
	d.setReadOnly("@roots/000001/root", false)
	if err := btrfs.DeleteByName(d.Open("@roots/000001"), "root"); err != nil {
		t.Fatal(err)
	}
	r := d.open()
	defer r.Close()
	if err := r.Trash(1, false); err != nil {
		t.Fatal(err)
	}
	if _, err := r.EmptyTrash(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(d.Path("@roots/000001")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// A removal that was cut off anywhere is finished by the next.
func TestEmptyTrashGoesOn(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "subvolume a", "subvolume b", "subvolume b/c")
	r := d.open()
	if err := r.Trash(1, false); err != nil {
		t.Fatal(err)
	}
	r.Close()
	// Some of it is gone already, and so is the file that told the names.
	d.setReadOnly("@roots/.trash/000001/root", false)
	if err := btrfs.DeleteByName(d.Open("@roots/.trash/000001/root/b"), "c"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.Path("@roots/.trash/000001/meta.json")); err != nil {
		t.Fatal(err)
	}
	testenv.Tree(t, d.Dir, "dir @roots/.trash/000007 0700 0:0") // empty: everything in it was deleted
	r = d.open()
	defer r.Close()
	ids, err := r.EmptyTrash()
	if err != nil || len(ids) != 3 {
		t.Fatalf("deleted %v, %v", ids, err)
	}
	if got, want := d.subvolumes(), "@ @blank @persist"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if names, err := os.ReadDir(d.Path("@roots/.trash")); err != nil || len(names) != 0 {
		t.Errorf("the trash holds %v, %v", names, err)
	}
}

func TestDeleteDamaged(t *testing.T) {
	d := newDisk(t)
	d.archive(1)
	if err := os.WriteFile(d.Path("@roots/000001/meta.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := d.open()
	defer r.Close()
	if err := r.Trash(1, true); err != nil {
		t.Fatal(err)
	}
	if _, err := r.EmptyTrash(); err != nil {
		t.Fatal(err)
	}
	if got, want := d.subvolumes(), "@ @blank @persist"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEmptyTrashLeavesStrangers(t *testing.T) {
	d := newDisk(t)
	testenv.Tree(t, d.Dir, "subvolume @roots/.trash/mine", "dir @roots/.trash/000003 0700 0:0", "subvolume @roots/.trash/000003/photos")
	before := d.subvolumes()
	r := d.open()
	defer r.Close()
	if ids, err := r.EmptyTrash(); err == nil || len(ids) != 0 || d.subvolumes() != before {
		t.Errorf("deleted %v, %v", ids, err)
	}
}

// What a user made lies deeper than the kernel can name.
func TestDeleteBeyondPathMax(t *testing.T) {
	d := newDisk(t)
	d.archive(1)
	d.setReadOnly("@roots/000001/root", false)
	at, err := unix.Open(d.Path("@roots/000001/root"), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	component := strings.Repeat("d", 250)
	for level := range 40 {
		make := func() error { return unix.Mkdirat(at, component, 0o755) }
		if level%10 == 9 {
			make = func() error { return btrfs.CreateSubvolume(at, component) }
		}
		if err := make(); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(at, component, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		unix.Close(at)
		if err != nil {
			t.Fatal(err)
		}
		at = next
	}
	unix.Close(at)
	d.setReadOnly("@roots/000001/root", true)
	r := d.open()
	defer r.Close()
	if err := r.Trash(1, false); err != nil {
		t.Fatal(err)
	}
	ids, err := r.EmptyTrash()
	if err != nil || len(ids) != 5 {
		t.Errorf("deleted %d, %v", len(ids), err)
	}
	if got, want := d.subvolumes(), "@ @blank @persist"; got != want {
		t.Errorf("%d bytes of names are left", len(got)-len(want))
	}
}

func TestOpenLocks(t *testing.T) {
	d := newDisk(t)
	first := d.open()
	second := &Remover{}
	if err := second.Open(d.Open("."), "@roots"); err == nil || !strings.Contains(err.Error(), "another ebb") {
		t.Errorf("a second one: %v", err)
	}
	first.Close()
	if err := second.Open(d.Open("."), "@roots"); err != nil {
		t.Error(err)
	}
	second.Close()
}
