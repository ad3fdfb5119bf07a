# The NixOS module of ebb: import this, or take it from the flake.
{
  imports = [
    ./checks
    ./file-systems.nix
    ./home-manager.nix
    ./machine-id.nix
    ./options.nix
    ./presets.nix
    ./settings.nix
    ./stage-1.nix
    ./stage-2.nix
  ];
}
