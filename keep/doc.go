// Package keep brings what lies on a fresh root into a store while the machine
// runs, so that the next boot does not lose it: because somebody asked for it,
// or because the configuration has a new entry.
//
// What it copies belongs to users who are at work on it, or hostile. So it goes
// through package mounts, which walks by descriptors; it looks at what it has
// copied until nothing changed any more; it never touches what a store has; and
// where data would be hidden it does nothing and says what to do.
//
// What was kept without being declared stands in a list in the store, which
// each boot reads with the configuration.
package keep
