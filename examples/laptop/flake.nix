{
  description = "A laptop whose root is new at every boot";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    ebb.url = "github:ebb-nix/ebb";
    ebb.inputs.nixpkgs.follows = "nixpkgs";
    home-manager.url = "github:nix-community/home-manager";
    home-manager.inputs.nixpkgs.follows = "nixpkgs";
    sops-nix.url = "github:Mic92/sops-nix";
    sops-nix.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      nixpkgs,
      ebb,
      home-manager,
      sops-nix,
      ...
    }:
    let
      laptop =
        modules:
        nixpkgs.lib.nixosSystem {
          modules = [
            ebb.nixosModules.default
            ./configuration.nix
          ]
          ++ modules;
        };
      withHomeManager = [
        home-manager.nixosModules.home-manager
        ./home.nix
      ];
      withSecrets = [
        sops-nix.nixosModules.sops
        ./secrets.nix
      ];
    in
    {
      nixosConfigurations = {
        # The disk as it is, with a root on btrfs. An old root can be looked into.
        laptop = laptop ([ ./root-btrfs.nix ] ++ withHomeManager ++ withSecrets);
        # The same disk, with the root in memory.
        laptop-tmpfs = laptop ([ ./root-tmpfs.nix ] ++ withHomeManager ++ withSecrets);
        # The disk encrypted.
        laptop-luks = laptop (
          [
            ./root-btrfs.nix
            ./luks.nix
          ]
          ++ withHomeManager
          ++ withSecrets
        );
        # Without anything from others.
        laptop-plain = laptop [ ./root-btrfs.nix ];
      };
    };
}
