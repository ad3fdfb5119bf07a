# The documentation of the options: each has a description, and it can be rendered.
{
  evaluate,
  layouts,
  lib,
  pkgs,
  test,
  ...
}:
let
  evaluated = evaluate [
    layouts.btrfs
    ../.
  ];
  all = lib.filter (option: option.visible && !option.internal) (
    lib.optionAttrSetToDocList { inherit (evaluated.options) ebb; }
  );
  # What nixos-option and the manual show. Forcing it forces every default and example.
  rendered = builtins.toJSON (
    map (
      option:
      removeAttrs option [
        "loc"
        "declarations"
      ]
    ) all
  );
  names = map (option: option.name) all;
in
[
  (test.is "every option has a description" [ ] (
    map (option: option.name) (lib.filter (option: (option.description or "") == "") all)
  ))
  # Sets of options have those of what is in them; what is only read has none.
  (test.is "every option has an example" [ ] (
    map (option: option.name) (
      lib.filter (
        option: !(option ? example) && !(option.readOnly or false) && !(lib.hasSuffix "submodule)" option.type)
      ) all
    )
  ))
  (test.is "every option has a type" [ ] (
    map (option: option.name) (lib.filter (option: lib.elem option.type [ "" "unspecified value" ]) all)
  ))
  {
    name = "the documentation can be rendered";
    ok = lib.stringLength rendered > 1000 && lib.hasSuffix ".drv" (
      (pkgs.nixosOptionsDoc { options = { inherit (evaluated.options) ebb; }; }).optionsJSON.drvPath
    );
    detail = "it is empty";
  }
]
# Whatever the config knows can be said.
++ map (name: test.has "there is an option ${name}" name names) [
  "ebb.enable"
  "ebb.package"
  "ebb.root.kind"
  "ebb.root.device"
  "ebb.root.options"
  "ebb.root.subvolume"
  "ebb.root.blank"
  "ebb.root.archive"
  "ebb.root.also.<name>.subvolume"
  "ebb.root.also.<name>.blank"
  "ebb.root.keep.count"
  "ebb.root.keep.days"
  "ebb.root.keep.minFreePercent"
  "ebb.root.onFailure"
  "ebb.root.size"
  "ebb.root.mode"
  "ebb.root.inodes"
  "ebb.persist.<name>.directories.*.path"
  "ebb.persist.<name>.directories.*.how"
  "ebb.persist.<name>.directories.*.user"
  "ebb.persist.<name>.directories.*.parent.mode"
  "ebb.persist.<name>.directories.*.subvolume"
  "ebb.persist.<name>.files.*.nodatacow"
  "ebb.persist.<name>.users.<name>.files.*.required"
  "ebb.persist.<name>.hidden"
  "ebb.persist.<name>.trash"
  "ebb.persist.<name>.options"
  "ebb.adopt.files"
  "ebb.adopt.copiedBytes"
  "ebb.extraIgnore"
  "ebb.kernelParams"
  "ebb.keepMachineId"
  "ebb.keepNixosState"
  "ebb.presets.auto"
]
