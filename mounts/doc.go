// Package mounts brings the persistent paths of a configuration into place
// below a root directory: it prepares the source in the store and the target
// in the root, and then binds, links or copies.
//
// Both sides are hostile ground. Users own directories in the store and in the
// root, and may have left links, FIFOs or foreign hard links there, or be
// exchanging names this very moment. So every path is walked one component at
// a time, below an open directory; what is acted on is the open descriptor and
// never a path that is resolved again; and one function, openEntry, opens
// every source and every target, and takes a directory or a regular file only.
// What exists is never given another owner or mode.
//
// In a directory that others can write to, what was just made is looked at
// before it is given away, and what was mounted is looked at afterwards: the
// name may lead elsewhere by then. The worst that is left is a mount, or an
// empty directory, that a user has moved to another place of their own.
//
// [Root.Plan] and [Root.Mount] are one and the same run, with and without the
// system calls that change something.
package mounts
