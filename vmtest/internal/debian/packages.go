package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Package is one .deb of the archive.
type Package struct {
	URI  string
	File string // base name, "name_version_architecture.deb"
	Size int64  // bytes
}

// Name is the package's name.
func (p Package) Name() string {
	name, _, _ := strings.Cut(p.File, "_")
	return name
}

// Spec is "name=version", as apt-get(8) takes it.
func (p Package) Spec() string {
	name, rest, _ := strings.Cut(p.File, "_")
	version, _, _ := strings.Cut(rest, "_")
	return name + "=" + strings.ReplaceAll(version, "%3a", ":")
}

// noArchives is an empty directory, below apt's cache directory.
const noArchives = "no-archives"

// Resolve returns the packages named and all that they depend on.
func (a *Archive) Resolve(ctx context.Context, names ...string) ([]Package, error) {
	// apt names only what it has not downloaded yet, so that it is made to look for downloads where none are.
	args := append([]string{"install", "-qq", "--print-uris", "-o", "Dir::Cache::archives=" + noArchives}, names...)
	out, err := a.apt(ctx, "", "apt-get", args...)
	if err != nil {
		return nil, fmt.Errorf("resolve packages: %w", err)
	}
	return parseURIs(out)
}

// Kernel returns the packages of the newest kernel of a series ("6.18") in a flavour ("cloud-amd64"), and nothing of what
// they depend on besides.
func (a *Archive) Kernel(ctx context.Context, series, flavour string) ([]Package, error) {
	out, err := a.apt(ctx, "", "apt-cache", "pkgnames", "linux-")
	if err != nil {
		return nil, fmt.Errorf("find kernels: %w", err)
	}
	names := kernelPackages(strings.Fields(out), series, flavour)
	if len(names) == 0 {
		return nil, fmt.Errorf("debian %s has no kernel %s of flavour %s", a.suite, series, flavour)
	}
	args := append([]string{"download", "-qq", "--print-uris", "-o", "Dir::Cache::archives=" + noArchives}, names...)
	if out, err = a.apt(ctx, "", "apt-get", args...); err != nil {
		return nil, fmt.Errorf("find kernel %s: %w", names[0], err)
	}
	return parseURIs(out)
}

// kernelPackages are those of the newest kernel. Since 6.19 what linux-image had is in three more.
func kernelPackages(names []string, series, flavour string) (found []string) {
	image := newest(names, series, flavour)
	for _, prefix := range []string{"linux-image-", "linux-base-", "linux-binary-", "linux-modules-"} {
		if name := prefix + strings.TrimPrefix(image, "linux-image-"); slices.Contains(names, name) {
			found = append(found, name)
		}
	}
	return found
}

// kernelName is the name of a kernel's package: its version and its flavour.
var kernelName = regexp.MustCompile(`^linux-image-([0-9][0-9.]*(?:\+deb[0-9.]+|-[0-9]+)?)-([a-z].*)$`)

// newest is the name with the highest version of the kernels of a series and a flavour, empty if there is none.
func newest(names []string, series, flavour string) string {
	var best string
	var bestVersion []int
	for _, name := range names {
		parts := kernelName.FindStringSubmatch(name)
		if parts == nil || parts[2] != flavour || !strings.HasPrefix(parts[1], series+".") {
			continue
		}
		if version := numbers(parts[1]); slices.Compare(version, bestVersion) > 0 {
			best, bestVersion = name, version
		}
	}
	return best
}

// numbers are those in a version.
func numbers(text string) (list []int) {
	isDigit := func(r rune) bool { return r >= '0' && r <= '9' }
	for _, field := range strings.FieldsFunc(text, func(r rune) bool { return !isDigit(r) }) {
		n, _ := strconv.Atoi(field) // digits alone; too many of them are as good as the highest number
		list = append(list, n)
	}
	return list
}

// parseURIs reads the output of apt-get --print-uris: 'URI' FILE SIZE [HASH].
func parseURIs(text string) ([]Package, error) {
	var pkgs []Package
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || !strings.HasPrefix(f[0], "'") {
			continue // a message to a human
		}
		size, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %q of apt-get --print-uris: %w", strings.TrimSpace(line), err)
		}
		pkgs = append(pkgs, Package{URI: strings.Trim(f[0], "'"), File: f[1], Size: size})
	}
	if len(pkgs) == 0 {
		return nil, errors.New("apt-get --print-uris named no package")
	}
	return pkgs, nil
}

// downloadBatch is how many packages one apt-get fetches: few enough that progress can be told between two of them.
const downloadBatch = 25

// Unpack downloads packages, which apt checks against the signed lists, and extracts them into dir.
func (a *Archive) Unpack(ctx context.Context, dir string, pkgs []Package) error {
	if err := a.download(ctx, pkgs); err != nil {
		return err
	}
	a.report("unpacking %d packages", len(pkgs))
	for _, p := range pkgs {
		if err := Extract(ctx, filepath.Join(a.archives(), p.File), dir); err != nil {
			return err
		}
	}
	return nil
}

// Extract puts the files of a package into dir.
func Extract(ctx context.Context, file, dir string) error {
	out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", file, dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("unpack %s: %w: %s", filepath.Base(file), err, out)
	}
	return nil
}

func (a *Archive) archives() string { return filepath.Join(a.dir, "var/cache/apt/archives") }

func (a *Archive) download(ctx context.Context, pkgs []Package) error {
	var missing []Package
	var todo, done int64
	for _, p := range pkgs {
		if fileSize(filepath.Join(a.archives(), p.File)) != p.Size {
			missing = append(missing, p)
			todo += p.Size
		}
	}
	if len(missing) == 0 {
		return nil
	}
	a.report("downloading %d packages, %d MB", len(missing), todo>>20)
	for len(missing) > 0 {
		batch := missing[:min(downloadBatch, len(missing))]
		missing = missing[len(batch):]
		args := []string{"download", "-qq"}
		for _, p := range batch {
			args = append(args, p.Spec())
			done += p.Size
		}
		if _, err := a.apt(ctx, a.archives(), "apt-get", args...); err != nil {
			// The lists may be older than the mirror; the next run fetches them anew.
			return errors.Join(err, os.Remove(filepath.Join(a.dir, "updated")))
		}
		a.report("downloaded %d of %d MB", done>>20, todo>>20)
	}
	return nil
}
