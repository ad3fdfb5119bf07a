# The checks of the flake: one that evaluates, and machines that boot.
{
  pkgs,
  nixpkgs, # the tree that pkgs is made from
  modules, # nixosModules of the flake
  package,
}:

let
  inherit (pkgs) lib;

  machine =
    file:
    pkgs.testers.runNixOSTest {
      imports = [
        ./machine.nix
        file
      ];
      _module.args.ebbModules = modules;
    };

  results = import ../nixos-module/tests { inherit pkgs nixpkgs; };
  failed = lib.filter (result: !result.ok) results.quick;
in
{
  inherit package;

  btrfs = machine ./btrfs.nix;
  tmpfs = machine ./tmpfs.nix;
  luks = machine ./luks.nix;
  impermanence = machine ./impermanence.nix;
  preservation = machine ./preservation.nix;
}
# What "make test-nix" does as well; it is about options, which are the same everywhere. Whole
# systems are left to that: they take long, and the machines above are such systems.
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isx86_64 {
  evaluation =
    if failed != [ ] then
      throw "evaluation tests failed:\n${lib.concatMapStringsSep "\n" (result: "${result.name}: ${result.detail}") failed}"
    else
      pkgs.writeText "ebb-evaluation" (
        lib.concatMapStrings (result: "ok ${result.name}\n") results.quick
      );
}
