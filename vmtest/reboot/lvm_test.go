package reboot

import (
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/vmtest"
)

// mappedVolume is the device of the logical volume in the tests.
const mappedVolume = "/dev/mapper/vg-root"

// btrfs in a logical volume.
func TestLVM(t *testing.T) {
	layout := planted(standardLayout())
	layout.Volume = vmtest.LogicalVolume{Group: "vg", Name: "root"}
	m := newMachine(t, layout, fstabOn(mappedVolume), document(strings.Replace(mappedRoot, mappedDevice, mappedVolume, 1), basicStores))
	m.Config.LVM = true
	m.up(m.Boot)
	m.wantRolledBack(1)
	m.wantOneFirstMount()
	m.want("lvm", "lsblk", "-dno", "TYPE", mappedVolume)
	m.Run("lvm", "vgck", "vg")
	m.Off()
}

// btrfs in a logical volume on LUKS2, named as the group has it.
func TestLVMOnLUKS(t *testing.T) {
	const device = "/dev/vg/root"
	layout := planted(encryptedLayout())
	layout.Volume = vmtest.LogicalVolume{Group: "vg", Name: "root"}
	m := newMachine(t, layout, fstabOn(device), document(strings.Replace(mappedRoot, mappedDevice, device, 1), basicStores))
	m.Config.LVM = true
	m.Config.Crypttab = []string{"cryptroot " + encrypted + " /etc/luks.key luks"}
	m.Config.Initrd = append(m.Config.Initrd, keyFile())
	m.up(m.Boot)
	m.wantRolledBack(1)
	m.want("crypt\ndisk\nlvm\npart", "sh", "-c", "lsblk -sno TYPE "+device+" | sort")
	m.Off()
}
