package system

import (
	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/internal/initramfs"
)

const passwd = `root:x:0:0:root:/root:/bin/bash
gabriel:x:1000:100:Gabriel:/home/gabriel:/bin/bash
man:x:989:989:man:/nonexistent:/usr/sbin/nologin
messagebus:x:990:990:dbus:/nonexistent:/usr/sbin/nologin
systemd-network:x:991:991:systemd:/:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`

const groupsOfServices = `man:x:989:
messagebus:x:990:
systemd-network:x:991:
systemd-resolve:x:992:
`

const shadow = `root::19000::::::
gabriel:*:19000::::::
`

const osRelease = `ID=nixos
ID_LIKE=debian
NAME="ebb test system"
PRETTY_NAME="ebb test system"
VERSION_ID="25.11"
`

const nsswitch = `passwd: files
group: files
shadow: files
hosts: files
`

// etc are the files below etc in the store.
func etc() []files.File {
	return []files.File{
		files.Text("etc/group", initramfs.Groups()+groupsOfServices),
		files.Text("etc/hostname", "vmtest\n"),
		files.Text("etc/nsswitch.conf", nsswitch),
		files.Text("etc/os-release", osRelease),
		files.Text("etc/passwd", passwd),
		files.Text("etc/profile", "export PATH=/run/vmtest/bin:/usr/bin:/usr/sbin\n"),
		{Path: "etc/shadow", Mode: 0o600, Data: shadow},
		files.Symlink("etc/systemd/system/default.target", "/usr/lib/systemd/system/multi-user.target"),
		// On a first boot systemd applies presets. NixOS has none to apply: units are enabled by its configuration.
		files.Text("etc/systemd/system-preset/00-none.preset", "ignore *\n"),
		// init= on the kernel command line names it, and only the name counts: see findClosure of the guest program.
		files.Symlink("init", "usr/lib/systemd/systemd"),
		// The programs of environment.systemPackages, which here come with the initrd.
		files.Symlink("sw", "/run/vmtest"),
	}
}
