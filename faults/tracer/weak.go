package tracer

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// followLinks changes a call that is about to be made so that it follows links:
// O_NOFOLLOW, RESOLVE_* and AT_SYMLINK_NOFOLLOW are taken off.
func followLinks(tid int, regs *unix.PtraceRegs) error {
	switch regs.Orig_rax {
	case unix.SYS_OPENAT2:
		flags := readWord(tid, regs.Rdx) &^ unix.O_NOFOLLOW
		if err := pokeWord(tid, regs.Rdx, flags); err != nil {
			return err
		}
		return pokeWord(tid, regs.Rdx+16, 0) // struct open_how: flags, mode, resolve
	case unix.SYS_OPENAT:
		regs.Rdx &^= unix.O_NOFOLLOW
	case unix.SYS_STATX:
		regs.Rdx &^= unix.AT_SYMLINK_NOFOLLOW
	case unix.SYS_NEWFSTATAT:
		regs.R10 &^= unix.AT_SYMLINK_NOFOLLOW
	case unix.SYS_MOVE_MOUNT:
		regs.R8 |= unix.MOVE_MOUNT_T_SYMLINKS
	default:
		return nil
	}
	return unix.PtraceSetRegs(tid, regs)
}

func pokeWord(tid int, address, word uint64) error {
	var buffer [8]byte
	binary.LittleEndian.PutUint64(buffer[:], word)
	_, err := unix.PtracePokeData(tid, uintptr(address), buffer[:])
	return err
}
