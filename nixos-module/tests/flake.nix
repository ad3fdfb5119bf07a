# What the flake has, for both systems. That all of it can be evaluated is for "nix flake check".
{
  layouts,
  lib,
  nixpkgs,
  pkgs,
  test,
  ...
}:

let
  inherit (test) is;

  systems = [
    "aarch64-linux"
    "x86_64-linux"
  ];

  self = (import ../../flake.nix).outputs {
    inherit self;
    nixpkgs = {
      inherit lib;
      outPath = nixpkgs;
      legacyPackages = {
        x86_64-linux = pkgs;
        aarch64-linux = import nixpkgs {
          system = "aarch64-linux";
          inherit (pkgs) config overlays;
        };
      };
    };
  };

  ofEach = what: is "${what} of both systems" systems (lib.attrNames self.${what});
  default = self.packages.x86_64-linux.default;

  # The module, as others import it, brings the package of the flake.
  evaluate = import ./evaluate.nix { inherit nixpkgs pkgs; };
  packageWith =
    modules:
    (evaluate (modules ++ [
      layouts.btrfs
      {
        ebb.enable = true;
        ebb.root.kind = "btrfs";
      }
    ])).config.ebb.package.drvPath;
in
map ofEach [
  "apps"
  "checks"
  "devShells"
  "formatter"
  "packages"
]
++ map (
  system: is "the package of ${system} is for it" system self.packages.${system}.default.stdenv.hostPlatform.system
) systems
++ map (
  system:
  is "checks of ${system}" [ ] (
    lib.subtractLists (lib.attrNames self.checks.${system}) [
      "btrfs"
      "impermanence"
      "luks"
      "package"
      "preservation"
      "tmpfs"
    ]
  )
) systems
++ [
  (is "nothing else" [
    "apps"
    "checks"
    "devShells"
    "formatter"
    "nixosModules"
    "overlays"
    "packages"
  ] (lib.attrNames self))
  (is "modules" [ "default" "ebb" "impermanence" "preservation" ] (lib.attrNames self.nixosModules))
  (is "the demo can be run" "app" self.apps.x86_64-linux.demo.type)
  (is "there is a shell to develop in" true (lib.isDerivation self.devShells.x86_64-linux.default))
  (is "there is a formatter" true (lib.isDerivation self.formatter.x86_64-linux))
  (is "the overlay has the same" default.drvPath (pkgs.extend self.overlays.default).ebb.drvPath)
  (test.contains "it is built as everywhere else" "scripts/build" default.buildPhase)
  (is "two of the modules at once" default.drvPath (
    packageWith [
      self.nixosModules.default
      self.nixosModules.impermanence
    ]
  ))
]
++ map (
  name: is "the module ${name} has the package" default.drvPath (packageWith [ self.nixosModules.${name} ])
) (lib.attrNames self.nixosModules)
