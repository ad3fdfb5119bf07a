package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ebb-nix/ebb/vmtest/internal/debian"
)

// luksReserve is what cryptsetup-reencrypt(8) asks for at the end of a device to encrypt it in place: twice the LUKS2
// header, of which one half is left over.
const luksReserve = 32 * mib

// LogicalVolume puts a file system into the only logical volume of an LVM group.
type LogicalVolume struct {
	Group, Name string
}

// wrap puts the layers below the file system around its image, the innermost first.
func wrap(ctx context.Context, tools debian.Tree, spec Spec, image, scratch string) error {
	if spec.Volume.Name != "" {
		if err := writeLVM(image, spec.Volume); err != nil {
			return fmt.Errorf("make logical volume %s/%s: %w", spec.Volume.Group, spec.Volume.Name, err)
		}
	}
	if spec.Passphrase != "" {
		if err := encrypt(ctx, tools, image, spec.Passphrase, scratch); err != nil {
			return fmt.Errorf("encrypt file system %s: %w", spec.Label, err)
		}
	}
	return nil
}

// encrypt turns an image into a LUKS2 device with the same contents. All of it is done in user space: a file that is
// not in use needs no device-mapper. The key derivation is as cheap as cryptsetup allows, for an emulated processor to
// repeat.
func encrypt(ctx context.Context, tools debian.Tree, image, passphrase, scratch string) error {
	st, err := os.Stat(image)
	if err != nil {
		return err
	}
	if err := os.Truncate(image, st.Size()+luksReserve); err != nil {
		return err
	}
	key := filepath.Join(scratch, "key")
	if err := os.WriteFile(key, []byte(passphrase), 0o600); err != nil {
		return err
	}
	out, err := tools.Command(
		ctx, "usr/sbin/cryptsetup", "reencrypt", "--encrypt", "--batch-mode", "--type", "luks2",
		"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", key,
		"--reduce-device-size", fmt.Sprint(luksReserve), "--resilience", "none", image,
	).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cryptsetup reencrypt: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return os.Remove(key)
}
