package reboot

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/vmtest"
)

// tmpfsMiB and tmpfsPercent are the two bounds of the root's size.
const (
	tmpfsMiB     = 250
	tmpfsPercent = 33
)

// keepMountInfo saves the mounts of stage 1 as the machine leaves it: a tmpfs
// under another one on /sysroot would be gone after switch-root.
const keepMountInfo = `[Unit]
DefaultDependencies=no
After=initrd-fs.target
Before=initrd.target
[Service]
Type=oneshot
ExecStart=/bin/cp /proc/self/mountinfo /run/mountinfo-of-stage-1
`

// A root in memory has the size that the config says, the smaller of a number
// and a share of RAM, and nothing survives but the entries.
func TestTmpfsRoot(t *testing.T) {
	layout := vmtest.DiskLayout{Label: "nixos", Subvolumes: []string{"@nix", "@persist"}, Store: "@nix"}
	fstab := standardFstab()
	fstab[0] = vmtest.Mount{What: "tmpfs", Where: "/", Type: "tmpfs", Options: "mode=0755"}
	root := fmt.Sprintf(`{"kind": "tmpfs", "size": {"bytes": "%dM", "ram_percent": %d}, "inodes": 100000}`, tmpfsMiB, tmpfsPercent)
	m := newMachine(t, layout, fstab, document(root, basicStores))
	m.Config.Initrd = append(m.Config.Initrd, vmtest.Unit("keep-mountinfo.service", keepMountInfo, "initrd.target.wants")...)

	m.up(m.Boot)
	m.wantTmpfs(tmpfsMiB << 20)
	machineID := m.Run("cat", "/etc/machine-id")
	m.Shell("echo gone > /marker; mkdir -p /opt/x; echo gone > /opt/x/gone; echo kept > /srv/data/file; echo key > /etc/ssh/ssh_host_ed25519_key")

	m.Config.MemoryMB = 640
	m.up(m.Reboot)
	m.wantTmpfs(m.shareOfRAM())
	m.wantGone("/marker", "/opt/x")
	m.want("kept", "cat", "/srv/data/file")
	m.want("key", "cat", "/etc/ssh/ssh_host_ed25519_key")
	m.want(machineID, "cat", "/etc/machine-id")
	m.Cut()
}

// shareOfRAM is tmpfsPercent of the memory that the kernel counts, in pages.
func (m *machine) shareOfRAM() uint64 {
	m.t.Helper()
	total := strings.Fields(m.Run("grep", "MemTotal", "/proc/meminfo"))
	kib, err := strconv.ParseUint(total[1], 10, 64)
	if err != nil {
		m.t.Fatal(err)
	}
	share := kib * 1024 / 100 * tmpfsPercent / 4096 * 4096
	if share >= tmpfsMiB<<20 {
		m.t.Fatalf("the share of RAM, %d bytes, is not the smaller bound", share)
	}
	return share
}

// wantTmpfs looks at the root, and that it was mounted once.
func (m *machine) wantTmpfs(size uint64) {
	m.t.Helper()
	m.want("tmpfs", "findmnt", "-no", "FSTYPE", "/")
	m.want("755 0:0", "stat", "-c", "%a %u:%g", "/")
	df := strings.Fields(m.Shell("df -B1 --output=size,itotal / | tail -n 1"))
	if want := []string{fmt.Sprint(size), "100000"}; strings.Join(df, " ") != strings.Join(want, " ") {
		m.t.Errorf("the root has %s bytes and inodes, want %s", df, want)
	}
	if r := m.record().Rollback; r.SizeBytes != size || !r.Fresh {
		m.t.Errorf("the record says that the root has %d bytes, fresh %v", r.SizeBytes, r.Fresh)
	}
	var sysroot []string
	for line := range strings.Lines(m.Run("cat", "/run/mountinfo-of-stage-1")) {
		if strings.Fields(line)[4] == "/sysroot" {
			sysroot = append(sysroot, strings.TrimSpace(line))
		}
	}
	if len(sysroot) != 1 || !strings.Contains(sysroot[0], " - tmpfs ") {
		m.t.Errorf("in stage 1 these were mounted on /sysroot:\n%s", strings.Join(sysroot, "\n"))
	}
}
