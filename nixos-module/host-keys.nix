# The host keys of sshd: those that NixOS makes, and in newer releases also on a
# machine without sshd (services.openssh.generateHostKeys), for sops-nix say.
{ config, lib }:
let
  inherit (config.services) openssh;
in
lib.optionals (openssh.enable || openssh.generateHostKeys or false) openssh.hostKeys
