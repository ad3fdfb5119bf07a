package roots

import (
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

const meta = `{"version":1,"sequence":7,"archived":"2026-01-02T03:04:05Z","boot":{"id":"b","time":"2026-01-02T03:04:05Z","kernel":"6.12"},` +
	`"subvolumes":[{"name":"root","path":"@","fresh_uuid":"11111111-2222-3333-4444-555555555555"}]}`

func TestList(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "dir nixos", "dir nixos/roots 0700 0:0",
		"dir nixos/roots/000007 0700 0:0", "subvolume nixos/roots/000007/root", "subvolume nixos/roots/000007/home",
		"file nixos/roots/000007/meta.json 0600 0:0 "+meta,
		"dir nixos/roots/000012 0700 0:0", "file nixos/roots/000012/meta.json 0600 0:0 {", "subvolume nixos/roots/000012/root",
		"dir nixos/roots/000013 0700 0:0", "file nixos/roots/000013/meta.json 0600 0:0 "+meta, "dir nixos/roots/000013/root",
		"link nixos/roots/000014 /etc", "dir nixos/roots/.next", "dir nixos/roots/.trash", "dir nixos/roots/notes")
	list, err := List(f.Open("."), "nixos/roots")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		number     uint64
		subvolumes int
		damaged    bool
	}{{14, 0, true}, {13, 0, true}, {12, 1, true}, {7, 2, false}} {
		if i >= len(list) {
			t.Fatalf("only %d are listed", len(list))
		}
		got := list[i]
		if got.Number != want.number || len(got.Subvolumes) != want.subvolumes || (got.Damage != "") != want.damaged {
			t.Errorf("number %d: %+v", want.number, got)
		}
	}
	whole := list[3]
	if whole.Path != "nixos/roots/000007" || whole.Info.Boot.Kernel != "6.12" || whole.Subvolumes[0].Name != "home" || whole.Subvolumes[0].ReadOnly {
		t.Errorf("got %+v", whole)
	}
}

func TestListWithoutArchive(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	if list, err := List(f.Open("."), "@roots"); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
}
