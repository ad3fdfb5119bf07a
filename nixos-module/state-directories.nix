# What systemd services keep by StateDirectory=: see systemd.exec(5). Pure functions.
{
  lib,
  # config.users
  users,
  groups,
}:

let
  paths = import ./paths.nix { inherit lib; };

  # The directories that a unit has by StateDirectory=, as names below /var/lib.
  # systemd.exec(5): a list, or several in one string; what follows a colon is a
  # symbolic link that systemd makes itself, or a flag. A specifier is not known
  # before the unit starts, so that the directory above it is kept.
  stateDirectories =
    service:
    let
      value = service.serviceConfig.StateDirectory or null;
      texts = lib.toList (if value == null then [ ] else value);
      words = lib.concatMap (text: lib.splitString " " (toString text)) texts;
      beforeColon = word: lib.head (lib.splitString ":" word);
      beforeSpecifier =
        word:
        let
          names = lib.splitString "/" word;
          fixed = lib.lists.findFirstIndex (lib.hasInfix "%") (lib.length names) names;
        in
        lib.concatStringsSep "/" (lib.take fixed names);
      isPlain =
        word:
        word != ""
        && !(lib.hasPrefix "/" word)
        && !(lib.elem ".." (lib.splitString "/" word))
        && builtins.match "[^\"'\\]*" word != null;
    in
    lib.unique (
      map (word: lib.removePrefix "/" (paths.clean "/${word}")) (
        lib.filter isPlain (map (word: beforeSpecifier (beforeColon word)) words)
      )
    );

  isTrue = value: lib.elem value [ true "true" "yes" "on" "1" 1 ];

  # systemd gives the directory to User= and Group= when the unit starts
  # (systemd.exec(5)), whoever owned it before; here it is theirs from the
  # beginning. Whom this configuration does not know is left to systemd.
  ownerOfService =
    serviceConfig:
    let
      user = toString (serviceConfig.User or "");
      group = toString (serviceConfig.Group or "");
      isNumber = text: builtins.match "[0-9]+" text != null;
      primary = users.${user}.group or "";
    in
    (
      if isNumber user then
        { uid = lib.toInt user; }
      else
        lib.optionalAttrs (users ? ${user}) { inherit user; }
    )
    // (
      if isNumber group then
        { gid = lib.toInt group; }
      else if group != "" then
        lib.optionalAttrs (groups ? ${group}) { inherit group; }
      else
        lib.optionalAttrs (groups ? ${primary}) { group = primary; }
    );

  # "750" and 750 are "0750".
  modeOfService =
    serviceConfig:
    let
      text = toString (serviceConfig.StateDirectoryMode or "");
    in
    if builtins.match "[0-7]{3}" text != null then
      { mode = "0${text}"; }
    else
      lib.optionalAttrs (builtins.match "[0-7]{4}" text != null) { mode = text; };
in
# Of a service, what it has: whether that is dynamic, with DynamicUser=, and the
# path, owner and mode of each directory, as far as the service says.
service:
let
  inherit (service) serviceConfig;
  # It lies in /var/lib/private, which is for root alone, and what /var/lib has
  # is a symbolic link that systemd makes.
  dynamic = isTrue (serviceConfig.DynamicUser or false);
in
map (directory: {
  inherit dynamic;
  entry = {
    path = if dynamic then "/var/lib/private/${directory}" else "/var/lib/${directory}";
  }
  // modeOfService serviceConfig
  // lib.optionalAttrs (!dynamic) (ownerOfService serviceConfig);
}) (stateDirectories service)
