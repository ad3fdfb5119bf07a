# A program that runs a test of machines where one can watch it, and leaves nothing behind.
{ pkgs, test }:
pkgs.writeScript "ebb-demo" ''
  #!${pkgs.runtimeShell}
  set -eu
  state=$(${pkgs.coreutils}/bin/mktemp -d)
  trap '${pkgs.coreutils}/bin/rm -rf "$state"' EXIT
  cd "$state"
  TMPDIR=$state XDG_RUNTIME_DIR=$state ${test.driver}/bin/nixos-test-driver
''
