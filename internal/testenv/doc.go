// Package testenv gives tests what they need from the machine: gates for
// tests that cannot run everywhere, file systems on loop devices, trees of
// files and their comparison, and namespaces of their own.
//
// It is imported by tests only.
package testenv
