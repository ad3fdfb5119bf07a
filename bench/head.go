package main

// documentTitle and documentHead stand above the results where these are a
// document of their own.
const (
	documentTitle = "# Performance"
	documentHead  = `What ebb takes to do its work in the initrd, next to what nothing can be faster than, and to what people
use without ebb:

- "C, system calls alone": small static C programs (bench/floor) that make the same changes, or read the same, with
  nothing but the system calls that these take, and no checks.
- Scripts for dash, with one or two processes for each entry, and the usual scripts for a rollback.
- In virtual machines with systemd in the initrd: the script or the C program in a unit, and a mount unit for each
  entry with rules for systemd-tmpfiles.

All times are those of whole processes or units, from before the start to after the end. Programs that are compared run
in turn; shown are medians, and ratios run by run. "Start" is what a Go program that does nothing takes, run in turn with
the others: it has a runtime to set up. With "strictly" there is no allowance for it.

To repeat it, as root on Linux:

    make bench
    go run ./bench -markdown > docs/performance.md  # this document
    go run ./bench -help                            # parts of it, fewer runs`
)
