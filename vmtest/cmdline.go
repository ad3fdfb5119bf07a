package vmtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Accelerators of QEMU.
const (
	accelKVM = "kvm"
	accelTCG = "tcg"
)

// defaultCPUs: with two, half of a boot's services start beside each other, and more gain nothing.
const defaultCPUs = 2

const defaultMemoryMB = 1024

// diskName is what QEMU calls a disk, firstDisk the name of the first.
func diskName(i int) string { return fmt.Sprintf("disk%d", i) }

const firstDisk = "disk0"

// commandLine is what QEMU is started with.
type commandLine struct {
	accel                   string
	memoryMB, cpus          int
	kernel, initrd, cmdline string
	disks                   []string // qcow2, or raw
	disksRaw, disksReadOnly bool
	fault                   *Fault // of the first disk
	writeLog                string // of the first disk
	bus                     Bus
	clock                   time.Time
	incoming                string // file with the state of a machine to go on from
	// agentFD and qmpFD are connected sockets that QEMU inherits. Zero leaves the device out, as in a command for a
	// human to repeat.
	agentFD, qmpFD int
	portName       string
}

// args are QEMU's arguments, see qemu(1).
func (c commandLine) args() []string {
	a := []string{
		"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "q35", "-smp", strconv.Itoa(c.cpus), "-m", strconv.Itoa(c.memoryMB),
		// A guest that asks for a reset ends the process: each boot has a command line of its own.
		"-action", "reboot=shutdown",
		"-kernel", c.kernel, "-initrd", c.initrd, "-append", c.cmdline,
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
	}
	a = append(a, accelArgs(c.accel)...)
	if c.bus == SCSI {
		a = append(a, "-device", "virtio-scsi-pci")
	}
	for i, disk := range c.disks {
		id := diskName(i)
		a = append(
			a, "-drive", "if=none,id="+id+",cache=writeback"+c.drive(i, escape(disk)),
			"-device", c.bus.device()+",drive="+id+",serial="+id,
		)
	}
	if !c.clock.IsZero() {
		a = append(a, "-rtc", "base="+c.clock.UTC().Format("2006-01-02T15:04:05"))
	}
	if c.incoming != "" {
		a = append(a, "-incoming", "file:"+escape(c.incoming))
	}
	if c.agentFD != 0 {
		a = append(
			a, "-device", "virtio-serial-pci",
			"-chardev", fmt.Sprintf("socket,id=agent,fd=%d", c.agentFD),
			"-device", "virtserialport,chardev=agent,name="+c.portName,
		)
	}
	if c.qmpFD != 0 {
		a = append(a, "-chardev", fmt.Sprintf("socket,id=qmp,fd=%d", c.qmpFD), "-mon", "chardev=qmp,mode=control")
	}
	return a
}

// device is the name of QEMU's disks on the bus.
func (b Bus) device() string {
	switch b {
	case NVMe:
		return "nvme"
	case SCSI:
		return "scsi-hd"
	}
	return "virtio-blk-pci"
}

func accelArgs(accel string) []string {
	if accel == accelKVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	return []string{"-accel", "tcg,thread=multi", "-cpu", "max"}
}

// escape doubles commas, as QEMU wants them inside of an option's value.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// kernelParams are the words of the kernel command line that every machine has, and then the machine's own.
func kernelParams(closure string, extra []string) string {
	return strings.Join(append([]string{
		"console=ttyS0", "loglevel=4",
		"panic=-1", // reset at once; QEMU ends then
		"root=fstab", "init=" + closure + "/init",
		"systemd.show_status=1", "SYSTEMD_COLORS=0",
		// A busy host is no reason for a device to be late.
		"systemd.default_device_timeout_sec=900",
	}, extra...), " ")
}

// shellCommand is a command line that a person can paste.
func shellCommand(argv []string) string {
	quoted := make([]string, len(argv))
	for i, word := range argv {
		quoted[i] = word
		if word == "" || strings.ContainsAny(word, " \t\n\"'`$&|;<>()*?[]#~\\") {
			quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
