package powercut

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/xts"
)

// Vector 1 of IEEE Std 1619-2007, annex B: 32 bytes of zeros in sector 0.
func TestDecryptVector(t *testing.T) {
	encrypted, err := hex.DecodeString("917cf69ebd68b2ec9b9fe9a3eadda692cd43d2f59598ed858c02c2652fbf922e")
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDecrypter(&Encryption{Key: make([]byte, 32), SectorSize: sectorSize})
	if err != nil {
		t.Fatal(err)
	}
	sector := append(encrypted, make([]byte, sectorSize-len(encrypted))...)
	if err := d.decrypt(sector, 0); err != nil {
		t.Fatal(err)
	}
	if !isZero(sector[:32]) {
		t.Errorf("the vector is decrypted to %x", sector[:32])
	}
}

// encryptedDisk is an image whose file system begins behind a header, and the
// contents of that.
func encryptedDisk(t *testing.T, e *Encryption) (image string, plain []byte) {
	t.Helper()
	cipher, err := xts.NewCipher(aes.NewCipher, e.Key)
	if err != nil {
		t.Fatal(err)
	}
	plain = noise(1, 4*blockSize)
	clear(plain[blockSize : 2*blockSize]) // never written
	disk := append(bytes.Repeat([]byte{7}, int(e.Offset)), plain...)
	for at := 0; at < len(plain); at += e.SectorSize {
		sector := disk[int(e.Offset)+at:][:e.SectorSize]
		if !isZero(sector) {
			cipher.Encrypt(sector, sector, uint64(at/sectorSize))
		}
	}
	image = filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	return image, plain
}

// The disk is read as dm-crypt would, with small sectors and with large ones, and
// what was written to it is the same.
func TestEncryptedBoot(t *testing.T) {
	for _, sectors := range []int{512, 4096} {
		e := &Encryption{Key: noise(2, 64), Offset: 2 * blockSize, SectorSize: sectors}
		path, plain := encryptedDisk(t, e)
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		d, err := newDecrypter(e)
		if err != nil {
			t.Fatal(err)
		}
		image := make([]byte, len(plain))
		if err := (&bootDisk{image: file, offset: e.Offset, decrypter: d}).copyTo(image); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(image, plain) {
			t.Errorf("sectors of %d bytes: the disk is read as another one", sectors)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		records, err := d.decryptRecords([]Record{
			{Kind: Mark}, {Write, 0, raw[:blockSize]}, {Write, uint64(e.Offset + 2*blockSize), raw[e.Offset+2*blockSize:]}, {Kind: Flush},
		})
		if err != nil || len(records) != 3 || records[0].Kind != Mark || records[2].Kind != Flush ||
			records[1].Offset != 2*blockSize || !bytes.Equal(records[1].Data, plain[2*blockSize:]) {
			t.Errorf("sectors of %d bytes: the log is read as another one: %v", sectors, err)
		}
		if _, err := d.decryptRecords([]Record{{Write, uint64(e.Offset), raw[:100]}}); err == nil {
			t.Error("a write of a part of a sector is taken for one")
		}
	}
}

func TestBadEncryption(t *testing.T) {
	for name, e := range map[string]Encryption{
		"no key":         {SectorSize: 512},
		"a short key":    {Key: make([]byte, 20), SectorSize: 512},
		"small sectors":  {Key: make([]byte, 64), SectorSize: 256},
		"uneven sectors": {Key: make([]byte, 64), SectorSize: 1000},
		"uneven offset":  {Key: make([]byte, 64), SectorSize: 4096, Offset: 512},
	} {
		if _, err := newDecrypter(&e); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
