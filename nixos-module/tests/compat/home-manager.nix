# home.persistence, with home-manager as a part of the configuration of NixOS.
{
  common,
  evaluate,
  homeManager,
  isWholeHomeManager,
  lib,
  test,
  ...
}:

let
  inherit (common)
    directory
    disk
    errorsOf
    failsWith
    file
    isSystem
    keptBy
    machineId
    user
    warningsOf
    ;
  inherit (test) is;

  withHomes =
    homes:
    (evaluate [
      ../../compat/impermanence.nix
      homeManager
      (disk "/persistent")
      (user "bird")
      {
        ebb.root.kind = "none";
        home-manager.useGlobalPkgs = true;
        home-manager.users.bird = homes;
      }
      { home-manager.sharedModules = lib.optional isWholeHomeManager { home.stateVersion = "24.05"; }; }
    ]).config;

  # The example of its documentation.
  documented = withHomes {
    home.persistence."/persistent" = {
      directories = [
        "Downloads"
        {
          directory = ".gnupg";
          mode = "0700";
        }
        ".local/share/direnv"
      ];
      files = [ ".screenrc" ];
    };
  };

  full = withHomes {
    home.persistence = {
      store = {
        persistentStoragePath = "/persistent";
        hideMounts = true;
        allowTrash = true;
        directories = [ "Documents" ];
        files = [
          {
            file = ".config/tool/state";
            method = "symlink";
            parentDirectory.mode = "0700";
          }
        ];
      };
      "/nowhere" = {
        enable = false;
        directories = [ "nothing" ];
      };
    };
  };

  # Of the time when the store had the home directory in it.
  old = withHomes {
    home.persistence."/persistent/home/bird".directories = [ "Documents" ];
  };

  none = withHomes { };
in
[
  (is "documented: what the config says"
    {
      "/persistent" = {
        directories = map (directory "bird") [
          "Downloads"
          ".gnupg"
          ".local/share/direnv"
        ]
        ++ [ (common.at "/var/lib/nixos") ];
        files = [
          (file "bird" ".screenrc")
          machineId
        ];
      };
    }
    (keptBy documented)
  )
  (is "documented: ebb is on" true documented.ebb.enable)
  (is "documented: no error" [ ] (errorsOf documented))
  (isSystem "documented" documented)

  (is "full: directories" [
    (
      directory "bird" "Documents"
      // {
        hidden = true;
        trash = true;
      }
    )
    (common.at "/var/lib/nixos")
  ] (keptBy full)."/persistent".directories)
  (is "full: files" [
    (
      file "bird" ".config/tool/state"
      // {
        how = "symlink";
        parent = (file "bird" "x").parent // {
          mode = "0700";
        };
      }
    )
    machineId
  ] (keptBy full)."/persistent".files)
  (is "full: what is switched off" [ "/persistent" ] (lib.attrNames (keptBy full)))
  (is "full: nothing to say" [ ] (warningsOf "compat" full))

  (is "none: ebb is off" false none.ebb.enable)
]
++ lib.optional isWholeHomeManager (
  failsWith "old: what to write" "home.persistence.\"/persistent\"" old
)
++ lib.optional (!isWholeHomeManager) {
  name = "old: what to write";
  ok = lib.any (a: !a.assertion && lib.hasInfix "home.persistence.\"/persistent\"" a.message) old.home-manager.users.bird.assertions;
  detail = builtins.toJSON old.home-manager.users.bird.assertions;
}
