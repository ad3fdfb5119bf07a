// Package initrd does ebb's work in stage 1: it makes the root fresh, brings
// the entries into place, and leaves the boot record that everything later
// reads.
//
// A rollback is planned before it is made. readFacts looks at the disk,
// [Plan] decides without touching anything, and only then are the steps
// carried out, each one announced before it is made. "ebb plan" prints the
// very same steps. At every instant the root's name leads to a whole root, the
// old one or the fresh one, and what a power cut leaves behind is finished or
// put aside by the next run, from what is on the disk alone.
package initrd
