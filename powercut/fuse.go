package powercut

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The part of the FUSE protocol (fuse(4), include/uapi/linux/fuse.h) that a
// file system with one file needs. Every number is of version 7.31, which is
// Linux 5.4.
const (
	fuseLookup      = 1
	fuseForget      = 2
	fuseGetattr     = 3
	fuseOpen        = 14
	fuseRead        = 15
	fuseWrite       = 16
	fuseStatfs      = 17
	fuseRelease     = 18
	fuseFsync       = 20
	fuseFlush       = 25
	fuseInit        = 26
	fuseAccess      = 34
	fuseInterrupt   = 36
	fuseBatchForget = 42
	fuseFallocate   = 43
)

const (
	fuseMinor = 31

	fuseAsyncRead = 1 << 0  // several reads at once
	fuseBigWrites = 1 << 5  // writes of more than a page
	fuseAsyncDIO  = 1 << 15 // O_DIRECT requests that do not wait
	fuseMaxPages  = 1 << 22 // more than 32 pages in a request

	fuseMaxWrite   = 1 << 20
	fuseHeaderSize = 40
	fuseArgsSize   = 40 // of fuse_read_in and of fuse_write_in
	fuseBufferSize = fuseMaxWrite + 4096
)

const (
	fuseRootNode = 1
	fuseDiskNode = 2
	fuseForever  = 1 << 40 // seconds that the kernel may keep a name or attributes
)

// diskName is the only file's name.
const diskName = "disk"

// fuseServer answers the kernel for one disk. One thread does all of it, so
// that the log has the order in which the requests were answered.
type fuseServer struct {
	fd     int // of /dev/fuse
	disk   *shared
	opened uint64 // how often: each block device has opened the file once, in order
}

// serve answers until the file system is unmounted.
func (s *fuseServer) serve() error {
	buffer := make([]byte, fuseBufferSize)
	for {
		n, err := unix.Read(s.fd, buffer)
		switch {
		case errors.Is(err, unix.ENODEV): // unmounted
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return fmt.Errorf("read /dev/fuse: %w", err)
		case n < fuseHeaderSize:
			return fmt.Errorf("read /dev/fuse: a request of %d bytes", n)
		}
		if err := s.answer(buffer[:n]); err != nil {
			return err
		}
	}
}

// answer handles one request. struct fuse_in_header: len, opcode, unique,
// nodeid, uid, gid, pid, padding.
func (s *fuseServer) answer(request []byte) error {
	opcode := binary.NativeEndian.Uint32(request[4:])
	unique := binary.NativeEndian.Uint64(request[8:])
	node := binary.NativeEndian.Uint64(request[16:])
	body := request[fuseHeaderSize:]
	switch opcode {
	case fuseForget, fuseBatchForget, fuseInterrupt:
		return nil // these have no answer
	case fuseInit:
		return s.reply(unique, 0, initReply(body))
	case fuseLookup:
		if string(body) != diskName+"\x00" {
			return s.reply(unique, unix.ENOENT, nil)
		}
		return s.reply(unique, 0, s.entry())
	case fuseGetattr:
		reply := binary.NativeEndian.AppendUint64(nil, fuseForever)
		reply = append(reply, make([]byte, 8)...)
		return s.reply(unique, 0, append(reply, s.attributes(node)...))
	case fuseOpen:
		return s.open(unique)
	case fuseRead:
		return s.read(unique, body)
	case fuseWrite:
		return s.write(unique, body)
	case fuseFsync:
		return s.flush(unique, body)
	case fuseFallocate:
		return s.discard(unique, body)
	case fuseStatfs:
		return s.reply(unique, 0, statfsReply())
	case fuseRelease, fuseFlush, fuseAccess:
		return s.reply(unique, 0, nil)
	}
	return s.reply(unique, unix.ENOSYS, nil)
}

// reply writes struct fuse_out_header (len, error, unique) and the payload.
func (s *fuseServer) reply(unique uint64, errno unix.Errno, payload []byte) error {
	header := binary.NativeEndian.AppendUint32(make([]byte, 0, 16), uint32(16+len(payload)))
	header = binary.NativeEndian.AppendUint32(header, uint32(-int32(errno)))
	header = binary.NativeEndian.AppendUint64(header, unique)
	parts := [][]byte{header}
	if len(payload) > 0 {
		parts = append(parts, payload)
	}
	// ENOENT: the request was interrupted, nobody waits for it any more.
	if _, err := unix.Writev(s.fd, parts); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("write /dev/fuse: %w", err)
	}
	return nil
}

