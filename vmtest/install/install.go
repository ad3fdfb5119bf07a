// Package install puts ebb into a machine of vmtest, the way the NixOS module
// puts it into a system: the binary, the config, the units, and the drop-ins
// that name the device and the stores.
package install

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/units"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
)

// Build makes the binary in dir, as "make build" does, and returns its path. The
// same source makes the same binary, whatever git calls it.
func Build(ctx context.Context, dir string) (string, error) {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/ebb-nix/ebb").Output()
	if err != nil {
		return "", fmt.Errorf("find the source of ebb: %w", err)
	}
	binary := filepath.Join(dir, "ebb")
	build := exec.CommandContext(ctx, filepath.Join(strings.TrimSpace(string(module)), "scripts/build"), binary)
	build.Env = append(os.Environ(), "EBB_VERSION=test", "GOOS=linux", "GOARCH=amd64")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ebb: %w: %s", err, output)
	}
	return binary, nil
}

// Ebb returns what the initrd and the running system of a machine have of ebb
// with the config in document, which may be a bad one; then parsed is what the
// module would have made the units for. Mounts are the file systems of stage 1,
// as far as entries may lie on them.
func Ebb(binary, document string, parsed *config.Config, mounts ...vmtest.Mount) (initrd, system []files.File, err error) {
	shared := []files.File{files.Text("etc/ebb/config.json", document)}
	initrd = append(shared, files.Program("usr/bin/ebb", binary))
	// Not on the root itself, as on NixOS, where the program lies in the store.
	system = append(shared, files.Program("run/vmtest/bin/ebb", binary), files.Symlink("bin/ebb", "/run/vmtest/bin/ebb"))

	stage1 := []string{units.Rollback, units.Failure, units.Mount}
	if hasRequired(parsed) {
		stage1 = append(stage1, units.Required)
	}
	for _, name := range stage1 {
		if initrd, err = appendUnit(initrd, name); err != nil {
			return nil, nil, err
		}
	}
	stage2 := []string{units.Sync, units.Status}
	if parsed.Root.Kind == config.KindBtrfs {
		stage2 = append(stage2, units.Prune, units.PruneTimer)
	}
	for _, name := range stage2 {
		if system, err = appendUnit(system, name); err != nil {
			return nil, nil, err
		}
	}
	for unit, text := range DropIns(parsed, mounts) {
		initrd = append(initrd, files.Text(path.Join("etc/systemd/system", unit+".d", "ebb.conf"), text))
	}
	return initrd, system, nil
}

// appendUnit adds a unit, enabled as its section [Install] says.
func appendUnit(list []files.File, name string) ([]files.File, error) {
	text, err := units.Files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var links []string
	for line := range strings.Lines(string(text)) {
		if target, ok := strings.CutPrefix(strings.TrimSpace(line), "WantedBy="); ok {
			links = append(links, target+".wants")
		}
	}
	return append(list, vmtest.Unit(name, string(text), links...)...), nil
}

// DropIns returns the text of the drop-in for each unit that needs one. Mounts
// are the file systems of stage 1.
func DropIns(c *config.Config, mounts []vmtest.Mount) map[string]string {
	dropIns := map[string]string{}
	var rollback, mount strings.Builder
	if c.Root.Kind == config.KindBtrfs {
		device := EscapePath(c.Root.Device) + ".device"
		fmt.Fprintf(&rollback, "Requires=%s\nAfter=%s\n", device, device)
	}
	if c.Root.OnFailure == config.Emergency {
		rollback.WriteString("OnFailure=emergency.target\nOnFailureJobMode=isolate\n")
		dropIns["sysroot.mount"] = "[Unit]\nAssertPathExists=/run/ebb/root-ready\n"
	} else {
		fmt.Fprintf(&rollback, "OnFailure=%s\n", units.Failure)
	}
	for _, store := range c.Stores {
		fmt.Fprintf(&mount, "WantsMountsFor=/sysroot%s\n", store.Path)
	}
	for _, m := range mounts {
		if m.Where != "/" && hasEntryBelow(c, m.Where) {
			fmt.Fprintf(&mount, "WantsMountsFor=/sysroot%s\n", m.Where)
		}
	}
	for unit, text := range map[string]string{units.Rollback: rollback.String(), units.Mount: mount.String()} {
		if text != "" {
			dropIns[unit] = "[Unit]\n" + text
		}
	}
	return dropIns
}

// hasEntryBelow reports whether an entry lies on the file system at where.
func hasEntryBelow(c *config.Config, where string) bool {
	for _, store := range c.Stores {
		for _, e := range store.Entries {
			if strings.HasPrefix(e.Path, where+"/") {
				return true
			}
		}
	}
	return false
}

func hasRequired(c *config.Config) bool {
	for _, store := range c.Stores {
		for _, e := range store.Entries {
			if e.Required {
				return true
			}
		}
	}
	return false
}

// EscapePath turns a clean absolute path into the name of a unit, without the
// suffix: systemd.unit(5), "STRING ESCAPING FOR INCLUSION IN UNIT NAMES".
func EscapePath(p string) string {
	trimmed := strings.Trim(p, "/")
	if trimmed == "" {
		return "-"
	}
	var b strings.Builder
	for i := range len(trimmed) {
		switch c := trimmed[i]; {
		case c == '/':
			b.WriteByte('-')
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == ':', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}
