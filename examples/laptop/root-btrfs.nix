# The root is a subvolume that is new at every boot, and so is /home. The old ones are kept
# for a while: the last five in any case, then for two weeks, as long as there is space.
{ subvolume, ... }:
{
  fileSystems."/" = subvolume "@";
  fileSystems."/home" = subvolume "@home";

  ebb.root = {
    also.home.subvolume = "@home";
    keep = {
      count = 5;
      days = 14;
      minFreePercent = 10;
    };
  };
}
