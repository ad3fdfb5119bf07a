# The modules for configurations of other projects: a list of results. It is one of the groups
# of ../default.nix, and can be had alone:
#
#   NIXPKGS=... nix-instantiate --eval --strict nixos-module/tests/compat
#
# HOME_MANAGER, if it is set, is a tree of home-manager to test with in place of a stand-in.
{
  nixpkgs ?
    let
      named = builtins.getEnv "NIXPKGS";
    in
    if named == "" then throw "NIXPKGS has to name a tree of nixpkgs" else named,
  pkgs ? import nixpkgs {
    config = { };
    overlays = [ (import ../stand-ins.nix) ];
  },
  lib ? pkgs.lib,
  test ? import ../test.nix { inherit lib; },
  layouts ? import ../layouts.nix,
  evaluate ? import ../evaluate.nix { inherit nixpkgs pkgs; },
  homeManager ? builtins.getEnv "HOME_MANAGER",
  ...
}:

let
  common = import ./common.nix {
    inherit
      evaluate
      layouts
      lib
      test
      ;
  };
  arguments = {
    inherit
      common
      evaluate
      layouts
      lib
      nixpkgs
      pkgs
      test
      ;
    homeManager = if homeManager == "" then ../home-manager.nix else "${homeManager}/nixos";
    isWholeHomeManager = homeManager != "";
  };
in
test.under "modes" (import ./modes.nix arguments)
++ test.under "impermanence" (import ./impermanence.nix arguments)
++ test.under "home-manager" (import ./home-manager.nix arguments)
++ test.under "preservation" (import ./preservation.nix arguments)
