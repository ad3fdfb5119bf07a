package reboot

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/daily.md is a story that a machine lives through: what stands at a prompt
// in its blocks is run, and must print what the page says, but for numbers and
// times. Comments in it do what the reader has done meanwhile:
//
//	<!-- run: SHELL SCRIPT -->
//	<!-- reboot -->
//
// EBB_UPDATE=1 writes what is printed into the page.
const dailyPage = "../../docs/daily.md"

// prompt is the one that NixOS has.
const prompt = "[root@laptop:~]# "

// passage is a part of the page: text that is only read, a command with what it
// prints, or a comment with what is to be done.
type passage struct {
	text    string // as it is in the page, but for the output
	command string // at a prompt
	output  string // of the command
	action  string // of a comment: run, reboot
	operand string
}

// parseStory takes the page apart, so that its passages make the page again.
func parseStory(page string) (story []passage) {
	inBlock := false
	for len(page) > 0 {
		if rest, ok := strings.CutPrefix(page, "<!--"); ok && !inBlock {
			comment, _, _ := strings.Cut(rest, "-->")
			action, operand, _ := strings.Cut(strings.TrimSpace(comment), ":")
			end := len("<!--") + len(comment) + len("-->")
			story = append(story, passage{text: page[:end], action: action, operand: strings.TrimSpace(operand)})
			page = page[end:]
			continue
		}
		line, rest, _ := strings.Cut(page, "\n")
		command, atPrompt := strings.CutPrefix(line, prompt)
		switch {
		case strings.HasPrefix(line, "```"):
			inBlock = !inBlock
			story = append(story, passage{text: line + "\n"})
		case inBlock && atPrompt:
			story = append(story, passage{text: line + "\n", command: command})
		case inBlock && len(story) > 0 && story[len(story)-1].command != "":
			story[len(story)-1].output += line + "\n"
		default:
			story = append(story, passage{text: line + "\n"})
		}
		page = rest
	}
	return story
}

// page puts the passages together again.
func page(story []passage) string {
	var text strings.Builder
	for _, p := range story {
		text.WriteString(p.text)
		text.WriteString(p.output)
	}
	return strings.ReplaceAll(text.String(), "\n\n```\n", "\n```\n")
}

// What differs from run to run: numbers with their units, how many, the width of
// columns and the bars that are drawn with them.
var (
	digits = regexp.MustCompile(`[0-9][0-9.,:+-]*`)
	unit   = regexp.MustCompile(`0 ?(B|[kKMG]i?B|ms|s|min|h|d|[a-z]+)\b`)
	blanks = regexp.MustCompile(` {2,}`)
)

// shape is what is the same in every run.
func shape(output string) string {
	var lines []string
	for line := range strings.Lines(output) {
		line = digits.ReplaceAllString(strings.TrimSpace(line), "0")
		line = unit.ReplaceAllString(line, "0 u")
		lines = append(lines, blanks.ReplaceAllString(line, " "))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func TestStory(t *testing.T) {
	const text = "# Title\n\n<!-- run: echo a\necho b -->\n```console\n" + prompt + "ebb one\nfirst  5.2 MiB\n\n" + prompt + "ebb two\n```\n<!-- reboot -->\nend\n"
	story := parseStory(text)
	if got := page(story); got != text {
		t.Errorf("the passages make %q", got)
	}
	var did []string
	for _, p := range story {
		did = append(did, p.command, p.action, p.operand)
	}
	if got, want := strings.Join(strings.Fields(strings.Join(did, " ")), " "), "run echo a echo b ebb one ebb two reboot"; got != want {
		t.Errorf("done was %q, want %q", got, want)
	}
	if shape("a  12 kB  3 files\n") != shape("a 9.5 MiB 1 file") || shape("a 1 root") == shape("b 1 root") {
		t.Error("shape takes too much or too little away")
	}
}

// A week with ebb: each thing that docs/daily.md shows is done, and shows that.
func TestDaily(t *testing.T) {
	data, err := os.ReadFile(dailyPage)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, dailyStores))
	m.up(m.Boot)
	story := parseStory(string(data))
	for i := range story {
		m.live(&story[i])
	}
	m.Off()
	if os.Getenv("EBB_UPDATE") == "1" {
		if err := os.WriteFile(dailyPage, []byte(page(story)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// live does what a passage says.
func (m *machine) live(p *passage) {
	m.t.Helper()
	switch {
	case p.action == "run":
		m.Shell(p.operand)
	case p.action == "reboot":
		m.up(m.Reboot)
	case p.command != "":
		r := m.Try("sh", "-c", "cd /root && "+p.command+" 2>&1")
		if shape(r.Stdout) != shape(p.output) && os.Getenv("EBB_UPDATE") != "1" {
			m.t.Errorf("%s prints\n%s\nthe page has\n%s", p.command, r.Stdout, p.output)
		}
		p.output = strings.TrimRight(r.Stdout, "\n") + "\n\n"
	}
}

// dailyStores is what is kept on the machine of the story.
const dailyStores = `"/persist": {"directories": [{"path": "/var/log"}, {"path": "/var/lib/nixos"}], "files": [{"path": "/etc/machine-id", "how": "sync"}]}`
