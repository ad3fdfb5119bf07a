# Modes, against what "mkdir --mode" of GNU coreutils makes of them.
{ lib, test, ... }:

let
  modes = import ../../compat/modes.nix { inherit lib; };

  octal = mode: modes.toOctal "here" mode;
  becomes = mode: wanted: test.is "${builtins.toJSON mode} is ${builtins.toJSON wanted}" wanted (octal mode);
  isRefused = mode: {
    name = "${builtins.toJSON mode} is refused";
    ok = !(builtins.tryEval (octal mode)).success;
    detail = "it is ${builtins.toJSON (octal mode)}";
  };
in
[
  (becomes "0700" "0700")
  (becomes "755" "0755")
  (becomes "00755" "0755")
  (becomes "1777" "1777")
  (becomes "0" "0000")

  (becomes "u=rwx,g=rx,o=" "0750")
  (becomes "u=rwx,g=,o=" "0700")
  (becomes "a=rx,u+w" "0755")
  (becomes "g-w,o-rwx" "0750")
  (becomes "go-w" "0755")
  (becomes "g=u,o=" "0770")
  (becomes "ug=rwX,o=" "0770")
  (becomes "u=rwxs,g=rx" "4755")
  (becomes "g+ws" "2775")
  (becomes "+t" "1755")
  (becomes "=rwx" "0755")
  (becomes "a=rwx,+t" "1777")
  (becomes "u-x+x,o=r-r" "0750")

  # of tmpfiles.d(5)
  (becomes "~0750" "0750")
  (becomes ":0711" "0711")
  (becomes "-" null)
  (becomes null null)

  (isRefused "0799")
  (isRefused "07777777")
  (isRefused "rwxr-x---")
  (isRefused "u=rwx,")
]
