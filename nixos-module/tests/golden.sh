#!/usr/bin/env bash
# Writes the golden files, or looks whether they are current:
#
#   NIXPKGS=... nixos-module/tests/golden.sh write
#   NIXPKGS=... nixos-module/tests/golden.sh check
#   nixos-module/tests/golden.sh valid
#
# "valid" needs no nixpkgs: the configs are valid, and the units are those in
# units/. Needs jq, and nix-instantiate or, for "valid", go.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)

usage() {
	sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
	exit 2
}

# generate DIR writes all set-ups below DIR.
generate() {
	local json setup path text
	json=$(nix-instantiate --eval --strict --json "$here/golden.nix" --arg nixpkgs "${NIXPKGS:?name a tree of nixpkgs}")
	while IFS=$'\t' read -r setup path text; do
		mkdir -p "$(dirname "$1/$setup/$path")"
		base64 -d <<<"$text" >"$1/$setup/$path"
	done < <(jq -r 'to_entries[] | .key as $setup | .value | to_entries[] | [$setup, .key, (.value | @base64)] | @tsv' <<<"$json")
}

# setups DIR lists the set-ups that are directories below DIR.
setups() {
	find "$1" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort
}

write() {
	generate "$1"
	local setup
	for setup in $(setups "$here/golden"); do
		rm -r "${here:?}/golden/$setup"
	done
	cp -r "$1"/. "$here/golden"
}

check() {
	generate "$1"
	diff -r --exclude=setups.nix "$here/golden" "$1" || {
		echo "golden.sh: the golden files are not current; look at the difference, and write them anew" >&2
		return 1
	}
}

valid() {
	local config unit failed=0
	(cd "$repository" && CGO_ENABLED=0 go build -o "$1/ebb" ./cmd/ebb)
	for config in "$here"/golden/*/*/etc/ebb/config.json; do
		"$1/ebb" check "$config" || failed=1
	done
	for unit in "$here"/golden/*/initrd/etc/systemd/system/ebb-*.service; do
		diff "$repository/units/$(basename "$unit")" "$unit" || failed=1
	done
	for unit in "$here"/golden/*/system/etc/systemd/system/ebb-[adps]*.{service,timer}; do
		[[ -f $unit ]] || continue
		diff <(sed 's|/bin/ebb|@ebb@/bin/ebb|' "$repository/units/$(basename "$unit")") "$unit" || failed=1
	done
	return "$failed"
}

case ${1-} in
write | check | valid) ;;
*) usage ;;
esac
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
"$1" "$temporary"
