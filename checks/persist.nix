# What the machines with ebb's own options keep: one of each kind.
{
  ebb.enable = true;
  ebb.persist."/persist" = {
    directories = [
      "/var/log"
      {
        path = "/var/lib/counter";
        mode = "0750";
      }
    ];
    files = [
      {
        path = "/etc/replaced";
        how = "sync";
      }
    ];
    users.alice = {
      directories = [ ".ssh" ];
      files = [ ".bash_history" ];
    };
  };
}
