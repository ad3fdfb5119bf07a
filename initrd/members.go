package initrd

import (
	"path"
	"sort"
	"strings"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/mounts"
	"github.com/ebb-nix/ebb/roots"
)

// MemberMounts finds out where in the root at dir each subvolume that a rollback
// archives belongs: an ephemeral home is where its successor is mounted now. What
// is mounted deeper comes before what it lies in, so the root is the last.
func MemberMounts(root *config.Root, dir string) ([]roots.Member, error) {
	table, err := mounts.ReadMountInfo()
	if err != nil {
		return nil, err
	}
	var members []roots.Member
	var own *mounts.MountInfo
	top := strings.TrimSuffix(dir, "/")
	for i := range table {
		m := &table[i]
		// Another btrfs may have a subvolume of the same name. Their devices are
		// anonymous, of one major number. What is mounted in another mount comes
		// after it.
		if m.MountPoint == dir && m.Type == "btrfs" {
			own = m
		}
		where, inside := strings.CutPrefix(m.MountPoint, top)
		if !inside || !path.IsAbs(where) || own != nil && m.Minor != own.Minor {
			continue
		}
		if name := memberOf(root, m); name != "" {
			members = append(members, roots.Member{Name: name, Mount: where})
		}
	}
	sort.Slice(members, func(i, j int) bool { return len(members[i].Mount) > len(members[j].Mount) })
	return append(members, roots.Member{Name: archive.Root, Mount: "/"}), nil
}

// memberOf returns which of the further subvolumes is mounted.
func memberOf(root *config.Root, m *mounts.MountInfo) string {
	for i := range root.Also {
		if a := &root.Also[i]; m.Type == "btrfs" && m.Root == "/"+a.Subvolume {
			return a.Name
		}
	}
	return ""
}
