// Package faults holds the tests that kill ebb at each of its system calls and
// make each of them fail, that let two of it run into each other, and that look
// whether the machine still boots and nothing is lost. The program is the real
// one, run as a process under a tracer; the disk is a btrfs on a loop device.
//
// EBB_LONG=1 tries everything with everything; without it each call site is
// killed before and after, and fails with some of the errors: others each day,
// by the number that EBB_SEED may give instead and that each sweep prints.
// EBB_COVERAGE names a directory that the list of call sites is written to.
package faults
