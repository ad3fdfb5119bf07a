package main

// shellScript brings entries into place as scripts do that are found in many
// configurations: two processes for each. Arguments: ROOT STORE COUNT.
const shellScript = `set -eu
i=0
while [ "$i" -lt "$3" ]; do
  mkdir -p "$2/d$i" "$1/d$i"
  mount --bind "$2/d$i" "$1/d$i"
  i=$((i + 1))
done
`

// tmpfilesScript makes all directories by one process, and the mounts by one
// each, as mount units do. Arguments: ROOT STORE COUNT RULES.
const tmpfilesScript = `set -eu
systemd-tmpfiles --create "$4"
i=0
while [ "$i" -lt "$3" ]; do
  mount --bind "$2/d$i" "$1/d$i"
  i=$((i + 1))
done
`

// moveScript is the script of impermanence's README, on days when no old root
// is due: the old root is moved aside and a new one made. Arguments: DEVICE
// DIRECTORY.
const moveScript = `set -eu
mkdir -p "$2"
mount -o subvol=/ "$1" "$2"
if [ -e "$2/@" ]; then
  mkdir -p "$2/@roots"
  timestamp=$(date --date="@$(stat -c %Y "$2/@")" "+%Y-%m-%-d_%H:%M:%S")
  mv "$2/@" "$2/@roots/$timestamp"
fi
for i in $(find "$2/@roots/" -mindepth 1 -maxdepth 1 -mtime +30); do
  btrfs subvolume delete "$i"
done
btrfs subvolume create "$2/@"
umount "$2"
`

// deleteScript deletes the old root with all subvolumes in it and takes a
// snapshot of an empty one, the oldest recipe of all. Arguments: DEVICE
// DIRECTORY.
const deleteScript = `set -eu
mkdir -p "$2"
mount -o subvol=/ "$1" "$2"
btrfs subvolume list -o "$2/@" | cut -f 9- -d ' ' | while read -r nested; do
  btrfs subvolume delete "$2/$nested"
done
btrfs subvolume delete "$2/@"
btrfs subvolume snapshot "$2/@blank" "$2/@"
umount "$2"
`
