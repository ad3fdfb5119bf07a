package powercut

import (
	"bufio"
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Case is all that is needed to make one state of a disk again.
type Case struct {
	Scenario string
	Size     int64 // of each device of the disk
	State    string
	Reason   string
	First    []Record   // the disk before the recording
	Logs     [][]Record // of the recording, of the recovery from the first cut, ...
}

// contents describes the disk as the writes of what is not zero on it.
func (d *Disk) contents() ([]Record, error) {
	spans, err := d.written()
	if err != nil {
		return nil, err
	}
	var records []Record
	zeros := make([]byte, blockSize)
	for _, s := range spans {
		for at := s.start; at < s.end; at += blockSize {
			if block := d.image[at : at+blockSize]; !bytes.Equal(block, zeros) {
				records = append(records, Record{Write, uint64(at), bytes.Clone(block)})
			}
		}
	}
	return records, nil
}

// keepCase writes the case into a file and returns its path. Logs are kept up
// to where they are cut.
func keepCase(dir string, c *Case) (string, error) {
	story, err := ParseStory(c.State)
	if err != nil {
		return "", err
	}
	for i, cut := range story {
		c.Logs[i] = c.Logs[i][:cut.Position]
	}
	name := fmt.Sprintf("%s-%s.case", c.Scenario, strings.NewReplacer("/", "_", ":", "-").Replace(c.State))
	path := filepath.Join(dir, name)
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	buffered := bufio.NewWriterSize(file, 1<<20)
	return path, errors.Join(gob.NewEncoder(buffered).Encode(c), buffered.Flush(), file.Close())
}

func readCase(path string) (*Case, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	c := &Case{}
	if err := gob.NewDecoder(bufio.NewReaderSize(file, 1<<20)).Decode(c); err != nil {
		return nil, fmt.Errorf("read case %s: %w", path, err)
	}
	return c, nil
}

// Replay makes the state of a case again and judges it. reason is what is
// wrong, nil when nothing is.
func Replay(path, workDir string) (c *Case, reason, err error) {
	if c, err = readCase(path); err != nil {
		return nil, nil, err
	}
	scenario, err := FindScenario(c.Scenario)
	if err != nil {
		return nil, nil, err
	}
	scenario.Size = c.Size
	m, err := newMachine(&scenario, workDir)
	if err != nil {
		return nil, nil, err
	}
	reason, err = m.replay(c)
	return c, reason, errors.Join(err, m.close())
}

func (m *machine) replay(c *Case) (reason, err error) {
	for _, w := range c.First {
		copy(m.disk.image[w.Offset:], w.Data)
	}
	story, err := ParseStory(c.State)
	if err != nil || len(story) != len(c.Logs) {
		return nil, errors.Join(err, fmt.Errorf("%d logs for %d cuts", len(c.Logs), len(story)))
	}
	x, err := newExplorer(m, Budget{})
	if err != nil {
		return nil, err
	}
	known := scenarioKnowledge(m.scenario)
	var s *stage
	for i, cut := range story {
		s = &stage{records: c.Logs[i], known: known}
		if err := x.advance(s, cut.Position); err != nil {
			return nil, err
		}
		x.subset(s.pending, cut.Seed)
	}
	_, reason, err = x.judge(s, story[len(story)-1])
	return m.nameless(reason), err
}

// checkFileSystem lets btrfs check look at some of the states.
func (x *explorer) checkFileSystem(story Story) error {
	if x.budget.Checks == 0 || x.machine.hasStoreDisk() || x.random.IntN(x.budget.Checks) != 0 {
		return nil
	}
	if err := x.machine.disk.Forget(); err != nil {
		return err
	}
	x.machine.disk.reset()
	x.result.Checks++
	output, err := exec.Command("btrfs", "check", "--readonly", x.machine.disk.newest()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("btrfs check of state %s: %w\n%s", story, err, output)
	}
	return nil
}
