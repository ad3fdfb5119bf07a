package initramfs

// programs are the files of the tree that the initrd is made of. Their libraries follow by themselves.
func programs() []string {
	return append([]string{
		// systemd and its tools, the set of NixOS's boot.initrd.systemd.storePaths.
		"usr/lib/systemd/systemd",
		"usr/lib/systemd/systemd-executor",
		"usr/lib/systemd/systemd-fsck",
		"usr/lib/systemd/systemd-hibernate-resume",
		"usr/lib/systemd/systemd-journald",
		"usr/lib/systemd/systemd-makefs",
		"usr/lib/systemd/systemd-modules-load",
		"usr/lib/systemd/systemd-remount-fs",
		"usr/lib/systemd/systemd-shutdown",
		"usr/lib/systemd/systemd-sulogin-shell",
		"usr/lib/systemd/systemd-sysctl",
		"usr/lib/systemd/systemd-sysroot-fstab-check",
		"usr/lib/systemd/systemd-udevd",
		"usr/lib/systemd/system-generators/systemd-debug-generator",
		"usr/lib/systemd/system-generators/systemd-fstab-generator",
		"usr/lib/systemd/system-generators/systemd-hibernate-resume-generator",
		"usr/lib/systemd/system-generators/systemd-run-generator",
		"usr/bin/journalctl",
		"usr/bin/systemctl",
		"usr/bin/systemd-tmpfiles",
		"usr/bin/udevadm",
		// libsystemd-shared opens them by dlopen(3), to load modules and, in newer versions, to filter system calls.
		multiarch + "/libkmod.so.2",
		multiarch + "/libseccomp.so.2",
		"usr/bin/kmod",
		"usr/sbin/modprobe",
		"usr/bin/mount",
		"usr/bin/umount",
		// Without sulogin the emergency mode ends at once, and systemd-sulogin-shell resumes the boot.
		"usr/sbin/sulogin",
	}, shellTools()...)
}

// shellTools are for a person in the emergency shell. Nothing of the boot uses them.
func shellTools() []string {
	return []string{
		"usr/bin/bash", "usr/bin/sh", "usr/bin/btrfs", "usr/bin/cat", "usr/bin/chmod", "usr/bin/cp", "usr/bin/date", "usr/bin/findmnt",
		"usr/bin/ln", "usr/bin/ls", "usr/bin/lsblk", "usr/bin/mkdir", "usr/bin/mv", "usr/bin/rm", "usr/bin/stat",
		"usr/bin/sleep", "usr/bin/sync", "usr/bin/touch",
	}
}

// rules are the files below usr/lib/udev/rules.d.
func rules() []string {
	return []string{
		"50-udev-default.rules", "60-block.rules", "60-persistent-storage.rules", "64-btrfs.rules", "80-drivers.rules",
		"99-systemd.rules",
	}
}

// tmpfiles are the files below usr/lib/tmpfiles.d.
func tmpfiles() []string {
	return []string{"static-nodes-permissions.conf", "systemd.conf"}
}

// units are the files below usr/lib/systemd/system: NixOS's upstreamUnits for the initrd, with those of its udev and
// tmpfiles modules. Links in *.wants directories follow for units of this list.
func units() []string {
	return []string{
		"basic.target", "ctrl-alt-del.target", "debug-shell.service", "emergency.service", "emergency.target",
		"final.target", "halt.target", "initrd-cleanup.service", "initrd-fs.target", "initrd-parse-etc.service",
		"initrd-root-device.target", "initrd-root-fs.target", "initrd-switch-root.service", "initrd-switch-root.target",
		"initrd-udevadm-cleanup-db.service", "initrd-usr-fs.target", "initrd.target", "kexec.target",
		"kmod-static-nodes.service", "local-fs-pre.target", "local-fs.target", "modprobe@.service", "multi-user.target",
		"paths.target", "poweroff.target", "reboot.target", "rescue.service", "rescue.target", "shutdown.target",
		"sigpwr.target", "slices.target", "sockets.target", "swap.target", "sysinit.target", "sys-kernel-config.mount",
		"systemd-fsck@.service", "systemd-halt.service", "systemd-hibernate-resume.service",
		"systemd-journald-dev-log.socket", "systemd-journald.service", "systemd-journald.socket",
		"systemd-kexec.service", "systemd-modules-load.service", "systemd-poweroff.service", "systemd-reboot.service",
		"systemd-sysctl.service", "systemd-tmpfiles-setup-dev-early.service", "systemd-tmpfiles-setup-dev.service",
		"systemd-tmpfiles-setup.service", "systemd-udev-trigger.service", "systemd-udevd-control.socket",
		"systemd-udevd-kernel.socket", "systemd-udevd.service", "timers.target", "umount.target",
	}
}

// modules are the kernel modules of the initrd and of the running system. Debian's cloud kernel has virtio_pci,
// virtio_console, NVMe, ext4 and the serial port built in.
func modules() []string {
	return []string{
		"aesni-intel", "autofs4", "btrfs", "dm-crypt", "dm-mod", "loop", "nls_ascii", "nls_cp437", "overlay", "sd_mod",
		"unix_diag", "vfat", "virtio_blk", "virtio_mmio", "virtio_scsi", "xfs",
	}
}

// optionalModules are wanted where they are modules. Some kernels have what they do built in, or in the modules that need it:
// those since 6.12, or those of the flavour with few drivers.
func optionalModules() []string {
	return []string{
		"blake2b_generic", "crc32c-cryptoapi", "crc32c-intel", "ext4", "nvme", "virtio_console", "virtio_pci", "virtio_rng", "xts",
	}
}

// systemModules are wanted in the running system, too: for tests that make file systems there. F2FS asks for crc32 by its
// name.
func systemModules() []string { return append(optionalModules(), "crc32_generic", "f2fs", "fuse") }
