package copytree

// Stats counts what was copied.
type Stats struct {
	Files   uint64 `json:"files"`             // of every type, directories included
	Copied  uint64 `json:"copied"`            // bytes that were read and written
	Shared  uint64 `json:"shared"`            // bytes that both trees now share on the disk
	Skipped uint64 `json:"skipped,omitempty"` // sockets, device nodes if not asked for, the insides of mounts
	Lost    uint64 `json:"lost,omitempty"`    // extended attributes that the target does not take
}
