package system

import (
	"path"
	"slices"
	"strings"
)

// unitDir is where Debian's packages have their units.
const unitDir = "usr/lib/systemd/system"

// wantedUnit tells whether a path below unitDir is part of the system. Debian ships twice the units that NixOS has, and
// systemd reads all of them at every start.
func wantedUnit(rel string) bool {
	name, inside, deep := strings.Cut(strings.TrimPrefix(rel, unitDir+"/"), "/")
	if deep {
		// What Debian's packages add to other units by drop-ins is their own affair.
		return slices.Contains(wantsDirs(), name) && slices.Contains(units(), path.Base(inside)) && !onDemand(name, inside)
	}
	return slices.Contains(wantsDirs(), name) || slices.Contains(units(), name)
}

// onDemand is what is started when somebody connects to its socket: no boot needs to wait for it here.
func onDemand(dir, unit string) bool {
	return dir == "multi-user.target.wants" && unit == "dbus.service"
}

// wantsDirs are NixOS's upstreamSystemWants, as far as Debian has them.
func wantsDirs() []string {
	return []string{
		"local-fs.target.wants", "multi-user.target.wants", "sockets.target.wants", "sysinit.target.wants",
		"timers.target.wants",
	}
}

// units are NixOS's upstreamSystemUnits, with those of its udev, journald, tmpfiles and dbus modules. Left out are
// logins, of which there are none (logind, getty), user managers, containers, and hardware that the machine has not.
func units() []string {
	return []string{
		"basic.target", "boot-complete.target", "ctrl-alt-del.target", "dbus.service", "dbus.socket",
		"debug-shell.service", "dev-hugepages.mount", "dev-mqueue.mount", "emergency.service", "emergency.target",
		"exit.target", "final.target", "first-boot-complete.target", "getty-pre.target", "getty.target",
		"graphical.target", "halt.target", "hibernate.target", "kexec.target", "kmod-static-nodes.service",
		"local-fs-pre.target", "local-fs.target", "modprobe@.service", "multi-user.target", "network-online.target",
		"network-pre.target", "network.target", "nss-lookup.target", "nss-user-lookup.target", "paths.target",
		"poweroff.target", "reboot.target", "remote-fs-pre.target", "remote-fs.target", "rescue.service",
		"rescue.target", "shutdown.target", "sigpwr.target", "sleep.target", "slices.target", "sockets.target",
		"soft-reboot.target", "suspend.target", "swap.target", "sys-fs-fuse-connections.mount",
		"sys-kernel-config.mount", "sys-kernel-debug.mount", "sysinit.target", "syslog.socket",
		"systemd-ask-password-console.path", "systemd-ask-password-console.service",
		"systemd-ask-password-wall.path", "systemd-ask-password-wall.service", "systemd-exit.service",
		"systemd-fsck-root.service", "systemd-fsck@.service", "systemd-growfs-root.service",
		"systemd-growfs@.service", "systemd-halt.service", "systemd-hibernate-clear.service",
		"systemd-hibernate.service", "systemd-hostnamed.service", "systemd-hostnamed.socket",
		"dbus-org.freedesktop.hostname1.service", "dbus-org.freedesktop.locale1.service",
		"dbus-org.freedesktop.timedate1.service", "systemd-journal-flush.service",
		"systemd-journald-dev-log.socket", "systemd-journald-sync@.service", "systemd-journald-varlink@.socket",
		"systemd-journald.service", "systemd-journald.socket", "systemd-journald@.service",
		"systemd-journald@.socket", "systemd-kexec.service", "systemd-localed.service",
		"systemd-machine-id-commit.service", "systemd-modules-load.service", "systemd-poweroff.service",
		"systemd-random-seed.service", "systemd-reboot.service", "systemd-remount-fs.service",
		"systemd-soft-reboot.service", "systemd-suspend.service", "systemd-sysctl.service",
		"systemd-timedated.service", "systemd-tmpfiles-clean.service", "systemd-tmpfiles-clean.timer",
		"systemd-tmpfiles-setup-dev-early.service", "systemd-tmpfiles-setup-dev.service",
		"systemd-tmpfiles-setup.service", "systemd-udev-settle.service", "systemd-udev-trigger.service",
		"systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
		"systemd-udevd-varlink.socket", "systemd-udevd.service",
		"systemd-update-done.service", "systemd-user-sessions.service", "time-set.target", "time-sync.target",
		"timers.target", "umount.target", "user.slice",
	}
}
