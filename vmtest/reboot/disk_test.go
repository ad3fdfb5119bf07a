package reboot

import (
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/vmtest"
)

// A disk that takes no writes any more. The old root is mounted, read-only,
// and activation has to give up on it; that is not for ebb to change.
func TestReadOnlyDisk(t *testing.T) {
	m := plantedMachine(t, standardLayout())
	m.up(m.Boot) // so that there is a place for each entry
	m.fill()
	m.Off()
	m.Config.DisksReadOnly = true
	w := troubleOf{reason: "permission denied", hint: "write-protected", state: initrd.StateFailed, unit: "ebb-rollback.service"}
	m.configure(document(rootWith(config.Emergency, realDevice), basicStores))
	m.wantEmergency(w)

	m.configure(document(rootWith(config.Continue, realDevice), basicStores))
	m.BootTo(vmtest.InitrdEmergency())
	m.WaitFor(vmtest.Console(shellPrompt))
	m.want("old", "cat", "/sysroot/marker")
	m.want("data", "cat", "/sysroot/srv/data/file") // an entry that was there before is in place
	m.wantTold(w)
	m.wantShell(w)
	m.Cut()

	m.Config.DisksReadOnly = false
	m.wantMended(2)
}

// A file system without room for data is no trouble for a rollback, which
// writes none, and the fresh root does not need any to boot on. The old root
// with what fills the disk is in the archive. Without room for metadata either the
// rollback fails, the machine boots on the root that it has, and what to type
// helps. The retention lets go of a root for the sake of the space, young as it
// is, and of the newest one a person.
func TestFullFilesystem(t *testing.T) {
	layout := standardLayout()
	layout.Size = 768 << 20
	const root = `{"kind": "btrfs", "device": "/dev/disk/by-label/nixos", "keep": {"count": 1, "days": 1000, "min_free_percent": 20}}`
	// As NixOS can have it (system.etc.overlay): what writes /etc at each boot needs no room for it.
	fstab := append(standardFstab(), vmtest.Mount{What: "tmpfs", Where: "/etc", Type: "tmpfs", Options: "mode=0755"})
	m := newMachine(t, layout, fstab, document(root, basicStores))
	m.up(m.Boot)
	m.Shell("echo data > /srv/data/file; head -c 64M /dev/zero > /srv/data/room")
	m.Shell(`echo old > /marker
		if head -c 2G /dev/zero > /fill; then exit 1; fi
		sync
		if head -c 64M /dev/zero > /fill2; then exit 1; fi
		sync`)
	// Journald's, of either boot, and of who else wants to write; there may be room for a seed, or none.
	m.known = []string{"No space left on device", "systemd-random-seed.service"}
	m.up(m.Reboot)
	m.wantGone("/marker", "/fill", "/fill2")
	m.wantLiveRoot()
	m.Run("ebb", "status")
	m.want("data", "cat", "/srv/data/file")
	if r := m.Try("sh", "-c", "head -c 64M /dev/zero > /fill"); r.Status == 0 {
		t.Error("the file system is not full: this test has shown nothing")
	}

	t.Logf("%s files are in the way", m.Run("bash", "-euc", fillMetadata))
	m.Off()
	m.known = append(append(m.known, "systemd-update-done.service"), failedUnits...) // it writes /var/.updated
	m.wantOldRoot(troubleOf{reason: "no space left", hint: "ebb prune", state: initrd.StateFailed, unit: "ebb-rollback.service"})
	m.wantArchive("[2 1]")
	if plan := m.Shell(fromPage(t, 8, "ebb prune --dry-run")); !strings.Contains(plan, "goes, as long as space is short") {
		t.Errorf("ebb prune --dry-run:\n%s", plan)
	}
	m.wantArchive("[2 1]")
	m.Shell(fromPage(t, 8, "ebb prune --wait"))
	m.wantArchive("[2]")
	m.Shell(fromPage(t, 8, "ebb roots delete", "3 4", "2 --yes"))
	m.Shell(fromPage(t, 8, "ebb prune --wait")) // until what was chosen is gone
	m.wantArchive("[]")
	// Block groups without data are given back by the kernel some time after that, for metadata to have.
	m.Shell(`until test "$(btrfs filesystem usage -b / | sed -n 's/.*Device unallocated:[^0-9]*//p')" -gt 67108864; do sync; sleep 1; done`)

	m.known = nil
	m.up(m.Reboot)
	m.wantGone("/marker", "/names", "/fill")
	m.wantArchive("[3]")
	m.want("data", "cat", "/srv/data/file")
	m.Cut()
}

