#!/bin/sh
# Shows what each guarding mechanism is there for: builds regmend without it
# and lets the harness, which is as it is, tell the damage. A trial is as
# expected when there is some.
#
#   chaos/ablate.sh all|none|NAME...
#
# NAME is one of chaos/ablations/NAME.patch, none is regmend as it is, of which
# no damage is expected. SEED, PROJECTS and KINDS are the harness's; without
# KINDS each patch names those that show the damage.
set -eu

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 2; }

cd "$(dirname "$0")/.."
patches=$PWD/chaos/ablations

names() { for patch in "$patches"/*.patch; do basename "$patch" .patch; done; }

kinds_of() { sed -n 's/^kinds: //p' "$patches/$1.patch"; }

[ $# -gt 0 ] || die "usage: chaos/ablate.sh all|none|NAME...; NAME is one of
$(names)"
[ "$*" != all ] || set -- $(names)
for name; do
	[ "$name" = none ] || [ -r "$patches/$name.patch" ] || die "$name is none of
$(names)"
done

folder=$(mktemp -d "${TMPDIR:-/tmp}/regmend-ablate-XXXXXX")
harness=
# shellcheck disable=SC2317 # called by the traps
tidy() {
	[ -z "$harness" ] || { kill "$harness" 2>/dev/null; wait "$harness"; } || :
	rm -rf "$folder"
}
trap tidy EXIT
trap 'exit 130' INT TERM HUP
chmod 711 "$folder" # for servers that do not run as root

build() { (cd "$1" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$2" "$3"); }

# copy takes what git has of the checkout; changes that are not added are left
# out.
copy() {
	rm -rf "$folder/source"
	git checkout-index --all --prefix="$folder/source/"
}

# damage prints the counts below the harness's table, and what was seen.
damage() {
	grep -E '^ *(projects skipped|rows|items|older over|scans repeated|stashed results|cap exceeded|secrets|other promises)|^chaos:' "$1" |
		cut -c 1-300 || :
}

# prepare builds regmend for a trial, and sets what the trial is to be.
prepare() {
	kinds=${KINDS:-} want=0
	copy || return
	if [ "$1" != none ]; then
		(cd "$folder/source" && GIT_CEILING_DIRECTORIES=$folder git apply "$patches/$1.patch") || return
		kinds=${kinds:-$(kinds_of "$1")} want=1
	fi
	build "$folder/source" "$folder/regmend" .
}

trial() {
	prepare "$1" || return
	printf '\n== %s: ' "$1"
	if [ "$1" = none ]; then echo "regmend as it is"; else head -n 1 "$patches/$1.patch"; fi
	printf 'KINDS=%s SEED=%s PROJECTS=%s\n' "$kinds" "${SEED:-1}" "${PROJECTS:-4000}"
	TMPDIR=$folder "$folder/chaos" -regmend="$folder/regmend" -kinds="$kinds" -minutes=1 \
		-seed="${SEED:-1}" -projects="${PROJECTS:-4000}" >"$folder/$1.log" 2>&1 &
	harness=$! got=0
	wait "$harness" || got=$?
	harness=
	damage "$folder/$1.log"
	[ "$got" != "$want" ] || return 0
	say "$1: exit code $got instead of $want:"
	cat "$folder/$1.log" >&2
	return 1
}

copy
build "$folder/source" "$folder/chaos" ./chaos
failed=
for name; do
	trial "$name" || failed="$failed $name"
done
[ -z "$failed" ] || { say "Not as expected:$failed"; exit 1; }
