//go:build ignore

// What it costs to start and to end a process in Go.
package main

func main() {}
