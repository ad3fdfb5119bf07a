# home.persistence.<store>, for home-manager as a part of a NixOS configuration:
# impermanence.nix puts it there, and reads what is said.
{ config, lib, ... }:

let
  inherit (config) home;

  stores = map (store: toString store.persistentStoragePath) (lib.attrValues home.persistence);
  withHome = lib.filter (lib.hasSuffix home.homeDirectory) stores;
in
{
  options.home.persistence = lib.mkOption {
    type = lib.types.attrsOf (
      lib.types.submodule (
        { name, config, ... }:
        import ./impermanence-options.nix {
          inherit lib name;
          store = config;
          user = home.username;
          # home-manager does not know it
          group = null;
          home = home.homeDirectory;
        }
      )
    );
    default = { };
    example = {
      "/persist" = {
        directories = [ "Documents" ];
        files = [ ".screenrc" ];
      };
    };
    description = "What to keep of the home directory, by the store that it is kept in.";
  };

  config.assertions = map (store: {
    assertion = false;
    message = ''
      ebb: compat: home.persistence."${store}": the home directory is added to the store now. What
      lies in ${store} stays where it is, with:
        home.persistence."${lib.removeSuffix home.homeDirectory store}"
    '';
  }) withHome;
}
