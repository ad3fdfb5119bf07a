// Package copytree copies a tree of files by descriptors, with all that
// belongs to them, and shares the data where the file system can (FICLONE).
//
// Both trees may belong to somebody hostile who is changing them meanwhile: no
// path is ever resolved twice, no link is followed, no mount is crossed.
package copytree

// Stats counts what was copied.
type Stats struct {
	Files  uint64 `json:"files"`  // of every type, directories included
	Copied uint64 `json:"copied"` // bytes that were read and written
	Shared uint64 `json:"shared"` // bytes that both trees now share on the disk
}
