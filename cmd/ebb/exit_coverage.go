//go:build coverage

package main

import "os"

// exit lets the runtime write what was reached: exit_group(2) alone does not.
func exit(status int) { os.Exit(status) }
