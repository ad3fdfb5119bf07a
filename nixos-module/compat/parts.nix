# What the options of both projects have in common, under the same names.
{ lib }:

let
  inherit (lib) mkOption types;
in
{
  # Which of some options say something themselves, and do not merely have their
  # defaults: for what is a default there, ebb has its own.
  given = lib.mapAttrs (_: option: option.highestPrio < (lib.mkOptionDefault null).priority);

  # Owner and mode; what else is to be said of each is in `more`.
  permissions =
    what: more:
    lib.mapAttrs
      (
        name: option:
        mkOption (
          {
            type = types.str;
            description = "The ${option} of ${what}, when it has to be made.";
          }
          // more.${name}
        )
      )
      {
        user = "owner";
        group = "group";
        mode = "permissions";
      };

  # A list of entries, each of which may be its path alone: kind is "directory" or "file".
  entries =
    kind: entry: more:
    mkOption (
      {
        type = types.listOf (types.coercedTo types.str (path: { ${kind} = path; }) entry);
        default = [ ];
        description = "${if kind == "file" then "Files" else "Directories"} to keep in the store.";
      }
      // more
    );
}
