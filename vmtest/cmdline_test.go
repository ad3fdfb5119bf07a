package vmtest

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestArgs(t *testing.T) {
	base := commandLine{accel: accelTCG, memoryMB: 512, cpus: 2, kernel: "/k", initrd: "/i", cmdline: "a b"}
	for _, c := range []struct {
		name   string
		change func(*commandLine)
		want   []string // a group of neighbours
		absent string
	}{
		{"kernel", func(*commandLine) {}, []string{"-kernel", "/k", "-initrd", "/i", "-append", "a b"}, "-rtc"},
		{"memory", func(*commandLine) {}, []string{"-smp", "2", "-m", "512"}, "-drive"},
		{"emulation", func(*commandLine) {}, []string{"-accel", "tcg,thread=multi", "-cpu", "max"}, "kvm"},
		{"a reset ends it", func(*commandLine) {}, []string{"-action", "reboot=shutdown"}, "virtserialport"},
		{"kvm", func(c *commandLine) { c.accel = accelKVM }, []string{"-accel", "kvm", "-cpu", "host"}, "tcg"},
		{
			"disk with a comma", func(c *commandLine) { c.disks = []string{"/a,b"} },
			[]string{"-drive", "if=none,id=disk0,cache=writeback,format=qcow2,file=/a,,b"},
			"id=disk1",
		},
		{
			"write-protected disk", func(c *commandLine) { c.disks, c.disksReadOnly = []string{"/a"}, true },
			[]string{"-drive", "if=none,id=disk0,cache=writeback,format=qcow2,readonly=on,file=/a"},
			"disk1",
		},
		{
			"raw disk", func(c *commandLine) { c.disks, c.disksRaw = []string{"/a"}, true },
			[]string{"-drive", "if=none,id=disk0,cache=writeback,format=raw,file=/a"},
			"qcow2",
		},
		{
			"disk whose third write fails, and only that", func(c *commandLine) {
				c.disks, c.fault = []string{"/a"}, &Fault{Of: FaultyWrite, After: 2, Once: true}
			},
			[]string{"-drive", "if=none,id=disk0,cache=writeback,driver=blkdebug,image.driver=qcow2,image.file.driver=file,image.file.filename=/a," +
				"set-state.0.event=pwritev,set-state.0.state=1,set-state.0.new_state=2," +
				"set-state.1.event=pwritev,set-state.1.state=2,set-state.1.new_state=3," +
				"set-state.2.event=pwritev,set-state.2.state=3,set-state.2.new_state=4," +
				"inject-error.0.event=pwritev,inject-error.0.state=3,inject-error.0.iotype=write,inject-error.0.errno=5,inject-error.0.once=on"},
			"disk1",
		},
		{
			"disk whose flushes fail", func(c *commandLine) {
				c.disks, c.disksRaw, c.fault = []string{"/a", "/b"}, true, &Fault{Of: FaultyFlush}
			},
			[]string{"-drive", "if=none,id=disk0,cache=writeback,driver=blkdebug,image.driver=raw,image.file.driver=file,image.file.filename=/a," +
				"inject-error.0.event=none,inject-error.0.iotype=flush,inject-error.0.errno=5,inject-error.0.once=off"},
			"set-state",
		},
		{
			"disk with a log", func(c *commandLine) { c.disks, c.writeLog = []string{"/a"}, "/l" },
			[]string{"-drive", "if=none,id=disk0,cache=writeback,driver=blklogwrites,file.driver=qcow2,file.file.driver=file,file.file.filename=/a," +
				"log.driver=raw,log.file.driver=file,log.file.filename=/l,log-sector-size=512"},
			"blkdebug",
		},
		{
			"two disks", func(c *commandLine) { c.disks = []string{"/a", "/b"} },
			[]string{"-device", "virtio-blk-pci,drive=disk1,serial=disk1"},
			"id=disk2",
		},
		{
			"nvme", func(c *commandLine) { c.disks, c.bus = []string{"/a"}, NVMe },
			[]string{"-device", "nvme,drive=disk0,serial=disk0"},
			"scsi",
		},
		{
			"scsi", func(c *commandLine) { c.disks, c.bus = []string{"/a"}, SCSI },
			[]string{"-device", "virtio-scsi-pci", "-drive", "if=none,id=disk0,cache=writeback,format=qcow2,file=/a", "-device", "scsi-hd,drive=disk0,serial=disk0"},
			"virtio-blk",
		},
		{
			"clock", func(c *commandLine) { c.clock = time.Date(2031, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600)) },
			[]string{"-rtc", "base=2031-02-03T03:05:06"},
			"-qmp",
		},
		{
			"a saved machine", func(c *commandLine) { c.incoming = "/state" },
			[]string{"-incoming", "file:/state"},
			"-rtc",
		},
		{
			"agent", func(c *commandLine) { c.agentFD, c.portName = 3, "p" },
			[]string{"-chardev", "socket,id=agent,fd=3", "-device", "virtserialport,chardev=agent,name=p"},
			"id=qmp",
		},
		{
			"qmp", func(c *commandLine) { c.qmpFD = 4 },
			[]string{"-chardev", "socket,id=qmp,fd=4", "-mon", "chardev=qmp,mode=control"},
			"id=agent",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := base
			c.change(&line)
			args := line.args()
			if !contains(args, c.want) {
				t.Errorf("%q is not in %q", c.want, args)
			}
			if strings.Contains(strings.Join(args, " "), c.absent) {
				t.Errorf("%q is in %q", c.absent, args)
			}
		})
	}
}

