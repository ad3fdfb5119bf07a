package main

import (
	"fmt"
	"strings"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/units"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/install"
)

// setup is a way to bring entries into place in the initrd.
type setup struct {
	name    string
	entries int
	units   []string // all that have to be done for everything to be ready
	// rollback is the unit that makes the root fresh, "" when none does.
	rollback string
	files    func() (initrd, system []files.File, err error)
}

func (s *setup) label() string { return fmt.Sprintf("%s, %d entries", s.name, s.entries) }

// machine is a machine with the set-up in its initrd.
func (s *setup) machine() (vmtest.Config, error) {
	initrd, system, err := s.files()
	return vmtest.Config{
		Fstab: []vmtest.Mount{
			vmtest.Subvolume(diskLabel, "@", "/"),
			vmtest.Subvolume(diskLabel, "@nix", "/nix"),
			vmtest.Subvolume(diskLabel, "@"+storeName, "/"+storeName),
		},
		// A line on the console for each unit would be part of what is measured.
		Params: []string{"systemd.show_status=0", "quiet"},
		Initrd: initrd, System: system,
	}, err
}

// Names of set-ups, as the report shows them.
const (
	nothingName = "nothing"
	ebbName     = "ebb"
	scriptName  = "a shell script in a unit"
	unitsName   = "mount units and systemd-tmpfiles"
)

// noEntries is a machine without anything to bring into place.
func noEntries() *setup {
	return &setup{name: nothingName, units: []string{"initrd-fs.target"}, files: inInitrd(nil)}
}

// ebbEntries is a machine with ebb as its module sets it up, the rollback
// included.
func ebbEntries(binary string, entries int) *setup {
	return &setup{ebbName, entries, []string{units.Mount}, units.Rollback, func() (initrd, system []files.File, err error) {
		document := machineConfig(entries)
		parsed, err := config.Parse(document)
		if err != nil {
			return nil, nil, err
		}
		return install.Ebb(binary, string(document), parsed)
	}}
}

// The files of the other set-ups in the initrd.
const (
	scriptPath   = "/bench/entries.sh"
	floorPath    = "/bench/mount"
	rollbackPath = "/bench/rollback"
	rulesPath    = "/bench/rules.conf"
)

// The units of the programs, and what they run.
const (
	entriesUnit  = "bench-entries.service"
	rollbackUnit = "bench-rollback.service"
)

// programUnit is a unit like ebb's. It is made with lines that say when it
// runs, and a command.
const programUnit = `[Unit]
DefaultDependencies=no
%s
Before=shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%s
TimeoutStartSec=infinity
`

// entriesProgram is a unit whose program brings entries into place.
func entriesProgram(command string, program files.File, entries int) []files.File {
	const when = "RequiresMountsFor=/sysroot /sysroot/" + storeName + "\nBefore=initrd-fs.target"
	text := fmt.Sprintf(programUnit, when, fmt.Sprintf("%s /sysroot /sysroot/%s %d", command, storeName, entries))
	return append(vmtest.Unit(entriesUnit, text, "initrd-fs.target.wants"), program)
}

// rollbackProgram is a unit whose program makes the root fresh.
func rollbackProgram(program string) []files.File {
	const device = `dev-disk-by\x2dlabel-` + diskLabel + ".device"
	const when = "Requires=" + device + "\nAfter=local-fs-pre.target " + device + "\nBefore=sysroot.mount initrd-root-fs.target"
	text := fmt.Sprintf(programUnit, when, rollbackPath+" "+diskPath)
	return append(vmtest.Unit(rollbackUnit, text, "initrd.target.wants"), files.Program(rollbackPath, program))
}

// scriptEntries is the script of the first measurement.
func scriptEntries(entries int) *setup {
	list := entriesProgram("/bin/sh "+scriptPath, files.Text(scriptPath, shellScript), entries)
	return &setup{scriptName, entries, []string{entriesUnit}, "", inInitrd(list)}
}

// floorEntries are the C programs, the rollback included: nothing in a unit is
// faster.
func floorEntries(t *tools, entries int) *setup {
	list := append(rollbackProgram(t.rollback), entriesProgram(floorPath, files.Program(floorPath, t.mount), entries)...)
	return &setup{floorName, entries, []string{entriesUnit}, rollbackUnit, inInitrd(list)}
}

// inInitrd are the files of a set-up that has none in the system.
func inInitrd(list []files.File) func() (initrd, system []files.File, err error) {
	return func() (initrd, system []files.File, err error) { return list, nil, nil }
}

// unitEntries has a mount unit for each entry, and rules of tmpfiles.d(5) for
// both of its directories, as modules for NixOS make them.
func unitEntries(entries int) *setup {
	const (
		target   = "bench-entries.target"
		tmpfiles = "bench-tmpfiles.service"
	)
	list := []files.File{files.Text(rulesPath, string(tmpfilesRules("/sysroot", entries)))}
	list = append(list, vmtest.Unit(target, "[Unit]\nDefaultDependencies=no\nBefore=initrd.target\n", "initrd.target.wants")...)
	list = append(list, vmtest.Unit(tmpfiles, fmt.Sprintf(tmpfilesUnit, rulesPath), "initrd.target.wants")...)
	names := []string{target, tmpfiles}
	for i := range entries {
		name := "sysroot-" + entryName(i) + ".mount"
		names = append(names, name)
		text := fmt.Sprintf(mountUnit, tmpfiles, target, storeName, entryName(i))
		list = append(list, vmtest.Unit(name, text, target+".wants")...)
	}
	return &setup{unitsName, entries, names, "", inInitrd(list)}
}

// tmpfilesUnit is made with the path of its rules.
const tmpfilesUnit = `[Unit]
DefaultDependencies=no
After=initrd-fs.target
Before=initrd.target shutdown.target
Conflicts=shutdown.target initrd-switch-root.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=systemd-tmpfiles --create --remove --boot %s
SuccessExitStatus=DATAERR CANTCREAT
`

// mountUnit is made with the service and the target after it, the name of the
// store, and that of the entry.
const mountUnit = `[Unit]
DefaultDependencies=no
Before=%s %s
Conflicts=umount.target

[Mount]
What=/sysroot/%[3]s/%[4]s
Where=/sysroot/%[4]s
Type=none
Options=bind,X-fstrim.notrim,x-initrd.mount
`

// machineConfig is the config of a machine with so many entries.
func machineConfig(entries int) []byte {
	const root = `{"kind": "btrfs", "device": "` + diskPath + `"}`
	return []byte(strings.Replace(string(mountConfig(entries)), `{"kind": "none"}`, root, 1))
}
