package powercut

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/cmdline"
	"github.com/ebb-nix/ebb/internal/kmsg"
)

// diskSize is enough for mkfs.btrfs to keep two copies of the metadata.
const diskSize = 160 << 20

// machine is a computer. It works in a mount namespace of its own, below a
// directory of its own.
type machine struct {
	scenario *Scenario
	disk     *Disk // the one that is recorded and cut
	rootDisk *Disk // that of the root: the same one, unless the store has its own
	cfg      *config.Config
	dir      string
	boots    int
	contents *contents

	directories sync.Mutex // see syncDirectory

	kernel     kernelLog
	load       *load // of the boot that is recorded
	stranger   *stranger
	rootWrites map[int]int // records of the writer in the root, by generation
}

// newMachine makes a machine with an empty disk. The caller is in a mount
// namespace of its own, and dir is an empty directory.
func newMachine(scenario *Scenario, dir string) (*machine, error) {
	if err := unix.Mount("powercut", dir, "tmpfs", 0, "mode=0700"); err != nil {
		return nil, fmt.Errorf("mount tmpfs: %w", err)
	}
	// libmount's notes on mounts go to /run.
	if err := unix.Mount("powercut", "/run", "tmpfs", 0, "mode=0755"); err != nil {
		return nil, fmt.Errorf("mount tmpfs: %w", err)
	}
	m := &machine{scenario: scenario, dir: dir, contents: newContents(scenario), rootWrites: map[int]int{}}
	for _, name := range []string{"top", "root", "run"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return nil, err
		}
	}
	m.stranger = &stranger{machine: m, random: rand.New(rand.NewPCG(scenario.Seed, 5))}
	var err error
	if m.kernel, err = openKernelLog(); err != nil {
		return nil, fmt.Errorf("open /dev/kmsg: %w", err)
	}
	if m.disk, err = NewDisk(max(scenario.Devices, 1), scenario.size()); err != nil {
		return nil, err
	}
	m.rootDisk = m.disk
	if m.hasStoreDisk() {
		if m.rootDisk, err = NewDisk(1, diskSize); err != nil {
			return nil, errors.Join(err, m.disk.Close())
		}
	}
	m.cfg, err = config.Parse([]byte(scenario.configText(m.rootDisk.Paths[0])))
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *machine) close() error {
	err := m.disk.Close()
	if m.hasStoreDisk() {
		err = errors.Join(err, m.rootDisk.Close())
	}
	return errors.Join(err, m.kernel.close(), unix.Unmount(m.dir, 0), unix.Unmount("/run", 0))
}

// top is where the top-level subvolume is mounted, root where the root is.
func (m *machine) top(elements ...string) string {
	return filepath.Join(append([]string{m.dir, "top"}, elements...)...)
}

func (m *machine) root(elements ...string) string {
	return filepath.Join(append([]string{m.dir, "root"}, elements...)...)
}

// nameless is the error without what another machine names otherwise, so that a
// state that is replayed fails with the same words.
func (m *machine) nameless(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), m.dir+"/", "")
	return errors.New(regexp.MustCompile(`/dev/loop\d+`).ReplaceAllString(text, "the disk"))
}

