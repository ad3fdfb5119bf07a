# What the presets keep, and what they leave alone.
arguments@{ lib, test, ... }:
lib.concatLists (
  lib.mapAttrsToList (name: file: test.under name (import file arguments)) {
    "presets" = ./enabled.nix;
    "presets of units" = ./units.nix;
    "presets and what is declared" = ./declared.nix;
    "presets, elsewhere" = ./elsewhere.nix;
    "catalog" = ./catalog.nix;
    "owners" = ./owners.nix;
    "presets of everything" = ./all.nix;
  }
)
