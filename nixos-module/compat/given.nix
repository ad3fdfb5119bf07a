# Which of some options say something themselves, and do not merely have their
# defaults: for what is a default there, ebb has its own.
{ lib }:
options:
lib.mapAttrs (_: option: option.highestPrio < (lib.mkOptionDefault null).priority) options
