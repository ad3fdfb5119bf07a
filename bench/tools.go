package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/ebb-nix/ebb/vmtest/install"
)

//go:embed floor/*.c floor/empty.go
var sources embed.FS

// tools are the programs that are built for a measurement.
type tools struct {
	ebb        string
	launch     string // see floor/launch.c
	empty      string
	emptyGo    string // see floor/empty.go
	mount      string
	rollback   string
	treeSearch string
	costs      string // see floor/costs.c
}

func (b *bench) buildTools() error {
	b.progress.step("building the programs")
	for name, path := range map[string]*string{
		"launch": &b.tools.launch, "empty": &b.tools.empty, "mount": &b.tools.mount, "rollback": &b.tools.rollback,
		"treesearch": &b.tools.treeSearch, "costs": &b.tools.costs,
	} {
		var err error
		if *path, err = b.compile(name); err != nil {
			return err
		}
	}
	if err := b.compileEmptyGo(); err != nil {
		return err
	}
	if b.options.ebb != "" {
		var err error
		b.tools.ebb, err = filepath.Abs(b.options.ebb)
		return err
	}
	var err error
	b.tools.ebb, err = install.Build(context.Background(), b.dir)
	return err
}

// compile builds one of the C programs, static, as they would be in an initrd.
func (b *bench) compile(name string) (string, error) {
	text, err := sources.ReadFile("floor/" + name + ".c")
	if err != nil {
		return "", err
	}
	program := filepath.Join(b.dir, "floor-"+name)
	if err := os.WriteFile(program+".c", text, 0o600); err != nil {
		return "", err
	}
	return program, output(exec.Command("gcc", "-O2", "-static", "-o", program, program+".c"))
}

// compileEmptyGo builds the Go program that does nothing, static and stripped.
func (b *bench) compileEmptyGo() error {
	text, err := sources.ReadFile("floor/empty.go")
	if err != nil {
		return err
	}
	source := filepath.Join(b.dir, "empty.go")
	if err := os.WriteFile(source, text, 0o600); err != nil {
		return err
	}
	b.tools.emptyGo = filepath.Join(b.dir, "floor-empty-go")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.tools.emptyGo, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	return output(build)
}

// output runs a command whose output only matters when it fails.
func output(c *exec.Cmd) error {
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", c, err, out)
	}
	return nil
}

// command is output for a program that is found in PATH or where root has its.
func command(name string, args ...string) error {
	return output(exec.Command(findTool(name), args...))
}

func findTool(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path := filepath.Join(dir, name); exists(path) {
			return path
		}
	}
	return name // what is missing is told when it is run
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
