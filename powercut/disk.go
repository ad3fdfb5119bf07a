package powercut

import (
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

// Disk is a block device that logs every write and every flush. Its loop device
// is attached to a file of a FUSE file system, with direct I/O, so that a write
// of the loop device is a WRITE and a flush an FSYNC.
//
// The file system is served by a process of its own: were it this one, then
// the kernel would wait for it for ever when this process is killed and its
// mounts are taken down. It ends by itself when the file system is unmounted,
// which is when the last descriptor of it is closed.
type Disk struct {
	*shared
	Path string // of the block device

	memory *os.File // the image
	loop   *os.File
	server *exec.Cmd
}

// NewDisk makes a disk of zeros. The program itself serves it: it has to call
// [Serve] when its first argument is [ServeCommand].
func NewDisk(size int64) (*Disk, error) {
	d := &Disk{}
	file, err := d.start(size)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.loop, err = attachLoop(file)
	err = errors.Join(err, unix.Close(file))
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.Path = d.loop.Name()
	return d, nil
}

// start mounts the file system and returns its file, open.
func (d *Disk) start(size int64) (int, error) {
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
	defer unix.Close(mount)
	// After the mount: before it there is nothing to read for the server, which
	// is told EPERM. Then nobody else has the connection: when the server ends,
	// whoever waits for it gets ENOTCONN.
	if err := d.startServer(connection, image, log); err != nil {
		return -1, err
	}
	if err := connection.Close(); err != nil {
		return -1, fmt.Errorf("close /dev/fuse: %w", err)
	}
	// Not through package os: its poller would ask the file system about the
	// file while the thread holds what others of the runtime wait for.
	file, err := unix.Openat(mount, diskName, unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the disk's file: %w", err)
	}
	return file, nil
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

// Forget drops what the kernel has cached of the block device, so that it sees
// an image that was changed behind its back. Nothing of it may be mounted.
func (d *Disk) Forget() error {
	if err := unix.IoctlSetInt(int(d.loop.Fd()), unix.BLKFLSBUF, 0); err != nil {
		return fmt.Errorf("BLKFLSBUF %s: %w", d.Path, err)
	}
	return nil
}

// Close detaches the loop device and ends the disk's process.
func (d *Disk) Close() error {
	var err error
	if d.loop != nil {
		err = d.loop.Close()
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

// attachLoop attaches a loop device to the file. It is detached when its last
// user, the descriptor returned or a mount, is gone. LOOP_CONFIGURE, Linux 5.8.
func attachLoop(file int) (*os.File, error) {
	control, err := unix.Open("/dev/loop-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/loop-control: %w", err)
	}
	defer unix.Close(control)
	for range attachAttempts {
		var device *os.File
		if device, err = tryLoop(control, file); err == nil {
			return device, nil
		}
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENXIO) && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENOENT) {
			break
		}
	}
	return nil, fmt.Errorf("attach a loop device: %w", err)
}

func tryLoop(control, file int) (*os.File, error) {
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
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO
	if err := unix.IoctlLoopConfigure(fd, &config); err != nil {
		return nil, errors.Join(fmt.Errorf("LOOP_CONFIGURE %s: %w", path, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), path), nil
}
