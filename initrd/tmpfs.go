package initrd

import (
	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// runTmpfs mounts the root, or looks at what the service manager has mounted.
func (r *rollback) runTmpfs() error {
	t, err := r.host.lookAtTmpfs(r.root)
	if err != nil {
		return err
	}
	r.record.SizeBytes = t.size
	r.host.info("%s", t.text(r.host.Sysroot))
	_, err = timed(r, "mount", func() (struct{}, error) {
		if t.mounted {
			return struct{}{}, adjustTmpfs(r.host.Sysroot, r.root.Mode, t.options)
		}
		return struct{}{}, mountTmpfs(r.host.Sysroot, t.options, t.attributes)
	})
	r.record.State, r.record.Fresh = StateDone, err == nil
	return err
}

// planTmpfs says what runTmpfs would do.
func (h *Host) planTmpfs(root *config.Root) ([]string, error) {
	t, err := h.lookAtTmpfs(root)
	if err != nil {
		return nil, err
	}
	return []string{t.text(h.Sysroot)}, nil
}

// tmpfsRoot is what there is to do for a tmpfs root.
type tmpfsRoot struct {
	mounted    bool // by the service manager, to be adjusted only
	size       uint64
	options    []sys.Option
	attributes int
}

func (t *tmpfsRoot) text(sysroot string) string {
	size := "half of RAM"
	if t.size > 0 {
		size = format.Sprintf("%d bytes", t.size)
	}
	if t.mounted {
		return format.Sprintf("setting the tmpfs on %s to %s", sysroot, size)
	}
	return format.Sprintf("mounting a tmpfs of %s on %s", size, sysroot)
}

// lookAtTmpfs finds out what is to be done, and refuses when something else
// than an empty tmpfs is mounted already.
func (h *Host) lookAtTmpfs(root *config.Root) (*tmpfsRoot, error) {
	table, err := mounts.ReadMountInfo()
	if err != nil {
		return nil, err
	}
	t := &tmpfsRoot{}
	if t.size, err = tmpfsBytes(root.Size); err != nil {
		return nil, err
	}
	t.options, t.attributes = tmpfsOptions(root, t.size)
	for _, m := range table {
		if m.MountPoint == h.Sysroot {
			t.mounted = true
		}
	}
	if t.mounted {
		return t, guardTmpfs(h.Sysroot)
	}
	return t, nil
}

// tmpfsBytes gives the size in bytes, 0 for the kernel's default. A share of
// RAM and a number: the smaller counts.
func tmpfsBytes(size config.Size) (uint64, error) {
	if size.RAMPercent == 0 {
		return size.Bytes, nil
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, format.Errorf("sysinfo: %w", err)
	}
	return smallerSize(size, uint64(info.Totalram)*uint64(info.Unit)), nil
}

// smallerSize is the rule: percent of ram, whole pages, and no more than bytes.
func smallerSize(size config.Size, ram uint64) uint64 {
	page := uint64(unix.Getpagesize())
	share := ram / 100 * size.RAMPercent / page * page
	if size.Bytes > 0 {
		return min(size.Bytes, share)
	}
	return share
}

func tmpfsOptions(root *config.Root, size uint64) (options []sys.Option, attributes int) {
	options, attributes = splitOptions(root.Options)
	options = append(options, sys.Option{Key: "mode", Value: format.Sprintf("%o", root.Mode)})
	if size > 0 {
		options = append(options, sys.Option{Key: "size", Value: format.Sprint(size)})
	}
	if root.Inodes > 0 {
		options = append(options, sys.Option{Key: "nr_inodes", Value: format.Sprint(root.Inodes)})
	}
	return options, attributes
}

func mountTmpfs(target string, options []sys.Option, attributes int) error {
	if err := sys.EnsureDirectory(target, 0o755); err != nil {
		return err
	}
	fd, err := sys.NewMount("tmpfs", append(options, sys.Option{Key: "source", Value: "tmpfs"}), attributes)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	dir, err := sys.OpenDirectory(target)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return sys.MoveMount(fd, dir)
}

// guardTmpfs refuses what is not a tmpfs with nothing in it.
func guardTmpfs(sysroot string) error {
	dir, err := sys.OpenDirectory(sysroot)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	var st unix.Statfs_t
	if err := sys.StatFilesystem(dir, &st); err != nil {
		return format.Errorf("%s: %w", sysroot, err)
	}
	if st.Type != unix.TMPFS_MAGIC {
		return &refusal{
			reason: format.Sprintf("what is mounted on %s is no tmpfs", sysroot),
			hint:   "the root in the config has kind tmpfs, fileSystems.\"/\" has to agree",
		}
	}
	names, err := archive.Names(dir)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return &refusal{
			reason: format.Sprintf("the tmpfs on %s is not empty: %q is in it", sysroot, names[0]),
			hint:   "the rollback has to run right after sysroot.mount",
		}
	}
	return nil
}

// adjustTmpfs changes size and inodes of the mounted tmpfs (fspick(2), Linux
// 5.2), and the mode of its root, which a remount would leave as it is.
func adjustTmpfs(sysroot string, mode uint32, options []sys.Option) error {
	dir, err := sys.OpenDirectory(sysroot)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	var limits []sys.Option
	for _, o := range options {
		if o.Key == "size" || o.Key == "nr_inodes" {
			limits = append(limits, o)
		}
	}
	if err := sys.Reconfigure(dir, limits); err != nil {
		return err
	}
	if err := sys.ChangeMode(dir, mode); err != nil {
		return format.Errorf("%s: %w", sysroot, err)
	}
	return nil
}
