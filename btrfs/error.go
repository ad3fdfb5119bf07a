package btrfs

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

var (
	// ErrNotBtrfs is returned for a descriptor on another file system.
	ErrNotBtrfs = errors.New("not a btrfs file system")
	// ErrNotSubvolume is returned for a descriptor that is on btrfs but not
	// the root directory of a subvolume.
	ErrNotSubvolume = errors.New("not a btrfs subvolume")
	// ErrBadName is returned for a name that is not a single path component
	// of 1 to 255 bytes.
	ErrBadName = errors.New("bad subvolume name")
	// ErrNotFound is returned when a subvolume id is not in a [Listing], or
	// when no such subvolume exists (any more).
	ErrNotFound = errors.New("no such subvolume")
	// ErrCorrupt is returned when the file system holds something that btrfs
	// itself never writes: it is damaged or made by an attacker.
	ErrCorrupt = errors.New("corrupt file system")
)

// operation names what was tried, in the words of the error message.
type operation string

const (
	opCreate      operation = "create subvolume"
	opSnapshot    operation = "create snapshot"
	opDelete      operation = "delete subvolume"
	opGetFlags    operation = "read subvolume flags"
	opReadOnly    operation = "make subvolume read-only"
	opReadWrite   operation = "make subvolume writable"
	opInfo        operation = "read subvolume information"
	opSearch      operation = "search tree"
	opLookup      operation = "look up directory"
	opSync        operation = "sync file system"
	opFileSystem  operation = "read file system information"
	opDefault     operation = "read default subvolume"
	opReady       operation = "check devices of"
	opScan        operation = "scan device"
	opForget      operation = "forget device"
	opListing     operation = "list subvolumes"
	opDescendants operation = "list subvolumes below"
	opPath        operation = "find path of subvolume"
)

// Error says which operation failed on which object, and what the error
// number of the kernel means for it where the number alone would mislead.
type Error struct {
	Op   string // what was tried, for example "delete subvolume"
	Name string // the name or device path it was tried on, or ""
	ID   uint64 // the subvolume or tree id it was tried on, or 0
	Err  error  // the cause; a [unix.Errno] when the kernel refused
}

// Error returns one line: operation, object, cause and its meaning.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString(e.Op)
	switch {
	case e.Name != "":
		format.Fprintf(&text, " %q", e.Name)
	case e.ID != 0:
		format.Fprintf(&text, " %d", e.ID)
	}
	format.Fprintf(&text, ": %v", e.Err)
	if meaning := explain(operation(e.Op), e.Err); meaning != "" {
		format.Fprintf(&text, " (%s)", meaning)
	}
	return text.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes an ENOENT or ESTALE about the subvolume itself match
// [ErrNotFound].
func (e *Error) Is(target error) bool {
	op := operation(e.Op)
	return target == ErrNotFound && (op == opDelete || op == opInfo) &&
		(errors.Is(e.Err, unix.ENOENT) || errors.Is(e.Err, unix.ESTALE))
}

func failName(op operation, name string, err error) error {
	return &Error{Op: string(op), Name: name, Err: err}
}

func failID(op operation, id uint64, err error) error {
	return &Error{Op: string(op), ID: id, Err: err}
}

// explain returns what an errno means for an operation, or "" when the text of
// the errno says it already. See fs/btrfs/ioctl.c and fs/btrfs/inode.c
// (btrfs_delete_subvolume, may_destroy_subvol) in the kernel.
func explain(op operation, err error) string {
	var inner *Error
	var errno unix.Errno
	if errors.As(err, &inner) || !errors.As(err, &errno) {
		return ""
	}
	if errno == unix.ENOTTY {
		return explainMissing(op)
	}
	switch op {
	case opCreate, opSnapshot:
		return explainCreate(errno)
	case opDelete:
		return explainDelete(errno)
	case opReadOnly, opReadWrite:
		return explainSetFlags(errno)
	case opInfo:
		if errno == unix.ENOENT {
			return "it has been deleted"
		}
	case opSearch, opLookup, opReady, opScan, opForget:
		if errno == unix.EPERM || errno == unix.EACCES {
			return "needs CAP_SYS_ADMIN in the initial user namespace"
		}
	}
	return ""
}

func explainMissing(op operation) string {
	switch op {
	case opDelete:
		return "deletion by id needs Linux 5.7"
	case opInfo:
		return "needs Linux 4.18"
	}
	return "the kernel does not know this request"
}

func explainCreate(errno unix.Errno) string {
	switch errno {
	case unix.EROFS:
		return "the file system or the subvolume around it is read-only"
	case unix.EXDEV:
		return "source and snapshot must be on the same file system"
	case unix.ETXTBSY:
		return "the source holds an active swap file"
	case unix.ENOENT:
		return "the source or the directory has been deleted"
	case unix.EPERM, unix.EACCES:
		return "only root or the owner of the source may, in a directory it may write to"
	case unix.EDQUOT:
		return "the limit of a quota group is reached"
	}
	return ""
}

func explainDelete(errno unix.Errno) string {
	switch errno {
	case unix.ENOTEMPTY:
		return "it has other subvolumes inside"
	case unix.EPERM:
		return "it is the default subvolume, is being sent, holds an active swap file, or the caller may not"
	case unix.EROFS:
		return "the file system or the subvolume around it is read-only"
	case unix.EBUSY:
		return "it is a mount point in this mount namespace"
	case unix.ENAMETOOLONG:
		return "its path has 4096 bytes or more: it can only be deleted by name"
	case unix.ENOENT, unix.ESTALE:
		return "it does not exist or has been deleted already"
	}
	return ""
}

func explainSetFlags(errno unix.Errno) string {
	switch errno {
	case unix.EROFS:
		return "the file system is mounted read-only"
	case unix.EPERM:
		return "it is being sent, or the caller may not"
	case unix.EACCES:
		return "only root or its owner may"
	}
	return ""
}
