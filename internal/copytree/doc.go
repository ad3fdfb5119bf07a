// Package copytree copies and removes trees of files by descriptors. A copy
// has all that belongs to the files, and shares their data where the file
// system can (FICLONE, ioctl_ficlone(2)).
//
// The source may belong to somebody hostile who is changing it meanwhile: no
// link is followed, no mount is crossed, no name is resolved twice in the
// belief that it leads to the same thing, and nothing but a regular file is
// opened for reading. What is being made belongs to root alone until it is
// whole. Depth costs memory, but no stack and no descriptors.
package copytree
