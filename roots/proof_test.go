package roots

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestDeleteRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		prepare   func(d *disk)
		protected string
		reason    string
	}{
		"moved in by hand": {func(d *disk) {
			mustRename(d, "@persist", "@roots/000001/persist")
		}, "", "not the subvolume that was archived"},
		"exchanged by hand": {func(d *disk) {
			d.setReadOnly("@roots/000001/root", false)
			mustRename(d, "@roots/000001/root", "@roots/elsewhere")
			mustRename(d, "@persist", "@roots/000001/root")
		}, "", "not the subvolume that was archived"},
		"moved by hand into what was archived": {func(d *disk) {
			d.setReadOnly("@roots/000001/root", false)
			mustRename(d, "@persist", "@roots/000001/root/persist")
		}, "", "was moved there by hand"},
		"the blank snapshot in the place of the root": {func(d *disk) {
			d.setReadOnly("@roots/000001/root", false)
			mustRename(d, "@roots/000001/root", "@roots/elsewhere")
			mustRename(d, "@blank", "@roots/000001/root")
		}, "", "not the subvolume that was archived"},
		"the live root in the place of the root": {func(d *disk) {
			d.setReadOnly("@roots/000001/root", false)
			mustRename(d, "@roots/000001/root", "@roots/elsewhere")
			mustRename(d, "@", "@roots/000001/root")
		}, "@roots/000001/root", "not the subvolume that was archived"},
		"a link": {func(d *disk) {
			testenv.Tree(d.t, d.Dir, "link @roots/000001/more /etc")
		}, "", "not put there by ebb"},
		"a file": {func(d *disk) {
			testenv.Tree(d.t, d.Dir, "file @roots/000001/notes")
		}, "", "not put there by ebb"},
		"a directory with a subvolume": {func(d *disk) {
			testenv.Tree(d.t, d.Dir, "subvolume @roots/000001/dir/sub")
		}, "", "not put there by ebb"},
		"no meta.json": {func(d *disk) {
			if err := os.Remove(d.Path("@roots/000001/meta.json")); err != nil {
				d.t.Fatal(err)
			}
		}, "", "meta.json"},
		"damaged meta.json": {func(d *disk) {
			if err := os.WriteFile(d.Path("@roots/000001/meta.json"), []byte("{"), 0o600); err != nil {
				d.t.Fatal(err)
			}
		}, "", "meta.json"},
		"mounted":             {func(*disk) {}, "@roots/000001/root", "because"},
		"mounted in part":     {func(*disk) {}, "@roots/000001/root/var/lib", "because"},
		"nested, and mounted": {func(*disk) {}, "@roots/000001/root/nested", "because"},
		"the default subvolume": {func(d *disk) {
			setDefault(d, "@roots/000001/root/nested")
		}, "", "default subvolume"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			d.archive(1, "subvolume nested")
			test.prepare(d)
			var protected []Protected
			if test.protected != "" {
				protected = []Protected{{test.protected, "because"}}
			}
			before := d.subvolumes()
			r := d.open(protected...)
			defer r.Close()
			err := r.Trash(1, false)
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("got %v, want %q", err, test.reason)
			}
			// The same for what has come into the trash in another way.
			testenv.Tree(t, d.Dir, "dir @roots/.trash 0700 0:0")
			if test.reason != "meta.json" {
				mustRename(d, "@roots/000001", "@roots/.trash/000001")
				r.Protected = nil
				if test.protected != "" {
					r.Protected = []Protected{{strings.Replace(test.protected, "@roots/", "@roots/.trash/", 1), "because"}}
				}
				if err := r.readFileSystem(); err != nil {
					t.Fatal(err)
				}
				if ids, err := r.EmptyTrash(); err == nil || len(ids) != 0 {
					t.Errorf("from the trash: deleted %v, %v", ids, err)
				}
				mustRename(d, "@roots/.trash/000001", "@roots/000001")
			}
			if after := d.subvolumes(); after != before {
				t.Errorf("before %s, after %s", before, after)
			}
		})
	}
}

// What the number stands for has to be a directory of the archive itself.
func TestDeleteOutsideOfTheArchive(t *testing.T) {
	d := newDisk(t)
	d.archive(1)
	testenv.Tree(t, d.Dir, "dir elsewhere 0700 0:0")
	mustRename(d, "@roots/000001", "elsewhere/000001")
	testenv.Tree(t, d.Dir, "link @roots/000001 ../elsewhere/000001", "link @roots/000002 ..", "subvolume @roots/000003", "subvolume @roots/000003/root")
	before := d.subvolumes()
	r := d.open()
	defer r.Close()
	for number := range uint64(5) {
		if err := r.Trash(number, true); err == nil {
			t.Errorf("%d was moved to the trash", number)
		}
	}
	testenv.Tree(t, d.Dir, "dir @roots/.trash 0700 0:0", "link @roots/.trash/000001 ../../elsewhere/000001")
	if ids, err := r.EmptyTrash(); err == nil || len(ids) > 0 {
		t.Errorf("from the trash: deleted %v, %v", ids, err)
	}
	if after := d.subvolumes(); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
	// An archive that is a link, or somebody else's.
	testenv.Tree(t, d.Dir, "link link @roots", "dir users 0777 7:7")
	for _, name := range []string{"link", "users"} {
		if err := (&Remover{}).Open(d.Open(), name); err == nil {
			t.Errorf("%s was taken for an archive", name)
		}
	}
}
