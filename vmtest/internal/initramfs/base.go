package initramfs

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/internal/debian"
)

const (
	unitDir = "usr/lib/systemd/system"
	ruleDir = "usr/lib/udev/rules.d"
)

// Base returns the files of an initrd that any machine starts from: systemd and udev with what they need, and the
// kernel modules staged below modules. It has no fstab yet, so that it boots to no root.
func Base(tree debian.Tree, modules string) ([]files.File, error) {
	c := &closure{tree: string(tree), files: map[string]files.File{}}
	for _, name := range treeFiles() {
		if err := c.add(name); err != nil {
			return nil, fmt.Errorf("collect initrd: %w", err)
		}
	}
	if err := c.addWants(); err != nil {
		return nil, fmt.Errorf("collect initrd: %w", err)
	}
	list := skeleton()
	for _, f := range c.files {
		list = append(list, f)
	}
	staged, err := hostFiles(modules)
	if err != nil {
		return nil, fmt.Errorf("collect kernel modules: %w", err)
	}
	return append(list, staged...), nil
}

func treeFiles() []string {
	names := programs()
	for _, group := range []struct {
		dir   string
		names []string
	}{
		{ruleDir, rules()},
		{"usr/lib/tmpfiles.d", tmpfiles()},
		{unitDir, units()},
	} {
		for _, name := range group.names {
			names = append(names, path.Join(group.dir, name))
		}
	}
	return names
}

// addWants adds the links in *.wants directories that lead to units of the initrd, and no others.
func (c *closure) addWants() error {
	links, err := filepath.Glob(filepath.Join(c.tree, unitDir, "*.wants", "*"))
	if err != nil {
		return err
	}
	for _, link := range links {
		if _, ok := c.files[path.Join(unitDir, filepath.Base(link))]; !ok {
			continue
		}
		if err := c.add(strings.TrimPrefix(link, c.tree)); err != nil {
			return err
		}
	}
	return nil
}

// skeleton is what no package ships: the directories and the configuration by which NixOS makes systemd treat an
// archive as an initrd.
func skeleton() []files.File {
	list := []files.File{
		files.Symlink("bin", "usr/bin"),
		files.Symlink("sbin", "usr/sbin"),
		files.Symlink("lib", "usr/lib"),
		files.Symlink("lib64", "usr/lib64"),
		files.Symlink("init", "usr/lib/systemd/systemd"),
		files.Symlink("var/run", "/run"),
		files.Dir("root", 0o700),
		files.Dir("tmp", 0o777|fs.ModeSticky),
		// systemd takes the file for the sign that it runs in an initrd, see os-release(5).
		files.Text("etc/initrd-release", "ID=ebb-vmtest\nNAME=ebb-vmtest\nPRETTY_NAME=\"ebb test initrd\"\n"),
		files.Symlink("etc/os-release", "initrd-release"),
		files.Text("etc/hostname", "vmtest\n"),
		files.Text("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"),
		files.Text("etc/group", Groups()),
		{Path: "etc/shadow", Mode: 0o600, Data: "root::19000::::::\n"},
		files.Text("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\n"),
		// NixOS hands the file systems of the new root to systemd-fstab-generator(8) by this variable and root=fstab.
		files.Text("etc/systemd/system.conf", "[Manager]\n"+
			"DefaultEnvironment=PATH=/bin:/sbin\n"+
			"ManagerEnvironment=PATH=/bin:/sbin SYSTEMD_SYSROOT_FSTAB=/etc/fstab.sysroot\n"),
		files.Symlink("etc/systemd/system/default.target", "/"+unitDir+"/initrd.target"),
		// NixOS loads the modules of initrd.supportedFilesystems without waiting for udev: btrfs measures its checksums
		// and parities first.
		files.Text("etc/modules-load.d/nixos.conf", "btrfs\n"),
		files.Text("etc/sysctl.d/50-modprobe.conf", "kernel.modprobe = /sbin/modprobe\n"),
	}
	for _, unit := range []string{"emergency", "rescue"} {
		// sulogin(8) --force: a shell without a password, for root has none.
		list = append(list, files.Text("etc/systemd/system/"+unit+".service.d/force.conf",
			"[Service]\nEnvironment=SYSTEMD_SULOGIN_FORCE=1\n"))
	}
	for _, dir := range []string{"dev", "proc", "run", "sys", "sysroot"} {
		list = append(list, files.Dir(dir, 0o755))
	}
	return list
}

// Groups is a group(5) file with the groups that udev's rules and systemd's tmpfiles name.
func Groups() string {
	var b strings.Builder
	for i, name := range []string{
		"root", "adm", "tty", "disk", "lp", "kmem", "dialout", "cdrom", "floppy", "tape", "audio", "video", "input", "kvm",
		"render", "sgx", "utmp", "systemd-journal", "wheel", "clock",
	} {
		fmt.Fprintf(&b, "%s:x:%d:\n", name, i) // a Builder never fails to write
	}
	b.WriteString("users:x:100:\nnogroup:x:65534:\n")
	return b.String()
}

// hostFiles lists all files and links below dir.
func hostFiles(dir string) ([]files.File, error) {
	var list []files.File
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(name)
			list = append(list, files.Symlink(rel, target))
			return err
		}
		list = append(list, files.File{Path: rel, Mode: 0o644, Source: name})
		return nil
	})
	return list, err
}