// initReply is struct fuse_init_out: major, minor, max_readahead, flags,
// max_background, congestion_threshold, max_write, time_gran, max_pages.
func initReply(body []byte) []byte {
	reply := make([]byte, 64)
	binary.NativeEndian.PutUint32(reply[0:], 7)
	binary.NativeEndian.PutUint32(reply[4:], fuseMinor)
	copy(reply[8:12], body[8:12])
	offered := binary.NativeEndian.Uint32(body[12:])
	binary.NativeEndian.PutUint32(reply[12:], offered&(fuseAsyncRead|fuseBigWrites|fuseAsyncDIO|fuseMaxPages))
	binary.NativeEndian.PutUint16(reply[16:], 128)
	binary.NativeEndian.PutUint16(reply[18:], 96)
	binary.NativeEndian.PutUint32(reply[20:], fuseMaxWrite)
	binary.NativeEndian.PutUint32(reply[24:], 1)
	binary.NativeEndian.PutUint16(reply[28:], fuseMaxWrite/4096)
	return reply
}

// statfsReply is struct fuse_statfs_out: five counters, bsize, namelen, frsize.
// A loop device takes discards in units of bsize, if there is one.
func statfsReply() []byte {
	reply := make([]byte, 80)
	binary.NativeEndian.PutUint32(reply[40:], blockSize)
	binary.NativeEndian.PutUint32(reply[48:], blockSize)
	return reply
}

// entry is struct fuse_entry_out: nodeid, generation, entry_valid, attr_valid,
// their nanoseconds, attributes.
func (s *fuseServer) entry() []byte {
	reply := binary.NativeEndian.AppendUint64(nil, fuseDiskNode)
	reply = binary.NativeEndian.AppendUint64(reply, 0)
	reply = binary.NativeEndian.AppendUint64(reply, fuseForever)
	reply = binary.NativeEndian.AppendUint64(reply, fuseForever)
	reply = append(reply, make([]byte, 8)...)
	return append(reply, s.attributes(fuseDiskNode)...)
}

// attributes is struct fuse_attr: ino, size, blocks, three times and their
// nanoseconds, mode, nlink, uid, gid, rdev, blksize, flags.
func (s *fuseServer) attributes(node uint64) []byte {
	size, mode := uint64(0), uint32(unix.S_IFDIR|0o700)
	if node == fuseDiskNode {
		size, mode = uint64(len(s.disk.image)), unix.S_IFREG|0o600
	}
	a := make([]byte, 88)
	binary.NativeEndian.PutUint64(a[0:], node)
	binary.NativeEndian.PutUint64(a[8:], size)
	binary.NativeEndian.PutUint64(a[16:], size/512)
	binary.NativeEndian.PutUint32(a[60:], mode)
	binary.NativeEndian.PutUint32(a[64:], 1)
	binary.NativeEndian.PutUint32(a[80:], 4096)
	return a
}

// open answers with struct fuse_open_out: fh, flags, padding.
func (s *fuseServer) open(unique uint64) error {
	reply := binary.NativeEndian.AppendUint64(nil, s.opened)
	s.opened++
	return s.reply(unique, 0, append(reply, make([]byte, 8)...))
}

// flush answers struct fuse_fsync_in: fh, flags, padding. A block device flushes
// what was written to itself.
func (s *fuseServer) flush(unique uint64, body []byte) error {
	if !s.disk.append(Flush, binary.NativeEndian.Uint64(body), nil) {
		return s.reply(unique, unix.EIO, nil)
	}
	return s.reply(unique, 0, nil)
}

// read answers struct fuse_read_in: fh, offset, size.
func (s *fuseServer) read(unique uint64, body []byte) error {
	offset := binary.NativeEndian.Uint64(body[8:])
	end := offset + uint64(binary.NativeEndian.Uint32(body[16:]))
	size := uint64(len(s.disk.image))
	return s.reply(unique, 0, s.disk.image[min(offset, size):min(end, size)])
}

// write answers struct fuse_write_in: fh, offset, size; the data follows.
func (s *fuseServer) write(unique uint64, body []byte) error {
	offset := binary.NativeEndian.Uint64(body[8:])
	data := body[fuseArgsSize:]
	if offset+uint64(len(data)) > uint64(len(s.disk.image)) {
		return s.reply(unique, unix.ENOSPC, nil)
	}
	if !s.disk.append(Write, offset, data) {
		return s.reply(unique, unix.EIO, nil)
	}
	copy(s.disk.image[offset:], data)
	reply := make([]byte, 8)
	binary.NativeEndian.PutUint32(reply, uint32(len(data)))
	return s.reply(unique, 0, reply)
}

// discard answers struct fuse_fallocate_in: fh, offset, length, mode. All that
// a loop device asks for is zeros (fallocate(2), FALLOC_FL_PUNCH_HOLE and
// FALLOC_FL_ZERO_RANGE).
func (s *fuseServer) discard(unique uint64, body []byte) error {
	offset, length := binary.NativeEndian.Uint64(body[8:]), binary.NativeEndian.Uint64(body[16:])
	if size := uint64(len(s.disk.image)); length > size || offset > size-length {
		return s.reply(unique, unix.ENOSPC, nil)
	}
	if !s.disk.append(Discard, offset, binary.NativeEndian.AppendUint64(nil, length)) {
		return s.reply(unique, unix.EIO, nil)
	}
	clear(s.disk.image[offset : offset+length])
	return s.reply(unique, 0, nil)
}
