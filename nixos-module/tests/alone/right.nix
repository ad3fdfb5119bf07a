# What comes near to a mistake and is right: nothing is said of it.
let
  resumes.boot.resumeDevice = "/dev/disk/by-label/swap";
in
{
  hibernation-unresumed = [
    (
      resumes
      // {
        ebb.root.onFailure = "emergency";
        boot = resumes.boot // {
          initrd.systemd.emergencyAccess = "$y$j9T$salt$hash";
        };
      }
    )
    { boot = resumes.boot // { kernelParams = [ "nohibernate" ]; }; }
    (resumes // { ebb.root.kind = "none"; })
  ];
}