// fillMetadata makes files with names as long as can be, and contents that lie
// in the metadata, until there is no space for one more. All other space has been
// given to data, but for that of one file: even what lies in the metadata is
// written only while there is space for data.
const fillMetadata = `rm -f /fill /srv/data/room; sync; echo old > /marker; mkdir /names; printf -v text %02000d 0
	i=0
	for turn in 1 2; do
		while printf -v name /names/%0240d $i && printf %s "$text" > "$name"; do i=$((i+1)); done 2> /dev/null; sync
		while printf -v name /names/%0240d $i && : > "$name"; do i=$((i+1)); done 2> /dev/null; sync
	done
	test $i -gt 1000; echo $i`

// goneStore is standardFstab with a store that cannot be mounted, and that the
// boot does not wait for.
func goneStore() []vmtest.Mount {
	fstab := standardFstab()
	fstab[2].Options = "subvol=@gone,nofail"
	return fstab
}

// A store that is not there: the boot goes on without its entries and says so,
// and nothing is made on the root that the next boot would take away. An entry
// that the machine cannot do without stops it.
func TestMissingStore(t *testing.T) {
	layout := standardLayout()
	layout.Subvolumes = append(layout.Subvolumes, "@cache")
	stores := basicStores + `, "/cache": {"directories": [{"path": "/var/cache/kept"}]}`
	cache := vmtest.Subvolume("nixos", "@cache", "/cache")
	m := newMachine(t, layout, append(standardFstab(), cache), document(standardRoot, stores))
	m.up(m.Boot)
	m.Shell("echo data > /srv/data/file; echo kept > /var/cache/kept/file")
	m.Off()

	m.Config.Fstab = append(goneStore(), cache)
	m.known = append([]string{"persist.mount", "/persist", "ebb-mount.service", "ebb: bring the persistent paths", "machine-id"}, failedUnits...)
	m.up(m.Boot)
	m.want("kept", "cat", "/var/cache/kept/file")
	m.wantGone("/srv/data", "/persist/srv")
	if status := m.Try("ebb", "status"); status.Status != 1 || !strings.Contains(status.Stdout, "/persist") {
		t.Errorf("ebb status: status %d\n%s%s", status.Status, status.Stdout, status.Stderr)
	}
	if console := m.ConsoleText(); !strings.Contains(console, "ebb: entry /srv/data of store /persist is not in place: store /persist: is not mounted") {
		t.Error("the console does not tell of the missing store")
	}
	if r := m.record(); r.Mount.State != initrd.StateFailed || !r.Rollback.Fresh {
		t.Errorf("the record says: rollback %+v, mount %s %s", r.Rollback, r.Mount.State, r.Mount.Reason)
	}
	m.wantAnswer(answer{"doctor", 1, []string{"the store /persist is not ", "systemctl status"}})
	if unit := m.Shell(`eval "$(ebb doctor | grep -m 1 'systemctl status')" || true`); !strings.Contains(unit, "persist.mount") || !strings.Contains(unit, "failed") {
		t.Errorf("what ebb doctor says to type tells nothing of the mount that has failed:\n%s", unit)
	}
	m.Off()

	m.configure(document(standardRoot, strings.Replace(stores, `"/srv/data",`, `"/srv/data", "required": true,`, 1)))
	m.BootTo(vmtest.InitrdEmergency())
	m.WaitFor(vmtest.Console(shellPrompt))
	m.want("failed", "sh", "-c", "systemctl is-failed ebb-required.service")
	if console := m.ConsoleText(); !strings.Contains(console, "required entry /srv/data is not in place") {
		t.Error("the console does not tell of the missing entry")
	}
	m.wantShell(troubleOf{reason: "/srv/data", shell: []answer{
		{"doctor", 1, []string{"the store /sysroot/persist is not ", "systemctl status"}},
		{"rollback --dry-run", 0, []string{"nothing to do"}},
		{"check", 0, []string{"is valid"}},
		{"roots", 0, []string{"1"}},
		{"sync --dry-run", 1, []string{"/etc/machine-id"}},
	}})
	m.Cut()

	m.known = nil
	m.Config.Fstab = append(standardFstab(), cache)
	m.up(m.Boot)
	m.want("data", "cat", "/srv/data/file")
	m.Off()
}
