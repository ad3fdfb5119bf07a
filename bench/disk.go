package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
)

// disk is an image file behind a loop device.
type disk struct {
	device string
	dir    string   // where it is mounted
	open   *os.File // keeps the loop device
}

func (b *bench) newDisk(name string, bytes int64) (*disk, error) {
	image := filepath.Join(b.dir, name+".img")
	dir := filepath.Join(b.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(image, bytes); err != nil {
		return nil, err
	}
	out, err := exec.Command(findTool("losetup"), "--find", "--show", image).Output()
	if err != nil {
		return nil, fmt.Errorf("losetup: %w", err)
	}
	d := &disk{device: strings.TrimSpace(string(out)), dir: dir}
	if d.open, err = os.Open(d.device); err != nil {
		return nil, err
	}
	// A loop device in use is detached when its last user is gone: however
	// this program ends, neither the device nor the image stays behind.
	return d, errors.Join(command("losetup", "--detach", d.device), os.Remove(image))
}

func (d *disk) close() { d.open.Close() }

// format makes an empty file system. Single copies of metadata: a loop device
// does not tell apart what a disk would.
func (d *disk) format() error {
	return command("mkfs.btrfs", "--quiet", "--force", "--metadata", "single", d.device)
}

// mount mounts a subvolume, "/" being the top level, in this thread's namespace.
func (d *disk) mount(subvolume, target string) error {
	if err := unix.Mount(d.device, target, "btrfs", 0, "subvol="+subvolume); err != nil {
		return fmt.Errorf("mount %s of %s: %w", subvolume, d.device, err)
	}
	return nil
}

// change lets do work on the mounted top level, and makes what it did durable.
func (d *disk) change(do func(top int) error) error {
	if err := d.mount("/", d.dir); err != nil {
		return err
	}
	top, err := openDirectory(d.dir)
	if err == nil {
		err = do(top)
		if err == nil {
			err = btrfs.Sync(top)
		}
		unix.Close(top)
	}
	if unmountErr := unix.Unmount(d.dir, 0); err == nil && unmountErr != nil {
		err = fmt.Errorf("unmount %s: %w", d.dir, unmountErr)
	}
	return err
}

func openDirectory(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}
