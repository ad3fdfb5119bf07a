# The journal is kept over boots, as /var/log is, and bounded; and a copy goes to another
# machine, for when this one does not come up any more.
{ lib, ... }:
{
  services.journald.extraConfig = ''
    Storage=persistent
    Compress=yes
    SystemMaxUse=1G
    MaxRetentionSec=14day
  '';

  services.journald.upload = {
    enable = true;
    settings.Upload = {
      URL = "https://journal.example.org:19532";
      ServerKeyFile = lib.mkDefault "/persist/keys/journal-upload.pem";
      ServerCertificateFile = "/persist/keys/journal-upload.crt";
      TrustedCertificateFile = "/persist/keys/journal-ca.crt";
    };
  };
}
