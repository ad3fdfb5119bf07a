# What "make" wants, for developers: the virtual machines of the tests are made from Debian's
# packages, with apt and dpkg.
{ pkgs }:
pkgs.mkShell {
  packages = [
    pkgs.apt
    pkgs.btrfs-progs
    pkgs.dpkg
    pkgs.go
    pkgs.gopls
    pkgs.qemu
    pkgs.shellcheck
    pkgs.zstd
  ];
}
