# How /etc is made, in the words of each release of NixOS.
{ config }:
let
  overlay = config.system.etc.overlay or { enable = false; };
in
{
  isOverlay = overlay.enable;
  isImmutable = overlay.enable && !overlay.mutable;
}
