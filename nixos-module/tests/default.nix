# The evaluation tests that need a nixpkgs: each group is a list of
# { name; ok; detail; }. "make test-nix" runs them one group after another, and the flake has
# all but the full systems among its checks.
{
  nixpkgs,
  system ? "x86_64-linux",
  # The configuration of the README, which the runner takes out of it.
  quickStart ? null,
  # A directory with trees of the projects that others.nix knows.
  others ? null,
  # The layout of docs/disko.md, which the runner takes out of it.
  diskoLayout ? null,
  # For a tree that lacks more than stand-ins.nix knows: an overlay, or the path of one.
  overlay ? (_final: _prev: { }),
  pkgs ? import nixpkgs {
    inherit system;
    config = { };
    overlays = [
      (import ./stand-ins.nix)
      (if builtins.isFunction overlay then overlay else import overlay)
    ];
  },
}:

let
  inherit (pkgs) lib;

  evaluate = import ./evaluate.nix { inherit nixpkgs pkgs; };
  layouts = import ./layouts.nix;
  test = import ./test.nix { inherit lib; };
  arguments = {
    inherit
      diskoLayout
      evaluate
      layouts
      lib
      nixpkgs
      others
      pkgs
      quickStart
      test
      ;
  };
  results = lib.concatMap test.flatten;
  group = file: results (import file arguments);

  groups = {
    setups = results (import ./setups.nix { whole = false; } arguments);
    complaints = group ./complaints;
    options = group ./options.nix ++ group ./generations.nix;
    initrd = group ./initrd.nix;
    presets = group ./presets;
    compat = group ./compat;
  };
in
groups
// {
  # Those that look at options and no further.
  quick = lib.concatLists (lib.attrValues groups);

  # Whole systems; the first ones in place of setups.
  systems = results (import ./setups.nix { whole = true; } arguments);

  laptop = group ./laptop.nix;

  flake = group ./flake.nix;

  # What is run elsewhere, as text: how the config is checked while a system is built, and what
  # a login shell does, with the name of the program that it asks.
  scripts =
    let
      inherit
        (evaluate [
          ../.
          layouts.btrfs
          { ebb.enable = true; }
        ])
        config
        ;
    in
    {
      config = config.ebb.configFile.buildCommand;
      login = config.environment.loginShellInit;
      systemctl = "${config.systemd.package}/bin/systemctl";
    };

  others = group ./others.nix;

  quick-start = group ./quick-start.nix;
}
