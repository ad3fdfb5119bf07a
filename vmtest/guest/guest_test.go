package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/internal/wire"
)

func TestFindClosure(t *testing.T) {
	dir := t.TempDir()
	cmdline, link, conf := filepath.Join(dir, "cmdline"), filepath.Join(dir, "link"), filepath.Join(dir, "conf")
	if err := os.WriteFile(cmdline, []byte("root=fstab init=/nix/store/x-system/init quiet\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := findClosure(cmdline, link, conf); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(link); err != nil || got != "/nix/store/x-system" {
			t.Errorf("the link leads to %q (%v)", got, err)
		}
	}
	if err := os.WriteFile(cmdline, []byte("root=fstab\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := findClosure(cmdline, link, conf); err == nil {
		t.Error("without init=: no error")
	}
}

// Activation fills an empty root, and once more does no harm to what has been changed since.
func TestActivate(t *testing.T) {
	root, link, overlay := t.TempDir(), filepath.Join(t.TempDir(), "closure"), t.TempDir()
	if err := os.Symlink("/nix/store/s", link); err != nil {
		t.Fatal(err)
	}
	err := files.Write(root, []files.File{
		files.Dir("run", 0o755),
		files.Text("nix/store/s/usr/bin/sh", "#!"),
		files.Text("nix/store/s/etc/passwd", "root\n"),
		files.Text("nix/store/s/etc/systemd/system/a.service", "[Unit]\n"),
		files.Symlink("nix/store/s/etc/systemd/system/default.target", "/usr/lib/x.target"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Write(overlay, []files.File{files.Text("etc/systemd/system/b.service", "[Unit]\n")}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := activate(root, link, overlay); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"usr":                               "/nix/store/s/usr",
		"run/current-system":                "/nix/store/s",
		"etc/static":                        "/nix/store/s/etc",
		"etc/systemd/system/a.service":      "/etc/static/systemd/system/a.service",
		"etc/systemd/system/default.target": "/usr/lib/x.target",
	} {
		if got, err := os.Readlink(filepath.Join(root, path)); err != nil || got != want {
			t.Errorf("%s leads to %q (%v), want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"etc/passwd", "etc/systemd/system/b.service"} {
		if st, err := os.Lstat(filepath.Join(root, path)); err != nil || !st.Mode().IsRegular() {
			t.Errorf("%s is no regular file (%v)", path, err)
		}
	}
	if st, err := os.Stat(filepath.Join(root, "tmp")); err != nil || st.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("tmp: %v, %v", st.Mode(), err)
	}
}

func TestTryPort(t *testing.T) {
	class, dev := t.TempDir(), t.TempDir()
	if _, err := tryPort(class, dev); err == nil {
		t.Error("no port: no error")
	}
	err := files.Write(class, []files.File{
		files.Text("vport1p1/name", "org.qemu.guest_agent.0\n"), files.Text("vport1p2/name", wire.PortName+"\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Write(dev, []files.File{files.Text("vport1p2", "")}); err != nil {
		t.Fatal(err)
	}
	port, err := tryPort(class, dev)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(port.Name()) != "vport1p2" {
		t.Errorf("opened %s", port.Name())
	}
	if err := port.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnswer(t *testing.T) {
	host, guest := net.Pipe()
	defer host.Close()
	ended := make(chan error, 1)
	go func() { ended <- answer(bufio.NewReader(guest), &sender{w: guest}) }()
	replies := bufio.NewScanner(host)
	for _, c := range []struct {
		request, stdout, stderr string
		status                  int
		failed                  bool
	}{
		{`{"id":1,"argv":["echo","hi"]}`, "hi\n", "", 0, false},
		{`{"id":2,"argv":["sh","-c","cat; echo no >&2; exit 7"],"stdin":"aW4="}`, "in", "no\n", 7, false},
		{`{"id":3,"argv":["sh","-c","kill -9 $$"]}`, "", "", 137, false},
		{`{"id":4,"argv":["/no/such/program"]}`, "", "", 127, true},
	} {
		// In front, the rest of a line for another agent.
		if _, err := io.WriteString(host, `id":0}`+"\n"+c.request+"\n"); err != nil {
			t.Fatal(err)
		}
		var m wire.Message
		for replies.Scan() && m.Reply == nil {
			if text := strings.TrimSpace(replies.Text()); text != "" {
				if err := json.Unmarshal([]byte(text), &m); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		r := m.Reply
		if r == nil || string(r.Stdout) != c.stdout || string(r.Stderr) != c.stderr || r.Status != c.status || (r.Error != "") != c.failed {
			t.Errorf("%s: got %+v", c.request, r)
		}
	}
	if err := guest.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("a broken line: no error")
	}
}
