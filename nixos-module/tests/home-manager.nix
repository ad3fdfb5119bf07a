# As much of home-manager's NixOS module as others can see of it.
{ config, lib, ... }:
{
  options.home-manager = {
    sharedModules = lib.mkOption {
      type = lib.types.listOf lib.types.raw;
      default = [ ];
    };
    users = lib.mkOption {
      default = { };
      type = lib.types.attrsOf (
        lib.types.submoduleWith {
          modules = [
            (
              { name, ... }:
              {
                freeformType = lib.types.lazyAttrsOf lib.types.raw;
                options.home.homeDirectory = lib.mkOption { type = lib.types.str; };
                options.home.username = lib.mkOption { type = lib.types.str; };
                config.home = {
                  username = lib.mkDefault name;
                  homeDirectory = lib.mkDefault config.users.users.${name}.home;
                };
              }
            )
          ]
          ++ config.home-manager.sharedModules;
        }
      );
    };
    useGlobalPkgs = lib.mkEnableOption "the system's pkgs";
    useUserPackages = lib.mkEnableOption "users.users.<name>.packages";
  };
}
