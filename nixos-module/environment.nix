# The environment of a service that needs none: NixOS gives each a path to
# programs, locales and time zones, which in the initrd are not even there.
{ lib }:
lib.genAttrs [ "LOCALE_ARCHIVE" "PATH" "TZDIR" ] (_: lib.mkForce null)
