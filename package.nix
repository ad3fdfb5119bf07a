# ebb: one static binary, and its systemd units.
{
  lib,
  buildGoModule,
}:

let
  version = "0.1.0";
in
buildGoModule {
  pname = "ebb";
  inherit version;

  # What is not compiled does not rebuild it. Not with lib.fileset, which wants to
  # read the parent of this directory with Nix before 2.14, and in a flake may not.
  src = lib.cleanSourceWith {
    name = "ebb-source";
    src = ./.;
    filter =
      path: _type:
      let
        top = lib.head (lib.splitString "/" (lib.removePrefix "${toString ./.}/" path));
      in
      !(lib.elem top [
        ".ci"
        ".git"
        ".github"
        "build"
        "checks"
        "docs"
        "examples"
        "flake.lock"
        "flake.nix"
        "nixos-module"
        "package.nix"
        "result"
      ])
      && !(lib.hasSuffix ".md" path);
  };

  # nix hash path of what "go mod vendor" makes
  vendorHash = "sha256-B7cB+oF7VnWaA5gVowVrZubf1DktyjpdwQAt44rgg/8=";

  # As everywhere else it is built. Where nixpkgs hardens with pie, that would be a
  # program with a dynamic linker.
  hardeningDisable = [ "pie" ];
  buildPhase = ''
    runHook preBuild
    EBB_VERSION=${version} bash scripts/build "$GOPATH/bin/ebb"
    runHook postBuild
  '';

  # The tests make file systems and boot machines; "make test" runs them.
  doCheck = false;

  # Those of the initrd as they are: the binary is /bin/ebb there.
  postInstall = ''
    install -D -m 0644 -t "$out/share/ebb/units" units/*.service
    install -D -m 0644 -t "$out/lib/systemd/system" units/ebb-status.service units/ebb-sync.service
    substituteInPlace "$out"/lib/systemd/system/*.service --replace-fail /bin/ebb "$out/bin/ebb"
  '';

  meta = {
    description = "A root file system that is new at every boot, and what is declared kept";
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "ebb";
  };
}
