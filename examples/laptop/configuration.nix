# The machine itself: a workstation of one person.
{ lib, pkgs, ... }:
{
  imports = [
    ./backup.nix
    ./hardware.nix
    ./keep.nix
    ./logs.nix
  ];

  networking.hostName = "laptop";
  networking.networkmanager.enable = true;
  hardware.bluetooth.enable = true;
  virtualisation.docker.enable = true;
  virtualisation.docker.storageDriver = "btrfs";
  services.openssh.enable = true;
  services.openssh.hostKeys = [
    {
      type = "ed25519";
      path = "/etc/ssh/ssh_host_ed25519_key";
    }
  ];

  programs.river.enable = true;
  programs.firefox.enable = true;
  environment.systemPackages = [
    pkgs.awscli2
    pkgs.neovim
  ];

  # What passwd(1) would set is lost with the root. The file is made once:
  #   mkdir -m 0700 /persist/passwords && mkpasswd > /persist/passwords/gabriel
  users.mutableUsers = false;
  users.users.gabriel = {
    isNormalUser = true;
    uid = 1000;
    extraGroups = [
      "docker"
      "networkmanager"
      "wheel"
    ];
    hashedPasswordFile = lib.mkDefault "/persist/passwords/gabriel";
  };

  system.stateVersion = "24.05";
}
