# A NixOS system of the modules that are given, with a nixpkgs that is evaluated once for all
# of them.
{ nixpkgs, pkgs }:
modules:
import (nixpkgs + "/nixos/lib/eval-config.nix") {
  system = null;
  modules = [
    {
      nixpkgs.pkgs = pkgs;
      # The manual is another test's, and half of the time that a system takes.
      documentation.nixos.enable = pkgs.lib.mkDefault false;
      boot.loader.systemd-boot.enable = pkgs.lib.mkDefault true;
      boot.initrd.systemd.enable = pkgs.lib.mkDefault true;
      system.stateVersion = "24.05";
    }
  ]
  ++ modules;
}
