package disk

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/diskfs/go-diskfs"
	"github.com/diskfs/go-diskfs/partition/gpt"

	"github.com/ebb-nix/ebb/vmtest/files"
)

func TestPartition(t *testing.T) {
	dir := t.TempDir()
	image, path := filepath.Join(dir, "fs"), filepath.Join(dir, "disk")
	const size = 4 * mib
	contents := make([]byte, size)
	copy(contents, "first")
	copy(contents[size-4:], "last")
	if err := os.WriteFile(image, contents, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := partition(path, image, Spec{Label: "nixos", Size: size, Swap: 2 * mib}); err != nil {
		t.Fatal(err)
	}
	d, err := diskfs.Open(path, diskfs.WithOpenMode(diskfs.ReadOnly))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	pt, err := d.GetPartitionTable()
	if err != nil {
		t.Fatal(err)
	}
	parts := pt.(*gpt.Table).Partitions
	if len(parts) != 3 || parts[0].Type != gpt.EFISystemPartition || parts[1].Name != "nixos" {
		t.Fatalf("partitions: %+v", parts)
	}
	if parts[1].Start*sector != dataStart || parts[1].Size != size {
		t.Errorf("data partition: %+v", parts[1])
	}
	if parts[2].Type != gpt.LinuxSwap || parts[2].Start*sector != dataStart+size || parts[2].Size != 2*mib {
		t.Errorf("swap partition: %+v", parts[2])
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(whole[dataStart:dataStart+size], contents) {
		t.Error("the file system is not in its partition")
	}
	if string(whole[espStart+510:espStart+512]) != "\x55\xaa" {
		t.Error("the EFI system partition has no file system")
	}
}

func TestMkfsArgs(t *testing.T) {
	spec := Spec{Label: "l", Subvolumes: []Subvolume{{Name: "nixos/@"}, {Name: "@blank", ReadOnly: true}}}
	got := mkfsArgs(spec, "/s", "/i")
	want := []string{
		"--quiet", "--label", "l", "--rootdir", "/s", "--subvol", "rw:nixos/@", "--subvol", "ro:@blank", "/i",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStage(t *testing.T) {
	tree := t.TempDir()
	if err := files.Write(tree, []files.File{files.Text("usr/bin/x", "x"), files.Symlink("bin", "usr/bin")}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "staging")
	err := stage(Spec{
		Subvolumes: []Subvolume{{Name: "nixos/@"}, {Name: "@nix"}},
		Files:      []files.File{files.Text("nixos/@/a", "a")},
		Trees:      map[string]string{"@nix/store/s": tree},
	}, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nixos/@/a", "@nix/store/s/bin/x"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}
