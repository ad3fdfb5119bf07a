package debian

import (
	"slices"
	"strings"
	"testing"
)

const printURIs = `Reading package lists...
'http://deb.debian.org/debian/pool/main/b/btrfs-progs/btrfs-progs_6.14-1_amd64.deb' btrfs-progs_6.14-1_amd64.deb 908164 MD5Sum:1
'http://deb.debian.org/debian/pool/main/q/qemu/qemu-utils_10.0.13%2bds-0_amd64.deb' qemu-utils_1%3a10.0.13+ds-0_amd64.deb 2024216 MD5Sum:2
`

func TestParseURIs(t *testing.T) {
	pkgs, err := parseURIs(printURIs)
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) != 2 {
		t.Fatalf("%d packages, want 2", len(pkgs))
	}
	if p := pkgs[0]; p.Name() != "btrfs-progs" || p.Size != 908164 || !strings.HasPrefix(p.URI, "http://") {
		t.Errorf("got %+v", p)
	}
	if got := pkgs[1].Spec(); got != "qemu-utils=1:10.0.13+ds-0" {
		t.Errorf("an epoch: got %s", got)
	}
	for _, text := range []string{"", "E: no such package\n", "'http://x' x.deb many\n"} {
		if _, err := parseURIs(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestPickMirror(t *testing.T) {
	for _, c := range []struct{ lines, want string }{
		{"", defaultMirror},
		{"http://security.debian.org/debian-security\nhttp://mirror.example/debian/\n", "http://mirror.example/debian"},
		{"https://packages.example/apt\nmirror+file:/etc/apt/mirrors/debian.list\n", defaultMirror},
		{"http://archive.ubuntu.com/ubuntu\n", defaultMirror},
	} {
		if got := pickMirror(c.lines); got != c.want {
			t.Errorf("%q: got %s, want %s", c.lines, got, c.want)
		}
	}
}

func TestProxyLines(t *testing.T) {
	got := proxyLines(`APT::Architecture "amd64";
Acquire::http::Proxy "http://proxy:3128";
Acquire::https::Proxy-Auto-Detect "/usr/bin/detect";
Acquire::Languages "none";
`)
	want := []string{`Acquire::http::Proxy "http://proxy:3128";`, `Acquire::https::Proxy-Auto-Detect "/usr/bin/detect";`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAptConf(t *testing.T) {
	got := aptConf("/c/apt", "me", []string{`Acquire::http::Proxy "p";`})
	for _, want := range []string{"Dir \"/c/apt/\";\n", "APT::Sandbox::User \"me\";\n", "Acquire::http::Proxy \"p\";\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestSource(t *testing.T) {
	got := source("http://mirror.example/debian", "forky")
	want := "deb [signed-by=" + keyring + " check-valid-until=no] http://mirror.example/debian forky main\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The names of Debian's kernels say which is the newest: not the order of the alphabet, and only of one series and flavour.
func TestKernelPackages(t *testing.T) {
	names := []string{
		"linux-image-6.18.9+deb13-cloud-amd64", "linux-image-6.18.15+deb13-cloud-amd64", "linux-image-6.18.15+deb13.1-cloud-amd64",
		"linux-image-6.18.17+deb13-amd64", "linux-image-6.18.16+deb13-cloud-amd64-unsigned", "linux-image-6.18.20+deb13-rt-amd64",
		"linux-image-6.1.0-47-amd64", "linux-image-6.1.0-9-amd64", "linux-image-cloud-amd64", "linux-headers-6.1.0-47-amd64",
		"linux-modules-7.3.4+deb13-amd64", "linux-binary-7.3.4+deb13-amd64", "linux-image-7.3.4+deb13-amd64", "linux-base-7.3.4+deb13-amd64",
	}
	for _, c := range []struct {
		series, flavour string
		want            []string
	}{
		{"6.18", "cloud-amd64", []string{"linux-image-6.18.15+deb13.1-cloud-amd64"}},
		{"6.18", "amd64", []string{"linux-image-6.18.17+deb13-amd64"}},
		{"6.18", "rt-amd64", []string{"linux-image-6.18.20+deb13-rt-amd64"}},
		{"6.18", "arm64", nil},
		{"6.1", "amd64", []string{"linux-image-6.1.0-47-amd64"}},
		{"6.2", "amd64", nil},
		{"7.3", "amd64", []string{"linux-image-7.3.4+deb13-amd64", "linux-base-7.3.4+deb13-amd64", "linux-binary-7.3.4+deb13-amd64", "linux-modules-7.3.4+deb13-amd64"}},
	} {
		if got := kernelPackages(names, c.series, c.flavour); !slices.Equal(got, c.want) {
			t.Errorf("%s %s: got %q, want %q", c.series, c.flavour, got, c.want)
		}
	}
}
