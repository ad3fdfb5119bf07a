package reboot

import (
	"slices"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/mounts"
)

// laterStores is basicStores with entries for what the root has by then.
var laterStores = strings.NewReplacer(
	`{"path": "/var/log"},`, `{"path": "/var/log"}, {"path": "/var/lib/app"}, {"path": "/home/gabriel/docs"}, {"path": "/var/lib/new"},`,
	`{"path": "/etc/adjtime"},`, `{"path": "/etc/adjtime"}, {"path": "/etc/app.conf"}, {"path": "/etc/clock", "how": "sync"}, {"path": "/etc/app.key", "how": "symlink"},`,
).Replace(basicStores)

// laterDocument has laterStores, what is in beyondAdopt, and the bounds that
// leave that out.
func laterDocument() string {
	return strings.NewReplacer(
		`"version": 1,`, `"version": 1, "adopt": {"files": 30},`,
		`{"path": "/var/log"},`, `{"path": "/var/log"}, {"path": "/srv/large"}, {"path": "/srv/used"}, {"path": "/srv/unwanted"},`,
	).Replace(document(standardRoot, laterStores))
}

// beyondAdopt are the entries that have more on the old root than is adopted.
var beyondAdopt = []string{"/srv/large", "/srv/used", "/srv/unwanted"}

// fillRoot puts data of all kinds where laterStores has entries.
const fillRoot = `
	mkdir -p /var/lib/app/nested/deep /home/gabriel/docs
	chown 1000:100 /home/gabriel /home/gabriel/docs; chmod 0700 /home/gabriel /home/gabriel/docs
	cd /var/lib/app
	echo data > file; chown 1000:100 file; chmod 4750 file; ln file nested/hard; ln -s ../file nested/link
	head -c 300000 /dev/urandom > nested/deep/big; mkfifo nested/pipe; : > 'odd name	ü'
	truncate -s 1M nested/sparse
	setfattr -n user.note -v kept file; setfattr -n trusted.note -v kept nested; setfacl -m u:1234:r file; setfacl -d -m g:100:rwx nested
	echo page > /home/gabriel/docs/page; chown 1000:100 /home/gabriel/docs/page
	echo conf > /etc/app.conf; chmod 0640 /etc/app.conf; chown 0:100 /etc/app.conf; setfattr -n user.conf -v x /etc/app.conf
	echo 0.0 0 0.0 > /etc/clock; echo key > /etc/app.key; chmod 0600 /etc/app.key
	chown 991:991 nested/deep; chmod 3770 nested/deep
	find /var/lib/app /home/gabriel/docs /etc/app.conf /etc/clock /etc/app.key -depth -exec touch -h -d 2020-01-02T03:04:05.678Z {} +
`

// fillBeyond puts more files than are adopted where beyondAdopt has entries.
const fillBeyond = `
	for directory in large used unwanted; do
		mkdir /srv/$directory; cd /srv/$directory; seq 40 | xargs touch; echo $directory > 7
	done
`

// describeAdopted is all there is to know about that data.
const describeAdopted = `
	cd /
	find var/lib/app home/gabriel/docs etc/app.conf etc/clock -printf '%p %y %m %U:%G %s %n %T@ %l\n' | sort
	find var/lib/app home/gabriel/docs etc/app.conf etc/clock -type f -exec sha256sum {} + | sort -k 2
	find var/lib/app etc/app.conf -print0 | sort -z | xargs -0 getfattr -h -d -m '.*'
	find var/lib/app ! -type l -print0 | sort -z | xargs -0 getfacl -n
	stat -Lc '%a %u:%g %s %Y' etc/app.key; cat etc/app.key
	stat -c '%a %u:%g' home/gabriel
	[ var/lib/app/file -ef var/lib/app/nested/hard ]
`