// format makes the file system and what lies on it at the beginning.
func (m *machine) format() error {
	arguments := append([]string{"-q", "-f", "-K"}, m.scenario.Mkfs...)
	output, err := exec.Command("mkfs.btrfs", append(arguments, m.rootDisk.Paths...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mkfs.btrfs: %w\n%s", err, output)
	}
	if err := m.makeStore(); err != nil {
		return err
	}
	if err := m.mountTop(); err != nil {
		return err
	}
	return errors.Join(m.furnish(), m.unmountTop())
}

// makeStore makes the subvolume of the store, or the directory that it is mounted
// on beside the subvolumes.
func (m *machine) makeStore() error {
	if err := m.mount("subvolid=5", m.top()); err != nil {
		return err
	}
	var err error
	if m.hasStoreDisk() {
		err = errors.Join(m.formatStore(), os.Mkdir(m.top("@persist"), 0o755))
	} else {
		err = makeSubvolume(m.top(), "@persist")
	}
	return errors.Join(err, unmount(m.top()))
}

// furnish makes the subvolumes. The live ones hold generation 0.
func (m *machine) furnish() error {
	for _, name := range []string{committed, movedBeside, movedInside} {
		if err := makeSubvolume(m.top(), name); err != nil {
			return err
		}
	}
	if m.scenario.Restore {
		if err := m.makeRestoredDirectory(); err != nil {
			return err
		}
	}
	if err := m.makeStrangeDirectories(); err != nil {
		return err
	}
	for _, b := range m.scenario.members() {
		if err := makeSubvolume(m.top(), b.live); err != nil {
			return err
		}
		if err := m.contents.writeGeneration(m.top(b.live), b.name, 0); err != nil {
			return err
		}
		if b.blank == "" {
			continue
		}
		if err := makeSubvolume(m.top(), b.blank); err != nil {
			return err
		}
		if err := os.WriteFile(m.top(b.blank, versionFile), []byte("first"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mountTop mounts the top level of the root's file system, and the store where
// it would be in that.
func (m *machine) mountTop() error {
	if err := m.scanDevices(); err != nil {
		return err
	}
	if err := m.mount("subvolid=5", m.top()); err != nil {
		return err
	}
	if !m.hasStoreDisk() {
		return nil
	}
	if err := m.mountStore(m.top("@persist")); err != nil {
		return errors.Join(err, unmount(m.top()))
	}
	return nil
}

// scanDevices has the kernel look at all devices of the file system, as udev does
// when they come up, and forget what it knew of them: their contents were changed
// while it was not mounted. One device is looked at when it is mounted.
func (m *machine) scanDevices() error {
	if m.scenario.Devices == 0 {
		return nil
	}
	control, err := unix.Open(btrfs.ControlDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", btrfs.ControlDevice, err)
	}
	defer unix.Close(control)
	for _, path := range m.disk.Paths {
		if err := btrfs.ForgetDevice(control, path); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("forget %s: %w", path, err)
		}
	}
	for _, path := range m.disk.Paths {
		if err := btrfs.ScanDevice(control, path); err != nil {
			return fmt.Errorf("scan %s: %w", path, err)
		}
	}
	return nil
}

func (m *machine) mount(subvolume, dir string) error {
	options := strings.Join(append([]string{subvolume}, m.scenario.Options...), ",")
	if err := unix.Mount(m.rootDisk.Paths[0], dir, "btrfs", unix.MS_NOATIME, options); err != nil {
		return fmt.Errorf("mount %s: %w", subvolume, err)
	}
	return nil
}

func (m *machine) unmountTop() error {
	if m.hasStoreDisk() {
		if err := unmount(m.top("@persist")); err != nil {
			return err
		}
	}
	return unmount(m.top())
}

func unmount(dir string) error {
	if err := unix.Unmount(dir, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

// newBoot is the machine in a new boot.
func (m *machine) newBoot(log *kmsg.Logger) *initrd.Host {
	m.boots++
	return &initrd.Host{
		RunDir: filepath.Join(m.dir, "run"), Sysroot: "/nonexistent/sysroot",
		BootID: fmt.Sprintf("boot-%d", m.boots), Kernel: "test",
		CommandLine: cmdline.Parse(""), Log: log,
	}
}

// rollback makes one in a new boot, and returns the host and its record.
func (m *machine) rollback(log *kmsg.Logger) (*initrd.Host, *initrd.RollbackRecord, error) {
	host := m.newBoot(log)
	if err := host.Rollback(m.cfg); err != nil {
		return nil, nil, fmt.Errorf("rollback: %w", err)
	}
	record, err := initrd.ReadRecord(host.RunDir, host.BootID)
	if err != nil {
		return nil, nil, err
	}
	r := record.Rollback
	switch {
	case r.State != initrd.StateDone || !r.Fresh:
		return nil, nil, fmt.Errorf("rollback: state %q, fresh %t", r.State, r.Fresh)
	case len(r.Problems) > 0:
		return nil, nil, fmt.Errorf("rollback: %s", r.Problems[0].Text)
	}
	return host, r, nil
}
