// The compiler takes functions without a body, which are linked in by name,
// only in a package that has a file of assembly.
