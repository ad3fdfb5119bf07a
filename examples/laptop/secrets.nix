# With sops-nix. The key that secrets are decrypted with is the host key of sshd, in the store:
# it is there when NixOS is activated, which is when secrets are needed.
{ config, ... }:
{
  sops.defaultSopsFile = ./secrets.yaml;
  sops.age.sshKeyPaths = [ "/persist/etc/ssh/ssh_host_ed25519_key" ];

  sops.secrets.gabriel-password.neededForUsers = true;
  users.users.gabriel.hashedPasswordFile = config.sops.secrets.gabriel-password.path;

  sops.secrets.journal-upload-key.owner = "systemd-journal-upload";
  services.journald.upload.settings.Upload.ServerKeyFile =
    config.sops.secrets.journal-upload-key.path;
}