// Entries are added to the config between two boots: what the running root had
// there is adopted, and not hidden by something empty.
func TestEntryAddedBetweenBoots(t *testing.T) {
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, basicStores))
	m.up(m.Boot)
	m.Shell(fillRoot + fillBeyond)
	before := m.Shell(describeAdopted)

	m.configure(laterDocument())
	m.known = append([]string{"is not adopted"}, failedUnits...)
	m.up(m.Reboot)
	if after := m.Shell(describeAdopted); after != before {
		t.Errorf("what the root had was\n%s\nand is\n%s", before, after)
	}
	m.wantAdopted("/var/lib/app", "/home/gabriel/docs", "/etc/app.conf", "/etc/clock", "/etc/app.key")
	m.want("/persist/etc/app.key", "readlink", "/etc/app.key")
	// A copy, that is: the old root has it, too.
	m.Shell(`
		mkdir -p /run/top; mount -o subvolid=5,ro /dev/disk/by-label/nixos /run/top
		cd /run/top/@roots/000002/root
		for file in var/lib/app/nested/deep/big etc/app.conf; do sha256sum $file | (cd /; sha256sum -c); done
		cd /; umount /run/top`)

	m.Shell("echo more >> /home/gabriel/docs/page; rm /var/lib/app/nested/deep/big; touch -d 2021-01-01 /var/lib/app/nested/deep /home/gabriel/docs/page")
	m.wantLeft()
	m.Shell("echo mine > /srv/used/mine")
	before = m.Shell(describeAdopted)
	m.up(m.Reboot)
	if after := m.Shell(describeAdopted); after != before {
		t.Errorf("one boot later there was\n%s\nand is\n%s", before, after)
	}
	m.wantAdopted()
	m.wantLeft()
	m.wantBroughtIn()
	m.Cut()
}

// wantLeft checks that ebb tells of the entries in beyondAdopt.
func (m *machine) wantLeft() {
	m.t.Helper()
	text := m.Try("ebb", "status").Stdout
	for _, path := range beyondAdopt {
		if command := fromPage(m.t, 1, "ebb restore --from 17 /srv", "17", "2", "/srv/data", path); !strings.Contains(text, command+"\n") {
			m.t.Errorf("ebb status does not say %q:\n%s", command, text)
		}
	}
}

// wantBroughtIn types what the page says of data that was not adopted: into an
// entry that is empty, into one that is not, and where nobody wants it.
func (m *machine) wantBroughtIn() {
	m.t.Helper()
	m.Shell(fromPage(m.t, 1, "ebb roots pin", "17", "2"))
	m.Shell(fromPage(m.t, 1, "ebb restore --from 17 /srv", "17", "2", "/srv/data", "/srv/large"))
	m.want("large", "cat", "/srv/large/7")
	m.Shell(fromPage(m.t, 1, "ebb restore --from 17 --to /srv", "17", "2", "/srv/data", "/srv/used"))
	m.want("used", "cat", "/srv/used/used/7")
	m.want("mine", "cat", "/srv/used/mine")
	m.Shell(fromPage(m.t, 1, "ebb restore --forget", "/srv/data", "/srv/unwanted"))
	m.want("", "ls", "/srv/unwanted")
	m.want("large", "cat", "/persist/srv/large/7")
	if status := m.Run("ebb", "status"); !strings.Contains(status, "all is well") {
		m.t.Errorf("ebb status:\n%s", status)
	}
}

// wantAdopted compares the entries that the boot record calls adopted.
func (m *machine) wantAdopted(paths ...string) {
	m.t.Helper()
	adopted := map[string]bool{}
	for _, e := range m.record().Mount.Entries {
		if e.Adopted == nil && e.Adoption == "" || slices.Contains(beyondAdopt, e.Path) {
			continue
		}
		if e.State != mounts.InPlace || e.Adoption != "" || !e.Created {
			m.t.Errorf("the record says of %s: %+v", e.Path, e)
		}
		adopted[e.Path] = true
	}
	for _, path := range paths {
		if !adopted[path] {
			m.t.Errorf("the record does not say that %s was adopted", path)
		}
		delete(adopted, path)
	}
	if len(adopted) > 0 {
		m.t.Errorf("the record says that these were adopted: %v", adopted)
	}
}
