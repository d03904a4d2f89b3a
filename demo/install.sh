#!/bin/sh
# Sees to it that the programs named as arguments are installed. Debian's and
# Ubuntu's packages start their services and make a database cluster when they
# are installed; here they are kept from both.
set -eu

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

has() {
	command -v "$1" >/dev/null && return
	# Debian keeps these out of PATH.
	for path in /usr/sbin/"$1" /usr/lib/postgresql/*/bin/"$1"; do
		[ -x "$path" ] && return
	done
	return 1
}

debian_packages() {
	case $1 in
	initdb) echo postgresql ;;
	gcc) echo gcc libc6-dev ;;
	*) echo "$1" ;;
	esac
}

brew_packages() {
	case $1 in
	initdb) echo postgresql@17 ;;
	redis-server | redis-sentinel) echo redis ;;
	docker-registry) ;; # not packaged, see install_registry
	*) echo "$1" ;;
	esac
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_debian() {
	packages=$(for program in $missing; do debian_packages "$program"; done | sort -u | tr '\n' ' ')
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
		die "Please install, as root: apt-get install $packages"
	say "Installing the Debian packages $packages"
	say "(their services are not started and no database cluster is created)."
	# One shell as root does it, so that it also tidies up when interrupted.
	as_root env DEBIAN_FRONTEND=noninteractive sh -eu -c "$install_quietly" install $packages >&2
}

# shellcheck disable=SC2016 # expanded by the shell that runs it
install_quietly='
policy=/usr/sbin/policy-rc.d
clusters=/etc/postgresql-common/createcluster.conf
wrote_policy= saved=

restore() {
	[ -z "$wrote_policy" ] || rm -f "$policy"
	[ -z "$saved" ] || { cat "$saved" >"$clusters"; rm -f "$saved"; }
	wrote_policy= saved=
}
trap restore EXIT
trap "exit 130" INT TERM HUP

apt() { apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" </dev/null; }

if [ ! -e "$policy" ]; then
	wrote_policy=yes
	printf "#!/bin/sh\nexit 101\n" >"$policy"
	chmod 755 "$policy"
fi
apt update
case " $* " in *" postgresql "*)
	# Brings the file in which creating a cluster can be switched off.
	apt install --no-install-recommends postgresql-common
	saved=$(mktemp)
	cat "$clusters" >"$saved"
	echo "create_main_cluster = false" >>"$clusters"
esac
apt install --no-install-recommends "$@"
'

install_brew() {
	packages=$(for program in $missing; do brew_packages "$program"; done | sort -u | tr '\n' ' ')
	if [ -n "${packages# }" ]; then
		say "Installing with brew: $packages"
		brew install $packages >&2
	fi
	case " $missing " in *" docker-registry "*) install_registry ;; esac
}

# CNCF Distribution is in few package collections, but is a Go program.
install_registry() {
	version=v3.0.0
	say "Building docker-registry, CNCF Distribution $version, into .cache/bin."
	GOBIN=$PWD/.cache/bin go install "github.com/distribution/distribution/v3/cmd/registry@$version"
	mv .cache/bin/registry .cache/bin/docker-registry
}

cd "$(dirname "$0")/.."
PATH=$PATH:$PWD/.cache/bin

missing=
for program; do
	has "$program" || missing="$missing $program"
done
[ -n "$missing" ] || exit 0

if [ -e /opt/gitlab ] || command -v gitlab-rails >/dev/null; then
	die "Missing:$missing. A GitLab is installed here, and nothing is installed beside it:
please use another machine, or install these by hand."
elif command -v apt-get >/dev/null; then
	install_debian
elif command -v brew >/dev/null; then
	install_brew
else
	die "Missing:$missing. Please install them and put them in PATH; this script can on
Debian and Ubuntu (apt-get) and where there is brew."
fi

for program in $missing; do
	has "$program" || die "$program is still missing."
done
