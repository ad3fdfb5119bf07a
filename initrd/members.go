package initrd

import (
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
	for _, also := range root.Also {
		for _, where := range mountedOn(table, "/"+also.Subvolume, dir) {
			members = append(members, roots.Member{Name: also.Name, Mount: where})
		}
	}
	sort.SliceStable(members, func(i, j int) bool { return len(members[i].Mount) > len(members[j].Mount) })
	return append(members, roots.Member{Name: archive.Root, Mount: "/"}), nil
}

// mountedOn returns where below dir a subvolume of the root's file system is
// mounted. Another btrfs may have one of the same name; which of them is meant is
// known where the root itself is mounted on dir.
func mountedOn(table []mounts.MountInfo, subvolume, dir string) (places []string) {
	var own *mounts.MountInfo
	for i := range table {
		if table[i].MountPoint == dir && table[i].Type == "btrfs" {
			own = &table[i]
		}
	}
	for i := range table {
		m := &table[i]
		where, inside := strings.CutPrefix(m.MountPoint, strings.TrimSuffix(dir, "/")+"/")
		if !inside || m.Type != "btrfs" || m.Root != subvolume {
			continue
		}
		if own == nil || m.Major == own.Major && m.Minor == own.Minor {
			places = append(places, "/"+where)
		}
	}
	return places
}
