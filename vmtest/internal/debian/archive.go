// Package debian fetches packages of a Debian release and unpacks them into directories. It leaves the machine's own
// package database alone and needs no privilege: apt-get works below a directory of its own, and dpkg-deb only
// extracts. No maintainer script is ever run.
package debian

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"strings"
	"time"
)

const (
	defaultMirror = "http://deb.debian.org/debian"
	keyring       = "/usr/share/keyrings/debian-archive-keyring.gpg"

	// listsMaxAge is how long downloaded package lists are taken for current. A release changes every few weeks; lists
	// that are too old show as a download that fails.
	listsMaxAge = 24 * time.Hour
)

// Archive is one release on one mirror, with apt's state for it.
type Archive struct {
	dir    string
	suite  string
	report func(format string, args ...any)
}

// Open prepares apt's directories for a suite ("trixie") below dir, which is for that suite alone. Report gets a line for
// each step that takes long.
func Open(ctx context.Context, dir, suite string, report func(string, ...any)) (*Archive, error) {
	a := &Archive{dir: dir, suite: suite, report: report}
	if _, err := os.Stat(keyring); err != nil {
		return nil, fmt.Errorf("debian's signing keys (package debian-archive-keyring): %w", err)
	}
	for _, d := range []string{
		"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d",
		"var/lib/apt/lists/partial", "var/cache/apt/archives/partial",
		"var/cache/apt/" + noArchives + "/partial", "var/lib/dpkg", "var/log/apt",
	} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("prepare apt: %w", err)
		}
	}
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("prepare apt: %w", err)
	}
	for name, text := range map[string]string{
		"apt.conf":             aptConf(dir, me.Username, hostProxies(ctx)),
		"etc/apt/sources.list": source(hostMirror(ctx), suite),
		"var/lib/dpkg/status":  "", // nothing is installed, so that every dependency is fetched
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("prepare apt: %w", err)
		}
	}
	return a, a.update(ctx)
}

// source is the line of a sources.list(5). A release that is not out yet names a day, a week ahead, on which its lists
// expire; a mirror that is behind by more has nothing that a machine in a test would have to be kept from. A released one
// names no such day. What the lists hold is signed in either case.
func source(mirror, suite string) string {
	return fmt.Sprintf("deb [signed-by=%s check-valid-until=no] %s %s main\n", keyring, mirror, suite)
}

// aptConf is the text of an apt.conf(5) that keeps apt below dir. The sandbox user is the caller: apt, run by root,
// would otherwise download as _apt, who may not write here.
func aptConf(dir, user string, extra []string) string {
	lines := append([]string{
		fmt.Sprintf("Dir %q;", dir+"/"),
		fmt.Sprintf("APT::Sandbox::User %q;", user),
		`APT::Architecture "amd64";`,
		`APT::Architectures { "amd64"; };`,
		`APT::Install-Recommends "false";`,
		`Acquire::Languages "none";`,
		`Acquire::Retries "3";`,
	}, extra...)
	return strings.Join(lines, "\n") + "\n"
}

// update fetches the package lists, unless they are there and young enough.
func (a *Archive) update(ctx context.Context) error {
	stamp := filepath.Join(a.dir, "updated")
	if st, err := os.Stat(stamp); err == nil && time.Since(st.ModTime()) < listsMaxAge {
		return nil
	}
	a.report("fetching the package lists of Debian %s", a.suite)
	if _, err := a.apt(ctx, "", "apt-get", "-qq", "update"); err != nil {
		return err
	}
	return os.WriteFile(stamp, nil, 0o644)
}

// apt runs one of apt's programs on the private configuration and returns what it wrote on its standard output.
func (a *Archive) apt(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(a.dir, "apt.conf"), "LC_ALL=C.UTF-8")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// hostMirror is the Debian mirror that this machine uses itself: the one its network is sure to reach.
func hostMirror(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)").Output()
	if err != nil {
		return defaultMirror // no apt sources at all: nothing to learn here
	}
	return pickMirror(string(out))
}

// pickMirror chooses the first address among lines that ends in "/debian", as mirrors of the main archive do.
func pickMirror(lines string) string {
	for line := range strings.Lines(lines) {
		u, err := url.Parse(strings.TrimSpace(line))
		if err == nil && u.Host != "" && path.Base(u.Path) == "debian" {
			return strings.TrimSuffix(u.String(), "/")
		}
	}
	return defaultMirror
}

// hostProxies returns the proxy settings of the machine's own apt.conf.
func hostProxies(ctx context.Context) []string {
	out, err := exec.CommandContext(ctx, "apt-config", "dump").Output()
	if err != nil {
		return nil
	}
	return proxyLines(string(out))
}

func proxyLines(dump string) []string {
	var found []string
	for line := range strings.Lines(dump) {
		key, _, _ := strings.Cut(line, " ")
		if strings.HasPrefix(key, "Acquire::") && strings.Contains(strings.ToLower(key), "proxy") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// fileSize is the size of a regular file, or -1.
func fileSize(name string) int64 {
	st, err := os.Stat(name)
	if err != nil || st.Mode().Type() != fs.FileMode(0) {
		return -1
	}
	return st.Size()
}
