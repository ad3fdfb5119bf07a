package main

import "fmt"

// thing is a file that the demo writes in the machine.
type thing struct {
	path string
	what string // for the user
	// write is the rest of a command of sh(1) that makes it; $f is the path. Empty: one line of text.
	write string
}

// lost are files that no entry of the config covers.
func lost() []thing {
	return []thing{
		{path: "/root/notes.txt", what: "a file in root's home"},
		{path: "/etc/junk.conf", what: "what some program left in /etc"},
		{path: "/opt/tool/bin/tool", what: "what an installer put into /opt"},
		{path: "/var/images/disk.img", what: "a file in a subvolume of its own, nested in the root", write: `btrfs -q subvolume create "${f%/*}"; echo image > "$f"`},
	}
}

// kept are files in places that the config names.
func kept() []thing {
	return []thing{
		{path: "/home/gabriel/.ssh/id_ed25519", what: "a user's ssh key", write: `umask 077; echo key > "$f"; chown gabriel:users "$f"`},
		{path: "/var/log/app.log", what: "a log file", write: `echo started > "$f"; chmod 0640 "$f"`},
		{path: "/var/lib/tally/note", what: "the state of a service", write: `echo state > "$f"; chown nobody "$f"`},
		{path: "/etc/ssh/ssh_host_ed25519_key", what: "the machine's ssh key, a link to the store", write: `umask 077; echo host > "$f"`},
		{path: "/etc/machine-id", what: "the machine's id, made by systemd in this boot", write: `:`},
	}
}

// script writes things.
func script(things []thing) string {
	text := ""
	for _, t := range things {
		write := t.write
		if write == "" {
			write = `mkdir -p "${f%/*}"; echo "written in boot 1" > "$f"`
		}
		text += fmt.Sprintf("f=%s; ( %s )\n", t.path, write)
	}
	return text
}

func paths(things []thing) []string {
	var list []string
	for _, t := range things {
		list = append(list, t.path)
	}
	return list
}
