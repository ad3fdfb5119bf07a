# Absolute paths as text: what lies in what.
{ lib }:
rec {
  # "/persist//var/" is "/persist/var": what a person may write for one path.
  clean =
    path:
    let
      names = lib.filter (name: name != "" && name != ".") (lib.splitString "/" path);
      text = lib.concatStringsSep "/" names;
    in
    if lib.hasPrefix "/" path then "/" + text else text;

  # join "/home/gabriel" ".ssh" is "/home/gabriel/.ssh".
  join = dir: path: clean "${dir}/${path}";

  # isBelow "/var" "/var/log": strictly below.
  isBelow = dir: path: if dir == "/" then path != "/" else lib.hasPrefix "${dir}/" path;

  # isIn "/var" "/var": the same, or below.
  isIn = dir: path: dir == path || isBelow dir path;

  # ancestors "/var/lib/nixos" are [ "/var" "/var/lib" ]; the root is none.
  ancestors =
    path:
    let
      names = lib.filter (name: name != "") (lib.splitString "/" path);
    in
    lib.genList (n: "/" + lib.concatStringsSep "/" (lib.take (n + 1) names)) (
      lib.max 0 (lib.length names - 1)
    );

  # The mount point that a path lies on, of a list of mount points; the root
  # where there is no other.
  mountPointOf =
    mountPoints: path:
    lib.foldl' (
      best: point: if isIn point path && lib.stringLength point > lib.stringLength best then point else best
    ) "/" mountPoints;
}
