# What is wrong with a configuration as far as it can be seen without a machine:
# assertions and warnings, each with what to write instead. Tables; names are
# stable.
arguments@{
  config,
  lib,
  options,
  utils,
  ...
}:

let
  facts = import ./facts.nix arguments;
  table = file: import file { inherit config facts lib; };

  errors = lib.concatMap table [
    ./roots.nix
    ./entries.nix
    ./state.nix
  ];
  warnings = table ./warnings.nix;

  message = check: "ebb: ${check.name}: ${lib.removeSuffix "\n" check.text}";
in
{
  config = lib.mkIf config.ebb.enable {
    assertions = map (check: {
      assertion = !check.trips;
      message = message check;
    }) errors;

    warnings = map message (lib.filter (check: check.trips) warnings);
  };
}
