# The kinds of machines that the module is for: of each, what has to come out. `laptop`, which
# is an example for people, has a file of its own.
arguments:
let
  parts = import ./parts.nix arguments;
  table = file: import file (arguments // { inherit parts; });
in
table ./roots.nix // table ./units.nix // table ./users.nix // table ./stores.nix
