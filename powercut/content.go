package powercut

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
)

// A generation is what the programs of one boot have written to a root: files
// whose contents follow from its number, so that a root tells which it is and
// whether it is whole.

// generationFile is written first.
const generationFile = "generation"

// fresh is the number of a root that nothing was written to.
const fresh = -1

type file struct {
	path string
	data []byte
}

// contents remembers the files of each generation, which are asked for in every
// state of the disk.
type contents struct {
	scenario *Scenario
	files    map[contentsKey][]file
}

type contentsKey struct {
	member     string
	generation int
}

func newContents(scenario *Scenario) *contents {
	return &contents{scenario, map[contentsKey][]file{}}
}

func (c *contents) of(member string, generation int) []file {
	key := contentsKey{member, generation}
	if c.files[key] == nil {
		c.files[key] = c.scenario.generationFiles(member, generation)
	}
	return c.files[key]
}

// noiseSize is that of a file which cannot be compressed. What is less than a mebibyte in a row has to wait twice for
// discard=async (BTRFS_ASYNC_DISCARD_MAX_FILTER in fs/btrfs/discard.h).
func (s *Scenario) noiseSize() int {
	if s.Rest > 0 {
		return 3 << 19
	}
	return 9000
}

// generationFiles are the files of a generation in a subvolume.
func (s *Scenario) generationFiles(member string, generation int) []file {
	if member == applicationMember {
		return applicationFiles(generation, ".")
	}
	files := []file{{generationFile, []byte(strconv.Itoa(generation))}}
	if member != "root" {
		return append(files, file{"doc", repeated(generation, 5000)})
	}
	files = append(files,
		file{"etc/conf", repeated(generation, 300)},         // lies in the tree itself
		file{"var/data", repeated(generation, 20000)},       // can be compressed
		file{"var/noise", noise(generation, s.noiseSize())}, // cannot
		file{"srv/inner", repeated(generation, 100)},        // in a subvolume inside
	)
	return append(files, applicationFiles(generation, "var/lib/"+applicationName(generation))...)
}

// applicationMember stands for the directory of the application alone.
const applicationMember = "application"

// applicationName is the directory that the next boot has an entry for.
func applicationName(generation int) string { return fmt.Sprintf("app%d", generation) }

func applicationFiles(generation int, dir string) []file {
	files := []file{{dir + "/db", noise(generation+1000, 9000)}, {dir + "/sub/small", repeated(generation, 40)}}
	for i := range 6 {
		files = append(files, file{fmt.Sprintf("%s/sub/file%d", dir, i), repeated(generation+i, 1000*i)})
	}
	return files
}

func repeated(generation, size int) []byte {
	line := fmt.Appendf(nil, "generation %d of a root\n", generation)
	return bytes.Repeat(line, size/len(line)+1)[:size]
}

func noise(generation, size int) []byte {
	random := rand.New(rand.NewPCG(uint64(generation), 1))
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

// writeGeneration writes one into the live subvolume dir.
func (c *contents) writeGeneration(dir, member string, generation int) error {
	if member == "root" {
		if err := makeSubvolume(dir, "srv"); err != nil {
			return err
		}
	}
	for _, f := range c.of(member, generation) {
		path := filepath.Join(dir, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// readGeneration tells which generation is in the subvolume, fresh for none.
func readGeneration(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, generationFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return fresh, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

// checkFiles demands that all of the files are there, whole.
func checkFiles(dir string, files []file) error {
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.path))
		if err != nil {
			return fmt.Errorf("not whole: %w", err)
		}
		if !bytes.Equal(data, f.data) {
			return fmt.Errorf("not whole: %s has %d bytes and not its %d", f.path, len(data), len(f.data))
		}
	}
	return nil
}

// versionFile is in a blank and in all that is made from it.
const versionFile = "version"

// checkFresh demands that nothing of any generation is in the subvolume. Empty
// directories that entries are mounted on may be.
func checkFresh(dir, version string) error {
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch name, _ := filepath.Rel(dir, path); {
		case name == versionFile && version != "", name == syncedFile, name == syncedTemporary:
			return nil
		default:
			return fmt.Errorf("not fresh: it holds %s", name)
		}
	})
	if err != nil || version == "" || version == anyVersion {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, versionFile))
	if err != nil {
		return fmt.Errorf("not fresh: %w", err)
	}
	if string(text) != version {
		return fmt.Errorf("not fresh: made from the blank of %q, and the blank is %q", text, version)
	}
	return nil
}

// anyVersion is the version of a fresh root from any blank.
const anyVersion = "any"

// syncedFile is a file that is copied in and back, and syncedTemporary what it
// is called before it is whole.
const (
	syncedFile      = "etc/adjtime"
	syncedTemporary = "etc/.adjtime.ebb-new"
)

func syncedText(version int) []byte { return repeated(version, 200+version) }

// parseSynced returns the version of a copy, an error when it is not whole.
func parseSynced(data []byte) (int, error) {
	words := strings.Fields(string(data))
	if len(words) < 2 {
		return 0, fmt.Errorf("not whole: %d bytes", len(data))
	}
	version, err := strconv.Atoi(words[1])
	if err != nil || !bytes.Equal(data, syncedText(version)) {
		return 0, fmt.Errorf("not whole: %d bytes that begin with %.30q", len(data), data)
	}
	return version, nil
}

func makeSubvolume(dir, name string) error {
	fd, err := openDirectory(dir)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return btrfs.CreateSubvolume(fd, name)
}

func openDirectory(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// subvolume returns what btrfs knows of the subvolume at path.
func subvolume(path string) (btrfs.SubvolumeInfo, error) {
	fd, err := openDirectory(path)
	if err != nil {
		return btrfs.SubvolumeInfo{}, err
	}
	defer unix.Close(fd)
	return btrfs.Info(fd)
}

// commit makes all that was written to the file system of path durable.
func commit(path string) error {
	fd, err := openDirectory(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return btrfs.Sync(fd)
}
