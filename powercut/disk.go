package powercut

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/sys"
)

// ServeCommand is the argument with which [Serve] has to be run.
const ServeCommand = "serve-disk"

// Descriptors that the disk's process begins with.
const (
	serveFuse = 3 + iota
	serveImage
	serveLog
)

// Disk is a block device that logs every write and every flush, or several of
// them with one log, for a file system on more than one. Each loop device is
// attached to its part of the one file of a FUSE file system, with direct I/O, so
// that a write of the loop device is a WRITE and a flush an FSYNC.
//
// The file system is served by a process of its own: were it this one, then
// the kernel would wait for it for ever when this process is killed and its
// mounts are taken down. It ends by itself when the file system is unmounted,
// which is when the last descriptor of it is closed.
type Disk struct {
	*shared
	Paths []string // of the block devices

	memory *os.File // the image
	loops  []*os.File
	server *exec.Cmd
}

// NewDisk makes a disk of zeros, of so many block devices of that size each. The
// program itself serves it: it has to call [Serve] when its first argument is
// [ServeCommand].
func NewDisk(devices int, size int64) (*Disk, error) {
	d := &Disk{}
	if err := d.start(devices, size); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// start mounts the file system and attaches a loop device to each part of its file.
func (d *Disk) start(devices int, size int64) error {
	mount, err := d.mount(int64(devices) * size)
	if err != nil {
		return err
	}
	defer unix.Close(mount)
	for i := range devices {
		if err := d.attach(mount, int64(i)*size, size); err != nil {
			return err
		}
	}
	return nil
}

// attach adds a block device, which is a part of the file.
func (d *Disk) attach(mount int, offset, size int64) error {
	// Not through package os: its poller would ask the file system about the
	// file while the thread holds what others of the runtime wait for.
	file, err := unix.Openat(mount, diskName, unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the disk's file: %w", err)
	}
	loop, err := attachLoop(file, offset, size)
	if err != nil {
		return errors.Join(err, unix.Close(file))
	}
	d.loops, d.Paths = append(d.loops, loop), append(d.Paths, loop.Name())
	return unix.Close(file)
}

// mount mounts the file system.
func (d *Disk) mount(size int64) (int, error) {
	image, err := memory("image", size)
	if err != nil {
		return -1, err
	}
	d.memory = image
	log, err := memory("log", logCapacity)
	if err != nil {
		return -1, err
	}
	defer log.Close()
	if d.shared, err = mapShared(int(image.Fd()), int(log.Fd()), size); err != nil {
		return -1, err
	}
	fuse, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open /dev/fuse: %w", err)
	}
	connection := os.NewFile(uintptr(fuse), "/dev/fuse")
	defer connection.Close()
	mount, err := sys.NewMount("fuse", []sys.Option{
		{Key: "fd", Value: fmt.Sprint(fuse)},
		{Key: "rootmode", Value: "40700"},
		{Key: "user_id", Value: "0"},
		{Key: "group_id", Value: "0"},
		{Key: "source", Value: "powercut"},
	}, 0)
	if err != nil {
		return -1, err
	}
	// After the mount: before it there is nothing to read for the server, which
	// is told EPERM. Then nobody else has the connection: when the server ends,
	// whoever waits for it gets ENOTCONN.
	if err := d.startServer(connection, image, log); err != nil {
		return -1, errors.Join(err, unix.Close(mount))
	}
	return mount, nil
}

func (d *Disk) startServer(files ...*os.File) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	d.server = exec.Command(program, ServeCommand)
	d.server.ExtraFiles = files
	d.server.Stderr = os.Stderr
	if err := d.server.Start(); err != nil {
		return fmt.Errorf("start the disk's process: %w", err)
	}
	return nil
}

