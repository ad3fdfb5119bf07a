# With home-manager as a module of NixOS. What a program needs to be kept can be said beside
# the program.
{
  home-manager.useGlobalPkgs = true;
  home-manager.useUserPackages = true;
  home-manager.users.gabriel = {
    programs.bash.enable = true;
    programs.direnv.enable = true;
    home.persistence."/persist".directories = [ ".local/share/direnv" ];
    home.stateVersion = "24.05";
  };
}
