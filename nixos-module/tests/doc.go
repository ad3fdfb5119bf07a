// Package tests evaluates the NixOS module, the flake, and the examples, as
// "make test-nix" runs it. The tests themselves are written in Nix, beside
// this: lists of results, of which each becomes a subtest here. Those that
// evaluate machines need a tree of nixpkgs, which the variable NIXPKGS names.
package tests
