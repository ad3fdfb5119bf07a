# Errors: what NixOS, and secrets, need from before.
{
  facts,
  lib,
  ...
}:

let
  inherit (facts)
    about
    cfg
    dynamicGroups
    dynamicUsers
    few
    initrdKeys
    isFresh
    isLate
    isLost
    kept
    listed
    passwordFiles
    secretKeys
    secureBootKeys
    sysusers
    userborn
    userbornFiles
    userbornIsStatic
    ;
in
[
  {
    name = "nixos-state";
    trips =
      isFresh
      && !sysusers
      && !userborn
      && dynamicUsers ++ dynamicGroups != [ ]
      && !(kept.isEarly "/var/lib/nixos");
    text = ''
      /var/lib/nixos is not kept, where NixOS notes the numbers of users and groups: they could be
      others after a boot, and files somebody else's. ${toString (lib.length (dynamicUsers ++ dynamicGroups))} have none of their own
      (${few (dynamicUsers ++ dynamicGroups)}). Write:
        ebb.keepNixosState = true;
    '';
  }
  {
    name = "userborn-state";
    trips =
      isFresh
      && userborn
      && !userbornIsStatic
      && dynamicUsers ++ dynamicGroups != [ ]
      && isLost userbornFiles;
    text = ''
      userborn gives out the numbers of users and groups anew at each boot, since it has its files in
      ${userbornFiles}, on the root: they could be others after a change of the configuration, and files
      somebody else's. Write:
        services.userborn.passwordFilesLocation = "/var/lib/nixos";
    '';
  }
  (about "password-file" (lib.filter isLate passwordFiles) (them: ''
    ${listed them} will not be there when users get their passwords: it lies on the root, or on what is
    mounted later. Nobody could log in. Put it into a store, and write:
      users.users.<name>.hashedPasswordFile = "${cfg.mainStore}${lib.head them}";
  ''))
  (about "secret-keys" (lib.filter isLate secretKeys) (them: ''
    ${listed them} will not be there when secrets are decrypted: it lies on the root, or on what is
    mounted later. Name it where it is stored, or keep it:
      ebb.persist."${cfg.mainStore}".files = [ ${lib.concatMapStringsSep " " builtins.toJSON them} ];
  ''))
  (about "initrd-ssh-keys" (lib.filter isLost initrdKeys) (them: ''
    ${listed them}, a host key for the initrd (boot.initrd.network.ssh.hostKeys), lies on the root: it would be
    lost, and no new initrd could be made. Keep it:
      ebb.persist."${cfg.mainStore}".files = [ ${lib.concatMapStringsSep " " builtins.toJSON them} ];
  ''))
  (about "secure-boot-keys" (lib.filter isLost secureBootKeys) (them: ''
    the keys for Secure Boot in ${listed them} (boot.lanzaboote.pkiBundle) lie on the root: they would be
    lost, and no new generation could be signed. Keep them:
      ebb.persist."${cfg.mainStore}".directories = [ { path = "${lib.head them}"; mode = "0700"; } ];
  ''))
]
