// Package sys wraps the system calls that ebb lives on: one function each,
// retried on EINTR, close-on-exec always set, errors that name the call and
// the object. Nothing here knows what an entry or a rollback is.
//
// Directories are passed as open file descriptors, names as single components
// or as clean relative paths; nothing is ever resolved against the working
// directory of the process.
package sys
