// Package vmtest boots machines in QEMU whose initrd and whose running system are real systemd, set up as NixOS sets
// them up, to try a program in both over reboots and power cuts.
//
// A [Kit] holds what all machines are made of: QEMU, a kernel, an initrd, a system. It is made once from Debian
// packages and kept in a cache. Nothing of it needs root, and nothing is installed. A [Machine] has disks, which keep
// their contents from boot to boot, and a [Config], which may be changed between boots. Every boot is a new QEMU
// process with a kernel command line and an initrd made for it.
//
// Machines have systemd and the kernel of the Debian release that $EBB_VM_SUITE names: trixie (systemd 257, Linux 6.12),
// unless it says otherwise. QEMU and the programs that make disks are always those of trixie.
//
//	kit, err := vmtest.Prepare(ctx, vmtest.Options{Log: os.Stderr})
//	disk, err := kit.Disk(ctx, vmtest.DiskSpec{Label: "nixos", Subvolumes: ...})
//	m, err := kit.NewMachine(ctx, vmtest.Config{Dir: dir, Disks: []string{disk}, Fstab: ...})
//	err = m.Boot(ctx)
//	err = m.Wait(ctx, vmtest.SystemUp(), time.Minute)
//	out, err := m.Run(ctx, "findmnt", "/persist")
//	err = m.PowerCut()
package vmtest
