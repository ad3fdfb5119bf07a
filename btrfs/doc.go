// Package btrfs creates, snapshots, deletes, inspects and lists btrfs
// subvolumes, and asks the kernel about btrfs devices. It calls the ioctls of
// linux/btrfs.h directly: no cgo, no btrfs-progs.
//
// # File descriptors
//
// Every function acts on file descriptors that the caller opened and keeps
// open during the call. Descriptors opened with O_PATH do not accept ioctls
// (the kernel answers EBADF); open directories with O_RDONLY|O_DIRECTORY.
// Names of subvolumes are single components below a directory descriptor, so
// that no path is ever resolved twice.
//
// # Durability
//
// Creating, renaming and deleting a subvolume is atomic but not durable when
// the call returns: after a power cut the change may be undone. A snapshot and
// a change of the read-only flag end with a commit of the file system, which
// makes all earlier changes durable as well. [Sync] commits on demand.
//
// # Trust
//
// A file system image can be hostile. Whatever is parsed here is bounds
// checked, names that a file system could not have are refused, and chains of
// parents that form a loop end in an error.
//
// # Platforms
//
// The layouts are those of 64-bit kernels and the request numbers those of
// the architectures that use asm-generic/ioctl.h (not powerpc, mips, sparc
// and alpha).
package btrfs
