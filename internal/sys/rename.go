package sys

import (
	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// RenameExchange swaps two existing objects atomically: at every instant both
// names are there. renameat2(2) with RENAME_EXCHANGE; btrfs since Linux 4.7.
func RenameExchange(dirA int, nameA string, dirB int, nameB string) error {
	return rename("exchange", dirA, nameA, dirB, nameB, unix.RENAME_EXCHANGE)
}

// RenameNoReplace renames and fails with EEXIST when the new name is taken.
// renameat2(2) with RENAME_NOREPLACE.
func RenameNoReplace(oldDir int, oldName string, newDir int, newName string) error {
	return rename("rename", oldDir, oldName, newDir, newName, unix.RENAME_NOREPLACE)
}

// Rename renames and replaces what had the new name, atomically. rename(2).
func Rename(oldDir int, oldName string, newDir int, newName string) error {
	return rename("rename", oldDir, oldName, newDir, newName, 0)
}

func rename(op string, oldDir int, oldName string, newDir int, newName string, flags uint) error {
	for _, name := range []string{oldName, newName} {
		if err := CheckName(name); err != nil {
			return pathError(op, name, err)
		}
	}
	err := retry(func() error { return unix.Renameat2(oldDir, oldName, newDir, newName, flags) })
	if err != nil {
		return format.Errorf("%s %q and %q: %w", op, oldName, newName, err)
	}
	return nil
}
