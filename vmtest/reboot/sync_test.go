package reboot

import (
	"strings"
	"testing"
)

// syncStores has a "sync" file for each of the programs below.
const syncStores = `"/persist": {
	"directories": [{"path": "/var/log"}],
	"files": [
		{"path": "/etc/machine-id", "how": "sync"},
		{"path": "/etc/adjtime", "how": "sync"},
		{"path": "/srv/jail/etc/shadow", "how": "sync"},
		{"path": "/root/.bash_history", "how": "sync"},
		{"path": "/root/.local/share/fish/fish_history", "how": "sync"},
		{"path": "/etc/edited.conf", "how": "sync"},
		{"path": "/etc/deleted", "how": "sync"},
		{"path": "/etc/both", "how": "sync"},
		{"path": "/etc/last", "how": "sync"},
		{"path": "/etc/big", "how": "sync"}
	]
}`

// syncedPrograms write their files, each in its own way: hwclock(8) anew,
// chpasswd(8) beside it and then by rename(2), as passwd(1), and so do bash
// and fish with their histories, and sed -i as editors do.
const syncedPrograms = `
	hwclock --systohc
	mkdir -p /srv/jail/etc
	printf 'ann:x:1001:100::/home/ann:/bin/sh\n' > /srv/jail/etc/passwd
	printf 'ann:!:19000::::::\n' > /srv/jail/etc/shadow; chown 0:42 /srv/jail/etc/shadow; chmod 0640 /srv/jail/etc/shadow
	until [ -e /persist/srv/jail/etc/shadow ]; do sleep 0.2; done
	before=$(stat -c %i /srv/jail/etc/shadow)
	echo 'ann:$6$salt$hash' | chpasswd --encrypted --root /srv/jail
	[ "$before" != "$(stat -c %i /srv/jail/etc/shadow)" ]
	HISTFILE=/root/.bash_history bash -c 'set -o history; history -s "echo in bash"; history -w'
	chmod 0600 /root/.bash_history
	printf 'echo in-fish\nexit\n' | TERM=dumb script --quiet --command fish /dev/null >/dev/null
	echo 'port = 80' > /etc/edited.conf; chown 1000:100 /etc/edited.conf; chmod 0604 /etc/edited.conf; setfattr -n user.note -v edited /etc/edited.conf
	until [ -e /persist/etc/edited.conf ]; do sleep 0.2; done
	sed -i s/80/8080/ /etc/edited.conf; setfattr -n user.note -v edited /etc/edited.conf
	echo kept > /etc/deleted
	until [ -e /persist/etc/deleted ]; do sleep 0.2; done
	rm /etc/deleted
`

// syncedFiles are those of which both sides are the same once they are copied.
var syncedFiles = strings.Fields("/etc/adjtime /srv/jail/etc/shadow /root/.bash_history /root/.local/share/fish/fish_history /etc/edited.conf")

// waitSynced waits until the store has what the root has.
func (m *machine) waitSynced(files ...string) {
	m.t.Helper()
	for _, file := range files {
		m.Shell(`until [ "$(sha256sum <` + file + `)" = "$(sha256sum </persist` + file + `)" ]; do sleep 0.2; done`)
	}
}

// describeSynced is all there is to know about those files.
var describeSynced = "stat -c '%n %a %u:%g %y' " + strings.Join(syncedFiles, " ") + "; cat " + strings.Join(syncedFiles, " ") +
	"; getfattr -h -d -m '^user' /etc/edited.conf 2>&1"

// TestSyncPrograms: what real programs write to "sync" files is in the store at
// once, without being asked for, and in its place after a reboot.
func TestSyncPrograms(t *testing.T) {
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, syncStores))
	m.up(m.Boot)
	m.Shell(syncedPrograms)
	m.waitSynced(syncedFiles...)
	for file, want := range map[string]string{
		"/etc/adjtime": "UTC", "/srv/jail/etc/shadow": "ann:$6$salt$hash:", "/root/.bash_history": "echo in bash",
		"/root/.local/share/fish/fish_history": "echo in-fish", "/etc/edited.conf": "port = 8080",
	} {
		if got := m.Run("cat", "/persist"+file); !strings.Contains(got, want) {
			t.Errorf("the copy of %s holds %q, want %q in it", file, got, want)
		}
	}
	m.changeBothSides()
	before := m.Shell(describeSynced)
	// In the very last moment: nothing has been copied when the machine goes down.
	m.Shell("echo last > /etc/last; sed -i s/8080/8081/ /etc/edited.conf; sed -i s/8081/8080/ /etc/edited.conf; setfattr -n user.note -v edited /etc/edited.conf; touch -d '2021-02-03 04:05:06.7' /etc/last")
	m.up(m.Reboot)
	after := m.Shell(describeSynced)
	if forget := func(s string) string { return withoutTimes(s, "/etc/edited.conf") }; forget(after) != forget(before) {
		t.Errorf("before the reboot there was\n%s\nand is\n%s", before, after)
	}
	m.want("last", "cat", "/etc/last")
	m.want("2021-02-03 04:05:06.700000000 +0000", "stat", "-c", "%y", "/etc/last")
	m.want("kept", "cat", "/etc/deleted")
	m.cutWhileSyncing()
}

// withoutTimes leaves out when one of the files was changed.
func withoutTimes(text, file string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, file+" ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// changeBothSides changes a file here and in the store while nobody looks.
func (m *machine) changeBothSides() {
	m.t.Helper()
	m.Shell("echo first > /etc/both; touch -d 2021-01-01 /etc/both")
	m.waitSynced("/etc/both")
	m.Shell(`
		systemctl stop ebb-sync
		echo store > /persist/etc/both; touch -d 2021-01-03 /persist/etc/both
		echo root > /etc/both; touch -d 2021-01-02 /etc/both
		systemctl start ebb-sync`)
	m.waitSynced("/etc/both")
	m.want("store", "cat", "/etc/both")
	m.want("root", "cat", "/persist/etc/both.ebb-conflict-1609545600")
	if journal := m.Run("journalctl", "--boot", "--unit=ebb-sync", "--no-pager"); !strings.Contains(journal, "the file was changed here and in the store") {
		m.t.Errorf("nothing is said about a file that was changed in both places:\n%s", journal)
	}
}

// cutWhileSyncing cuts the power while a file is replaced again and again: what
// comes back is one of its versions, whole.
func (m *machine) cutWhileSyncing() {
	m.t.Helper()
	m.Shell(`
		cat > /run/replace <<'END'
		for i in $(seq 100000); do
			{ printf "%06d\n" $i; head -c 300000 /dev/zero | tr '\0' $((i % 10)); } > /etc/big.new; mv /etc/big.new /etc/big
		done
END
		systemd-run --unit=replace --quiet bash /run/replace
		until [ -e /persist/etc/big ]; do sleep 0.1; done
		first=$(head -c 6 /persist/etc/big)
		# The first one has its name for good when the second one has it.
		until [ "$(head -c 6 /persist/etc/big)" != "$first" ]; do sleep 0.1; done`)
	m.Cut()
	m.up(m.Boot)
	m.Shell(`
		[ "$(stat -c %s /etc/big)" = 300007 ]
		i=$(head -n 1 /etc/big | sed 's/^0*//'); [ "$i" -gt 0 ]
		[ "$(tail -n +2 /etc/big | tr -d $((i % 10)) | wc -c)" = 0 ]
		[ "$(sha256sum </etc/big)" = "$(sha256sum </persist/etc/big)" ]`)
	m.Cut()
}
