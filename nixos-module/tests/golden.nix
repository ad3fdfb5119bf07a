# The files that the module puts into the initrd and the system, for the set-ups
# in golden/: virtual machines of vmtest boot with exactly these. A set of texts
# by set-up and path; golden.sh writes them, and compares.
{
  nixpkgs,
  system ? "x86_64-linux",
}:

let
  pkgs = import nixpkgs {
    inherit system;
    config = { };
    overlays = [ (import ./stand-ins.nix) ];
  };
  inherit (pkgs) lib;

  evaluate = import ./evaluate.nix { inherit nixpkgs pkgs; };

  configOf =
    setup:
    (evaluate [
      ../.
      setup
    ]).config;

  # Stage 1 has the binary in /bin; stage 2 has it where the store has it.
  withoutStorePath =
    config: text:
    lib.replaceStrings [ "${config.ebb.package}" ] [ "@ebb@" ] (builtins.unsafeDiscardStringContext text);

  # Settings that begin with X- are for switch-to-configuration(8) alone, and
  # name files that differ with each nixpkgs.
  withoutHints =
    text:
    lib.concatStringsSep "\n" (
      lib.filter (line: !(lib.hasPrefix "X-" line)) (lib.splitString "\n" text)
    );

  # The files of units: those of packages, and what NixOS writes of its options
  # beside them, as generateUnits in nixos/lib/systemd-lib.nix lays them out.
  unitFiles =
    {
      packages,
      units,
      isOurs,
    }:
    let
      packaged = lib.listToAttrs (
        map (package: lib.nameValuePair package.name package.text) (
          lib.filter (package: lib.hasPrefix "ebb-" (package.name or "")) packages
        )
      );
      generated = lib.mapAttrs' (
        name: unit:
        lib.nameValuePair (
          if packaged ? ${name} || unit.overrideStrategy == "asDropin" then
            "${name}.d/overrides.conf"
          else
            name
        ) (withoutHints unit.text)
      ) (lib.filterAttrs (name: _: isOurs name) units);
    in
    lib.mapAttrs' (name: lib.nameValuePair "etc/systemd/system/${name}") (packaged // generated);

  wants =
    { units, isOurs, ... }:
    {
      wants = lib.concatLines (
        lib.concatLists (
          lib.mapAttrsToList (name: unit: map (target: "${target} ${name}") unit.wantedBy) (
            lib.filterAttrs (name: _: isOurs name) units
          )
        )
      );
    };

  filesOf =
    setup:
    let
      config = configOf setup;
      document."etc/ebb/config.json" = config.ebb.configFile.document;
      initrd = {
        inherit (config.boot.initrd.systemd) packages units;
        isOurs = name: lib.hasPrefix "ebb-" name || name == "sysroot.mount";
      };
      running = {
        inherit (config.systemd) packages units;
        isOurs = name: lib.hasPrefix "ebb-" name;
      };
      files = stage: lib.mapAttrs (_: withoutStorePath config) (document // unitFiles stage // wants stage);
      below = dir: lib.mapAttrs' (path: lib.nameValuePair "${dir}/${path}");
    in
    below "initrd" (files initrd) // below "system" (files running);
in
lib.mapAttrs (_: filesOf) (import ./golden/setups.nix { inherit lib; })
