package powercut

import (
	"fmt"
	"strings"
)

// Cut is one power cut: behind a record of the log, with what of the unflushed
// writes is on the disk.
type Cut struct {
	Position int    // how many records were written
	Seed     uint64 // 0: all writes are on the disk; else which are, and which are torn
}

// Story is a state of the disk: a cut of the recording, then perhaps one of the
// recovery from it, and so on.
type Story []Cut

func (s Story) String() string {
	var parts []string
	for _, c := range s {
		parts = append(parts, fmt.Sprintf("%d:%d", c.Position, c.Seed))
	}
	return strings.Join(parts, "/")
}

// ParseStory reads what [Story.String] has written.
func ParseStory(text string) (Story, error) {
	var story Story
	for part := range strings.SplitSeq(text, "/") {
		var c Cut
		if _, err := fmt.Sscanf(part, "%d:%d", &c.Position, &c.Seed); err != nil {
			return nil, fmt.Errorf("read state %q: want POSITION:SEED, and more of them behind slashes: %w", text, err)
		}
		story = append(story, c)
	}
	return story, nil
}
