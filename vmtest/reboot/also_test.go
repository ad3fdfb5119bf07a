package reboot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
)

// nestedRoot has its subvolumes below a directory, no blank for the root, and
// a home that is rolled back with it.
const nestedRoot = `{
	"kind": "btrfs", "device": "/dev/disk/by-label/nixos", "options": ["noatime"],
	"subvolume": "nixos/@", "blank": "nixos/@blank", "archive": "nixos/old/roots",
	"also": [{"name": "home", "subvolume": "nixos/@home", "blank": "nixos/@home-blank"}]
}`

// No blank: the new root is an empty subvolume. A home is rolled back along
// with it, to a blank of its own, and entries lie on that home. One that is new in
// the second boot adopts what the home had.
func TestEmptyRootAlsoHomeAndSlashes(t *testing.T) {
	layout := vmtest.DiskLayout{
		Label: "nixos", Subvolumes: []string{"nixos/@", "nixos/@home", "nixos/@nix", "nixos/@persist"},
		ReadOnly: []string{"nixos/@home-blank"}, Store: "nixos/@nix",
		Files: []files.File{
			files.Text("nixos/@home-blank/skeleton", "blank\n"),
			files.Text("nixos/@/came-with-the-disk", "root\n"), files.Text("nixos/@home/came-with-the-disk", "home\n"),
		},
	}
	fstab := []vmtest.Mount{
		{What: "/dev/disk/by-label/nixos", Where: "/", Type: "btrfs", Options: "noatime,subvol=nixos/@"},
		vmtest.Subvolume("nixos", "nixos/@home", "/home"),
		vmtest.Subvolume("nixos", "nixos/@nix", "/nix"),
		vmtest.Subvolume("nixos", "nixos/@persist", "/persist"),
	}
	m := newMachine(t, layout, fstab, document(nestedRoot, basicStores))
	m.up(m.Boot)
	m.wantFresh("/came-with-the-disk", "/home/came-with-the-disk")
	m.wantBothArchived(1, "cat root/came-with-the-disk home/came-with-the-disk", "root\nhome")
	m.Shell(`
		echo key > /home/gabriel/.ssh/id; echo changed > /home/skeleton; echo h > /home/gabriel/gone; echo r > /gone
		mkdir -p /opt/deep/er; head -c 100000 /dev/urandom > /opt/deep/er/file; btrfs subvolume create /home/gabriel/nested
		echo n > /home/gabriel/nested/file
		mkdir -m 700 /home/gabriel/docs; echo dear > /home/gabriel/docs/letter; chown -R 1000:100 /home/gabriel/docs`)
	sum := m.Run("sha256sum", "/opt/deep/er/file")

	m.configure(document(nestedRoot, strings.Replace(basicStores, `{"path": "/var/log"},`, `{"path": "/var/log"}, {"path": "/home/gabriel/docs"},`, 1)))
	m.up(m.Reboot)
	m.want("dear", "cat", "/home/gabriel/docs/letter")
	m.want("dear", "cat", "/persist/home/gabriel/docs/letter")
	m.want("700 1000:100", "stat", "-c", "%a %u:%g", "/home/gabriel/docs")
	m.wantAdopted("/home/gabriel/docs")
	m.wantFresh("/gone", "/opt", "/home/gabriel/gone", "/home/gabriel/nested")
	m.want("key", "cat", "/home/gabriel/.ssh/id")
	m.want("700 1000:100", "stat", "-c", "%a %u:%g", "/home/gabriel")
	m.wantBothArchived(2, `cat root/gone home/gabriel/gone home/skeleton home/gabriel/nested/file; sha256sum root/opt/deep/er/file`,
		"r\nh\nchanged\nn\n"+strings.Replace(sum, "/opt", "root/opt", 1))
	m.wantOneFirstMount()
	m.Cut()
}

// wantFresh looks at the root and the home that this boot has made.
func (m *machine) wantFresh(gone ...string) {
	m.t.Helper()
	m.wantGone(gone...)
	m.wantLiveRoot()
	m.want("blank", "cat", "/home/skeleton")
	made := m.record().Rollback
	root, _ := made.Subvolume("root")
	home, ok := made.Subvolume("home")
	if !ok || home.Blank != "nixos/@home-blank" || home.Path != "nixos/@home" || root.Blank != "" || root.Path != "nixos/@" {
		m.t.Errorf("the record says that these were made: %+v", made.Subvolumes)
	}
	m.want(fmt.Sprint(home.ID), "btrfs", "inspect-internal", "rootid", "/home")
	m.Run("findmnt", "/home/gabriel/.ssh")
}

// wantBothArchived looks at the archived root and the home beside it. Both are
// read-only: nothing can be made in them, whatever the mount allows.
func (m *machine) wantBothArchived(number int, look, want string) {
	m.t.Helper()
	got := m.Shell(fmt.Sprintf(`
		mkdir -p /run/top; mount -o subvolid=5 /dev/disk/by-label/nixos /run/top
		cd /run/top/nixos/old/roots/%06d
		%s
		for s in root home; do btrfs property get -ts $s ro; if touch $s/new 2>/dev/null; then exit 1; fi; done; stat -c %%a . .. ../..
		cd /; umount /run/top`, number, look))
	if want += "\nro=true\nro=true\n700\n700\n700"; got != want {
		m.t.Errorf("archived root %d: got\n%s\nwant\n%s", number, got, want)
	}
}
