# The NixOS module of ebb: import this, or take it from the flake.
{
  imports = [
    ./machine-id.nix
    ./options.nix
    ./settings.nix
  ];
}
