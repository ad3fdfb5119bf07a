// Package tracer runs a program under ptrace(2), numbers the system calls by
// which it reads or changes the world, and interferes with any of them: kills
// the program before or after it, has it fail with any errno, or lets something
// else happen in between. Linux on amd64.
//
// It is for tests. Calls that belong to the Go runtime alone are not counted;
// which those are stands in calls.go, and a call that is in neither table is
// an error, so that nothing goes untested unnoticed.
package tracer