// contains tells whether group is a run of neighbours in list.
func contains(list, group []string) bool {
	for i := range list {
		if len(list)-i >= len(group) && slices.Equal(list[i:i+len(group)], group) {
			return true
		}
	}
	return false
}

func TestKernelParams(t *testing.T) {
	got := strings.Fields(kernelParams("/nix/store/x", []string{"ebb.rollback=no"}))
	for _, want := range []string{"root=fstab", "init=/nix/store/x/init", "console=ttyS0"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in %q", want, got)
		}
	}
	if got[len(got)-1] != "ebb.rollback=no" {
		t.Errorf("the machine's own parameters do not come last: %q", got)
	}
}

func TestShellCommand(t *testing.T) {
	for _, c := range []struct {
		argv []string
		want string
	}{
		{[]string{"qemu", "-m", "512"}, "qemu -m 512"},
		{[]string{"-append", "a b"}, "-append 'a b'"},
		{[]string{"it's", ""}, `'it'\''s' ''`},
		{[]string{"$HOME", "a;b"}, `'$HOME' 'a;b'`},
	} {
		if got := shellCommand(c.argv); got != c.want {
			t.Errorf("%q: got %s, want %s", c.argv, got, c.want)
		}
	}
}

func TestFstab(t *testing.T) {
	got := fstab([]Mount{
		Subvolume("nixos", "nixos/@", "/"),
		{What: "none", Where: "/tmp", Type: "tmpfs"},
	})
	want := "/dev/disk/by-label/nixos / btrfs subvol=nixos/@,x-initrd.mount 0 0\n" +
		"none /tmp tmpfs x-initrd.mount 0 0\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestUnit(t *testing.T) {
	list := Unit("a.service", "text", "b.target.wants", "c.target.requires")
	var got []string
	for _, f := range list {
		got = append(got, f.Path+"="+f.Data+f.Link)
	}
	want := []string{
		"/etc/systemd/system/a.service=text",
		"/etc/systemd/system/b.target.wants/a.service=/etc/systemd/system/a.service",
		"/etc/systemd/system/c.target.requires/a.service=/etc/systemd/system/a.service",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The initrd has what opens disks only where there is something to open.
func TestParts(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   []string
	}{
		{Config{}, []string{"initrd.cpio"}},
		{Config{Crypttab: []string{"a b"}}, []string{"initrd.cpio", "cryptsetup.cpio"}},
		{Config{Crypttab: []string{"a b"}, LVM: true}, []string{"initrd.cpio", "cryptsetup.cpio", "lvm.cpio"}},
	} {
		if got := parts(c.config); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %q, want %q", c.config, got, c.want)
		}
	}
}
