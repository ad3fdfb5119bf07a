package initrd

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/internal/cmdline"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// Host is the machine that a command works on, as far as it does not stand in
// the config.
type Host struct {
	RunDir      string // where the boot record is, /run/ebb
	Sysroot     string // where the new root is or will be mounted, /sysroot
	Stage1      bool   // this is the initrd
	BootID      string
	Kernel      string // uname -r
	CommandLine cmdline.Parameters
	Log         *kmsg.Logger

	line []byte // of announce, used again
}

// bootIDPath tells boots apart; it is new at each boot and not a secret
// (random(4)).
const bootIDPath = "/proc/sys/kernel/random/boot_id"

// initrdRelease is the file by which systemd knows an initrd (os-release(5)).
const initrdRelease = "/etc/initrd-release"

// NewHost reads what the kernel tells about this boot.
func NewHost(runDir, sysroot string, log *kmsg.Logger) (*Host, error) {
	id, err := sys.ReadPath(bootIDPath, 128)
	if err != nil {
		return nil, format.Errorf("read boot id: %w", err)
	}
	line, err := sys.ReadPath(cmdline.Path, cmdline.MaxBytes)
	if err != nil {
		return nil, format.Errorf("read kernel command line: %w", err)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, format.Errorf("uname: %w", err)
	}
	return &Host{
		RunDir: runDir, Sysroot: sysroot, Log: log, Stage1: sys.Exists(initrdRelease) == nil,
		BootID:      strings.TrimSpace(string(id)),
		Kernel:      unix.ByteSliceToString(name.Release[:]),
		CommandLine: cmdline.Parse(string(line)),
	}, nil
}

// RootIsMounted reports whether the root is in use: in the running system, and
// in stage 1 as soon as something is mounted there. What cannot be told counts
// as in use.
func (h *Host) RootIsMounted() bool {
	if !h.Stage1 {
		return true
	}
	table, err := mounts.ReadMountInfo()
	return err != nil || guardSysroot(h.Sysroot, table) != nil
}

// boot describes this boot for the archive. NixOS boots a system by naming its
// init: init=/nix/store/...-nixos-system-.../init.
func (h *Host) boot() archive.Boot {
	init, _ := h.CommandLine.Get("init")
	system, _ := strings.CutSuffix(init, "/init")
	return archive.Boot{ID: h.BootID, Time: now(), Kernel: h.Kernel, System: system}
}

// info announces a change of state before it is made.
func (h *Host) info(format string, args ...any) { h.Log.Log(kmsg.Info, format, args...) }

// debug says what only matters to somebody who looks for a fault:
// ebb.log=debug.
func (h *Host) debug(format string, args ...any) { h.Log.Log(kmsg.Debug, format, args...) }

// refusal says what was left undone, and why.
func (h *Host) refusal(format string, args ...any) { h.Log.Log(kmsg.Refusal, format, args...) }

// now is the time as records have it: without the monotonic clock, and in UTC,
// so that no zone has to be read.
func now() time.Time { return time.Now().UTC().Round(0) }
