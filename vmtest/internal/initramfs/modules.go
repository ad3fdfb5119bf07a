package initramfs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ulikunitz/xz"

	"github.com/ebb-nix/ebb/vmtest/internal/debian"
)

// stageModules puts the kernel modules that every machine needs, those of maybe that the kernel has, and all that they
// depend on below dir/usr/lib/modules, uncompressed, with the indexes that modprobe(8) reads.
func stageModules(ctx context.Context, tree debian.Tree, dir string, maybe []string) error {
	version, err := tree.KernelVersion()
	if err != nil {
		return err
	}
	from := tree.Path("usr/lib/modules/" + version)
	to := filepath.Join(dir, "usr/lib/modules", version)
	index, err := os.Open(filepath.Join(from, "modules.dep"))
	if err != nil {
		return err
	}
	defer index.Close()
	wanted, err := moduleClosure(index, modules(), maybe)
	if err != nil {
		return err
	}
	for _, module := range wanted {
		if err := stageModule(filepath.Join(from, module), filepath.Join(to, strings.TrimSuffix(module, ".xz"))); err != nil {
			return fmt.Errorf("stage module %s: %w", module, err)
		}
	}
	for _, list := range []string{"modules.builtin", "modules.builtin.modinfo", "modules.order"} {
		if err := copyFile(filepath.Join(from, list), filepath.Join(to, list), 0o644); err != nil {
			return err
		}
	}
	// depmod -b looks below lib, which is a link to usr/lib on a merged-/usr system.
	lib := filepath.Join(dir, "lib")
	if err := os.Symlink("usr/lib", lib); err != nil {
		return err
	}
	if err := tree.Depmod(ctx, dir, version); err != nil {
		return err
	}
	return os.Remove(lib)
}

// moduleClosure returns the paths of modules and of their dependencies from a modules.dep(5). Those that need not be there
// are in maybe.
func moduleClosure(index io.Reader, names, maybe []string) ([]string, error) {
	paths := map[string]string{}   // module name to path
	needs := map[string][]string{} // path to paths
	lines := bufio.NewScanner(index)
	for lines.Scan() {
		module, deps, ok := strings.Cut(lines.Text(), ":")
		if !ok {
			return nil, fmt.Errorf("modules.dep: line %q without a colon", lines.Text())
		}
		paths[moduleName(module)] = module
		needs[module] = strings.Fields(deps)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("modules.dep: %w", err)
	}
	var found []string
	seen := map[string]bool{}
	for _, name := range append(slices.Clone(names), maybe...) {
		module, ok := paths[moduleName(name)]
		if !ok && slices.Contains(maybe, name) {
			continue
		}
		if !ok {
			return nil, fmt.Errorf("kernel module %s is not in modules.dep", name)
		}
		for _, m := range append([]string{module}, needs[module]...) { // the list of a line is complete
			if !seen[m] {
				seen[m] = true
				found = append(found, m)
			}
		}
	}
	return found, nil
}

// moduleName is the name of a module file as lsmod(8) shows it.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func stageModule(from, to string) error {
	if !strings.HasSuffix(from, ".xz") {
		return copyFile(from, to, 0o644)
	}
	packed, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	r, err := xz.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, plain, 0o644)
}

func copyFile(from, to string, mode os.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, mode)
}
