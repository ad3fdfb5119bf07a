package vmtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/ebb-nix/ebb/vmtest/files"
)

// Mount is a line of fstab(5), with paths as the running system has them.
type Mount struct {
	What, Where, Type string
	// Options besides x-initrd.mount, which every line gets: without it systemd-fstab-generator(8) makes no mount unit
	// in the initrd, not even for "/".
	Options string
}

// Subvolume mounts a subvolume of the file system with a label.
func Subvolume(label, name, where string) Mount {
	return Mount{What: "/dev/disk/by-label/" + label, Where: where, Type: "btrfs", Options: "subvol=" + name}
}

func (m Mount) String() string {
	options := "x-initrd.mount"
	if m.Options != "" {
		options = m.Options + "," + options
	}
	return fmt.Sprintf("%s %s %s %s 0 0", m.What, m.Where, m.Type, options)
}

// fstab is the text of a fstab(5).
func fstab(mounts []Mount) string {
	var b strings.Builder
	for _, m := range mounts {
		fmt.Fprintln(&b, m) // a Builder never fails to write
	}
	return b.String()
}

// Config is what one boot is made from. Between boots every field may be changed.
type Config struct {
	// MemoryMB of the machine, 1024 when zero.
	MemoryMB int
	// CPUs of the machine, as many as VMTEST_CPUS says when zero.
	CPUs int
	// Disks are raw images, as Kit.Disk returns them. The machine writes to an overlay of each, which is kept while the
	// machine lives: an image that is taken out and put back later has the contents that it had.
	Disks []string
	// DisksReadOnly makes the disks refuse all writes, as one does whose hardware has given up.
	DisksReadOnly bool
	// RawDisks makes the machine write to copies of the disks, raw images that the host can look into.
	RawDisks bool
	// Fault, when not nil, is that of the first disk.
	Fault *Fault
	// WriteLog is a file that gets all writes and flushes of the first disk, in the format of the kernel's
	// dm-log-writes. It has to be there, empty, and is complete when the machine has shut down.
	WriteLog string
	// Bus is what the disks are attached to, VirtIO when empty.
	Bus Bus
	// Crypttab lists the encrypted devices that are opened in the initrd, one line of crypttab(5) each. With one, the
	// initrd has what opens it.
	Crypttab []string
	// LVM puts what activates logical volumes into the initrd.
	LVM bool
	// Fstab lists the file systems that NixOS mounts in the initrd (neededForBoot), and the system again at its start.
	Fstab []Mount
	// Params are kernel parameters in addition to those that every machine has.
	Params []string
	// Initrd and System are put into the initrd and, by activation, onto the root of the running system. Later entries
	// win over earlier ones, and over what is there by default.
	Initrd, System []files.File
	// Clock is what the machine's clock shows when it is switched on. Zero is the time of the host.
	Clock time.Time
}

// Bus is a kind of connection between a machine and its disks.
type Bus string

// Buses, and what the first disk on them is called in the machine.
const (
	VirtIO Bus = ""     // /dev/vda
	NVMe   Bus = "nvme" // /dev/nvme0n1
	SCSI   Bus = "scsi" // /dev/sda
)

// Unit puts a systemd unit file or drop-in into /etc/systemd/system. Links are directories in which the unit gets an
// entry: "initrd.target.wants".
func Unit(name, text string, links ...string) []files.File {
	const dir = "/etc/systemd/system/"
	list := []files.File{files.Text(dir+name, text)}
	for _, link := range links {
		list = append(list, files.Symlink(dir+link+"/"+name, dir+name))
	}
	return list
}
