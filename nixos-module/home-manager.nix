# home.persistence.<store> in the configurations of home-manager, as far as
# these are part of the one of NixOS: it is what ebb.persist.<store>.users.<name>
# is here.
{
  config,
  lib,
  options,
  ...
}:

let
  cfg = config.ebb;
  inherit (import ./types.nix { inherit lib; }) lists;

  module = {
    options.home.persistence = lib.mkOption {
      type = lib.types.attrsOf (lib.types.submodule { options = lists "home"; });
      default = { };
      example = lib.literalExpression ''
        {
          "/persist" = {
            directories = [ ".ssh" ".mozilla" ];
            files = [ ".bash_history" ];
          };
        }
      '';
      description = "What ebb keeps of the home directory, by the store that it is kept in. Paths are relative to the home directory.";
    };
  };

  taken = user: home: lib.mapAttrs (_: kept: {
    users.${user} = {
      home = home.homeDirectory;
      inherit (kept) directories files;
    };
  }) (home.persistence or { });
in
{
  options.ebb.homeManager.enable = lib.mkOption {
    type = lib.types.bool;
    default = true;
    internal = true;
    description = "Whether to declare {option}`home.persistence` in home-manager, and to keep what it says.";
  };

  config = lib.optionalAttrs (options ? home-manager) (
    # In this order: whether ebb is enabled may follow from what home-manager says,
    # with the compatibility modules, which have their own way with it.
    lib.mkIf (cfg.homeManager.enable && cfg.enable) {
      home-manager.sharedModules = [ module ];
      ebb.persist = lib.mkMerge (
        lib.mapAttrsToList (user: its: taken user its.home) config.home-manager.users
      );
    }
  );
}
