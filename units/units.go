// Package units holds the systemd units of ebb: one source for the NixOS
// module, which copies the files, and for the virtual machines of the tests.
package units

import "embed"

// Files are the unit files, by their names.
//
//go:embed *.service *.timer
var Files embed.FS

// The names of the units.
const (
	Rollback   = "ebb-rollback.service" // stage 1
	Failure    = "ebb-failure.service"  // stage 1, when Rollback fails or cannot be started
	Mount      = "ebb-mount.service"    // stage 1
	Required   = "ebb-required.service" // stage 1, where there are required entries
	Sync       = "ebb-sync.service"     // stage 2
	Status     = "ebb-status.service"   // stage 2
	Prune      = "ebb-prune.service"    // stage 2, where there is an archive; started by PruneTimer
	PruneTimer = "ebb-prune.timer"      // stage 2

	Apply        = "ebb-apply.service"         // stage 2, at every switch to another configuration
	Diff         = "ebb-diff.service"          // stage 2, where it is wanted; started by DiffTimer
	DiffTimer    = "ebb-diff.timer"            // stage 2
	DiffShutdown = "ebb-diff-shutdown.service" // stage 2, where it is wanted
)
