{
  description = "ebb: a NixOS root file system that is new at every boot, with what you declare kept";

  # The one input. There is no flake.lock: whoever uses ebb has a nixpkgs already
  # (`inputs.ebb.inputs.nixpkgs.follows = "nixpkgs"`), and the tests take the one that is
  # named to them, so that a lock would name one more, which nobody boots.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      forEachSystem =
        make:
        lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: make system nixpkgs.legacyPackages.${system});

      # For the checks and for developers: works with sparse checkouts of nixpkgs as well.
      complete = pkgs: pkgs.extend (import ./nixos-module/tests/stand-ins.nix);

      # A module of this repository, with the package of this flake. That is built with a Go
      # which is new enough, on whatever release of NixOS the module is used.
      withPackage = module: {
        imports = [
          module
          packageModule
        ];
      };
      packageModule =
        { lib, pkgs, ... }:
        let
          inherit (pkgs.stdenv.hostPlatform) system;
        in
        {
          # Who imports two of the modules gets this one once.
          key = "ebb/flake.nix#package";
          _file = ./flake.nix;
          config = lib.mkIf (self.packages ? ${system}) {
            ebb.package = lib.mkDefault self.packages.${system}.default;
          };
        };
    in
    {
      packages = forEachSystem (_system: pkgs: {
        default = pkgs.callPackage ./package.nix { };
      });

      overlays.default = final: _prev: {
        ebb = final.callPackage ./package.nix { };
      };

      nixosModules = {
        default = self.nixosModules.ebb;
        ebb = withPackage ./nixos-module;
        impermanence = withPackage ./nixos-module/compat/impermanence.nix;
        preservation = withPackage ./nixos-module/compat/preservation.nix;
      };

      # Evaluation, and machines that are booted, in the NixOS test driver.
      checks = forEachSystem (
        system: pkgs:
        import ./checks {
          pkgs = complete pkgs;
          nixpkgs = nixpkgs.outPath;
          modules = self.nixosModules;
          package = self.packages.${system}.default;
        }
      );

      # nix run .#demo: boots a machine a few times and tells what is gone and what is kept.
      apps = forEachSystem (
        system: pkgs: {
          demo = {
            type = "app";
            program = toString (
              import ./checks/demo.nix {
                inherit pkgs;
                test = self.checks.${system}.btrfs;
              }
            );
          };
        }
      );

      devShells = forEachSystem (_system: pkgs: {
        default = import ./checks/shell.nix { pkgs = complete pkgs; };
      });

      # nixfmt's style (RFC 166); before 25.05 nixpkgs had it only as a program of Haskell.
      formatter = forEachSystem (_system: pkgs: pkgs.nixfmt-tree or pkgs.nixpkgs-fmt);
    };
}
