package reboot

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/keep"
)

// nextStores is laterStores without /srv/data, and with a directory that both
// the root and the store have.
var nextStores = strings.Replace(laterStores, `{"path": "/srv/data", "uid": 1000, "gid": 100, "mode": "0750"}`, `{"path": "/var/lib/both"}`, 1)

// A switch to a configuration with new entries: what is there moves into the
// store while it is in use, what is in both is left alone, and the next boot
// brings in the rest.
func TestApply(t *testing.T) {
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, basicStores))
	m.up(m.Boot)
	m.Shell(fillRoot)
	before := m.Shell(describeAdopted)
	m.Shell(`
		mkdir -p /var/lib/both /persist/var/lib/both; echo live > /var/lib/both/file; echo store > /persist/var/lib/both/file
		systemd-run -q --unit=reader --working-directory=/var/lib/app sh -c 'exec 3< nested/deep/big; exec sleep infinity'
		echo data > /srv/data/file`)
	next := document(standardRoot, nextStores)
	m.Shell("cat > /run/next.json <<'end'\n" + next + "\nend\n")

	want := map[string]keep.State{
		"/var/lib/app": keep.Planned, "/home/gabriel/docs": keep.Planned, "/var/lib/new": keep.Planned,
		"/etc/app.conf": keep.Planned, "/etc/clock": keep.Planned, "/etc/app.key": keep.Planned, "/var/lib/both": keep.Conflict,
	}
	m.wantApplied(want, "--dry-run")
	if m.Try("test", "-e", "/persist/var/lib/app").Status == 0 {
		t.Error("the dry run has copied something")
	}
	want["/var/lib/new"] = keep.Placed
	for _, p := range []string{"/var/lib/app", "/home/gabriel/docs", "/etc/app.conf", "/etc/clock", "/etc/app.key"} {
		want[p] = keep.Kept
	}
	results := m.wantApplied(want)
	if users := results["/var/lib/app"].Users; len(users) != 1 || users[0].Unit != "reader.service" {
		t.Errorf("who has the old place open: %+v", users)
	}
	m.wantApplied(map[string]keep.State{"/var/lib/both": keep.Conflict})
	m.want("/persist/etc/app.key", "readlink", "/etc/app.key")
	m.want("key", "cat", "/etc/app.key.before-ebb-1")
	if after := m.Shell(describeAdopted); after != before {
		t.Errorf("what the root had was\n%s\nand is\n%s", before, after)
	}
	m.Shell(`
		test /var/lib/app/file -ef /persist/var/lib/app/file; test /etc/app.conf -ef /persist/etc/app.conf
		mountpoint -q /var/lib/new; mountpoint -q /srv/data; systemctl is-active reader.service
		echo later > /var/lib/new/file`)
	m.want("live", "cat", "/var/lib/both/file")
	m.wantWhy("/var/lib/app/file", keep.FateKept, 0)
	m.wantWhy("/opt/none", keep.FateMissing, 1)
	m.Shell("mkdir -p /opt/tool; echo x > /opt/tool/file")
	m.wantWhy("/opt/tool/file", keep.FateLost, 1)

	m.configure(next)
	m.up(m.Reboot)
	if after := m.Shell(describeAdopted); after != before {
		t.Errorf("after a boot there was\n%s\nand is\n%s", before, after)
	}
	m.wantAdopted()
	m.want("/persist/etc/app.key", "readlink", "/etc/app.key")
	m.wantGone("/etc/app.key.before-ebb-1")
	m.want("later", "cat", "/var/lib/new/file")
	m.want("store", "cat", "/var/lib/both/file")
	m.want("data", "cat", "/persist/srv/data/file")
	m.wantGone("/srv/data", "/opt/tool")
	if why := m.wantWhy("/opt/tool/file", keep.FateMissing, 1); !strings.Contains(why, `"roots":[2]`) {
		t.Errorf("ebb why does not name the archived root that has it: %s", why)
	}
	m.Shell("ebb apply; ebb status")
	m.Cut()
}

// wantApplied runs ebb apply with the next config.
func (m *machine) wantApplied(want map[string]keep.State, flags ...string) map[string]*keep.Result {
	m.t.Helper()
	r := m.Try(append([]string{"ebb", "apply", "--config", "/run/next.json", "--json"}, flags...)...)
	var out struct {
		Entries []*keep.Result
		Removed []struct{ Path string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil || r.Status != 1 {
		m.t.Fatalf("ebb apply: status %d, %v\n%s%s", r.Status, err, r.Stdout, r.Stderr)
	}
	results := map[string]*keep.Result{}
	for _, e := range out.Entries {
		if results[e.Path] = e; e.State != want[e.Path] {
			m.t.Errorf("%s: %s (%s), want %s", e.Path, e.State, e.Reason, want[e.Path])
		}
	}
	if len(results) != len(want) {
		m.t.Errorf("results of %d entries, want %d:\n%s", len(results), len(want), r.Stdout)
	}
	if len(out.Removed) != 1 || out.Removed[0].Path != "/srv/data" {
		m.t.Errorf("removed: %+v", out.Removed)
	}
	return results
}

// wantWhy runs ebb why with the next config, and returns its JSON on one line.
func (m *machine) wantWhy(path string, fate keep.Fate, status int) string {
	m.t.Helper()
	r := m.Try("ebb", "why", "--config", "/run/next.json", "--json", path)
	if m.Try("test", "-e", "/run/next.json").Status != 0 {
		r = m.Try("ebb", "why", "--json", path)
	}
	var out struct{ Paths []struct{ Fate keep.Fate } }
	if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil || r.Status != status || len(out.Paths) != 1 || out.Paths[0].Fate != fate {
		m.t.Errorf("ebb why %s: status %d, %v, want %s\n%s%s", path, r.Status, err, fate, r.Stdout, r.Stderr)
	}
	return strings.Join(strings.Fields(r.Stdout), "")
}
