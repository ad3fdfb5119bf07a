package powercut

import (
	"crypto/aes"
	"fmt"

	"golang.org/x/crypto/xts"
)

// Encryption is how the disk of another machine is encrypted: with AES in the mode
// xts-plain64, as cryptsetup(8) does by default and the kernel's dm-crypt carries
// out. Each sector is encrypted alone and in its place, so a log of what was
// written to the encrypted disk is one of what was written to the file system,
// with the same cuts.
type Encryption struct {
	Key        []byte // of the volume, for AES and for the tweak: 32 or 64 bytes
	Offset     int64  // where the file system begins on the disk, in bytes
	SectorSize int    // that of dm-crypt, in bytes
}

// decrypter decrypts what lies on a disk.
type decrypter struct {
	Encryption
	cipher *xts.Cipher
}

func newDecrypter(e *Encryption) (*decrypter, error) {
	if e.SectorSize < sectorSize || e.SectorSize&(e.SectorSize-1) != 0 || e.Offset%int64(e.SectorSize) != 0 {
		return nil, fmt.Errorf("an encrypted disk with sectors of %d bytes from byte %d on", e.SectorSize, e.Offset)
	}
	cipher, err := xts.NewCipher(aes.NewCipher, e.Key)
	if err != nil {
		return nil, fmt.Errorf("the key of an encrypted disk: %w", err)
	}
	return &decrypter{*e, cipher}, nil
}

// decrypt decrypts data that lies at the offset of the file system, in place. The
// number of a sector counts 512 bytes, however large the sectors are (the dm-crypt
// option iv_large_sectors, which LUKS2 does not use).
func (d *decrypter) decrypt(data []byte, offset int64) error {
	if offset%int64(d.SectorSize) != 0 || len(data)%d.SectorSize != 0 {
		return fmt.Errorf("%d bytes at %d are not whole sectors of an encrypted disk", len(data), offset)
	}
	for at := 0; at < len(data); at += d.SectorSize {
		sector := data[at : at+d.SectorSize]
		d.cipher.Decrypt(sector, sector, uint64(offset+int64(at))/sectorSize)
	}
	return nil
}

// decryptRecords makes a log of the encrypted disk one of the file system. What is
// written in front of that, to the LUKS header, is none of its.
func (d *decrypter) decryptRecords(records []Record) ([]Record, error) {
	var plain []Record
	for _, r := range records {
		if r.Kind == Write {
			if r.Offset < uint64(d.Offset) {
				continue
			}
			r.Offset -= uint64(d.Offset)
			if err := d.decrypt(r.Data, int64(r.Offset)); err != nil {
				return nil, err
			}
		}
		plain = append(plain, r)
	}
	return plain, nil
}
