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
	files   func() (initrd, system []files.File, err error)
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
	return &setup{name: nothingName, units: []string{"initrd-fs.target"}, files: func() (initrd, system []files.File, err error) {
		return nil, nil, nil
	}}
}

// ebbEntries is a machine with ebb as its module sets it up, the rollback
// included.
func ebbEntries(binary string, entries int) *setup {
	return &setup{ebbName, entries, []string{units.Mount}, func() (initrd, system []files.File, err error) {
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
	scriptPath = "/bench/entries.sh"
	floorPath  = "/bench/mount"
	rulesPath  = "/bench/rules.conf"
)

// programUnit is a unit like ebb's. It is made with the name of the store, a
// command, and the number of entries.
const programUnit = `[Unit]
DefaultDependencies=no
RequiresMountsFor=/sysroot /sysroot/%[1]s
Before=initrd-fs.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%[2]s /sysroot /sysroot/%[1]s %[3]d
TimeoutStartSec=infinity
`

// scriptEntries is the script of the first measurement.
func scriptEntries(entries int) *setup {
	return programEntries(scriptName, "/bin/sh "+scriptPath, files.Text(scriptPath, shellScript), entries)
}

// floorEntries is the C program of the first measurement: nothing in a unit is
// faster.
func floorEntries(program string, entries int) *setup {
	return programEntries(floorName, floorPath, files.File{Path: floorPath, Mode: 0o755, Source: program}, entries)
}

func programEntries(name, command string, program files.File, entries int) *setup {
	const unit = "bench-entries.service"
	text := fmt.Sprintf(programUnit, storeName, command, entries)
	return &setup{name, entries, []string{unit}, func() (initrd, system []files.File, err error) {
		return append(vmtest.Unit(unit, text, "initrd-fs.target.wants"), program), nil, nil
	}}
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
	return &setup{unitsName, entries, names, func() (initrd, system []files.File, err error) { return list, nil, nil }}
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
	const root = `{"kind": "btrfs", "device": "/dev/disk/by-label/` + diskLabel + `"}`
	return []byte(strings.Replace(string(mountConfig(entries)), `{"kind": "none"}`, root, 1))
}