// memory makes a file in memory.
func memory(name string, size int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("powercut-"+name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	if err := file.Truncate(size); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Serve is the disk's process.
func Serve() error {
	// An interrupt from the terminal goes to the test, too, which then unmounts.
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	var st unix.Stat_t
	if err := unix.Fstat(serveImage, &st); err != nil {
		return fmt.Errorf("look at the image: %w", err)
	}
	disk, err := mapShared(serveImage, serveLog, st.Size)
	if err != nil {
		return err
	}
	return (&fuseServer{fd: serveFuse, disk: disk}).serve()
}

// Forget drops what the kernel has cached of the block devices, so that it sees
// an image that was changed behind its back. Nothing of it may be mounted.
func (d *Disk) Forget() error {
	for _, loop := range d.loops {
		if err := unix.IoctlSetInt(int(loop.Fd()), unix.BLKFLSBUF, 0); err != nil {
			return fmt.Errorf("BLKFLSBUF %s: %w", loop.Name(), err)
		}
	}
	return nil
}

// deviceOf is the number of the block device that has the byte of the image.
func (d *Disk) deviceOf(offset uint64) uint64 {
	return offset / uint64(d.deviceSize())
}

// deviceSize is how large each block device is, in bytes.
func (d *Disk) deviceSize() int64 { return int64(len(d.image) / len(d.Paths)) }

// isSuperblock reports whether a write to the byte of the image is one of the
// first superblock of a device.
func (d *Disk) isSuperblock(offset uint64) bool {
	return offset%uint64(d.deviceSize()) == superblockOffset
}

// newest is the device with the newest superblock, which the kernel goes by. A cut,
// and then one in the boot behind it, can leave the others' more than one transaction
// behind, with what they lead to overwritten. btrfs check goes by the one it is given.
func (d *Disk) newest() string {
	newest := 0
	for i := range d.Paths {
		if d.generation(i) > d.generation(newest) {
			newest = i
		}
	}
	return d.Paths[newest]
}

// generation is the transaction of the superblock of a device.
func (d *Disk) generation(device int) uint64 {
	superblock := d.image[int64(device)*d.deviceSize()+superblockOffset:]
	return binary.LittleEndian.Uint64(superblock[superblockGeneration:])
}

// Close detaches the loop devices and ends the disk's process.
func (d *Disk) Close() error {
	var err error
	for _, loop := range d.loops {
		err = errors.Join(err, loop.Close())
	}
	if d.server != nil && d.server.Process != nil {
		// It would wait for ever when somebody has kept the file system open.
		// Killed, it takes the disk away from them. It has no other end than
		// that signal here.
		err = errors.Join(err, d.server.Process.Kill())
		_ = d.server.Wait()
	}
	if d.shared != nil {
		err = errors.Join(err, unix.Munmap(d.image), unix.Munmap(d.log))
	}
	if d.memory != nil {
		err = errors.Join(err, d.memory.Close())
	}
	return err
}

// span is a part of the disk, from start to end.
type span struct{ start, end int64 }

// written returns the parts of the image that anything was written to. The
// rest are zeros, and looking at them would take memory for them.
func (d *Disk) written() ([]span, error) {
	var spans []span
	for at := int64(0); ; {
		start, err := d.memory.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // no data behind at
			return spans, nil
		}
		if err != nil {
			return nil, fmt.Errorf("look for data in the image: %w", err)
		}
		if at, err = d.memory.Seek(start, unix.SEEK_HOLE); err != nil {
			return nil, fmt.Errorf("look for data in the image: %w", err)
		}
		spans = append(spans, span{start, at})
	}
}

// attachAttempts bounds the attempts to take a free loop device, which is a
// race with everybody else on the machine.
const attachAttempts = 200

// attachLoop attaches a loop device to a part of the file. It is detached when its
// last user, the descriptor returned or a mount, is gone. LOOP_CONFIGURE, Linux 5.8.
func attachLoop(file int, offset, size int64) (*os.File, error) {
	control, err := unix.Open("/dev/loop-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/loop-control: %w", err)
	}
	defer unix.Close(control)
	for range attachAttempts {
		var device *os.File
		if device, err = tryLoop(control, file, offset, size); err == nil {
			return device, nil
		}
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENXIO) && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENOENT) {
			break
		}
	}
	return nil, fmt.Errorf("attach a loop device: %w", err)
}

func tryLoop(control, file int, offset, size int64) (*os.File, error) {
	number, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("LOOP_CTL_GET_FREE: %w", err)
	}
	path := fmt.Sprintf("/dev/loop%d", number)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	config := unix.LoopConfig{Fd: uint32(file)}
	config.Info.Offset, config.Info.Sizelimit = uint64(offset), uint64(size)
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO
	if err := unix.IoctlLoopConfigure(fd, &config); err != nil {
		return nil, errors.Join(fmt.Errorf("LOOP_CONFIGURE %s: %w", path, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), path), nil
}
