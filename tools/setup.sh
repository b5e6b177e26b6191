#!/bin/bash
# Installs what building, testing and the demo need and this machine lacks:
# Debian's or Ubuntu's own packages, nothing else.  Creates no cluster and
# touches none that is there.
#
# usage: tools/setup.sh          (as root where something is missing)
# PG_CONFIG=...                  use that PostgreSQL, if it is complete
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
need=()

have() { command -v "$1" >/dev/null 2>&1; }
have_libxml2() {
	if have pkg-config; then
		pkg-config --exists libxml-2.0
	else
		have xml2-config && xml2-config --cflags >/dev/null
	fi
}

have gcc && have make || need+=(build-essential)
have_libxml2 || need+=(libxml2-dev pkg-config)
have prove || need+=(perl)
# TAP tests need it; so does nothing that is installed for use.
perl -MIPC::Run -e 1 2>/dev/null || need+=(libipc-run-perl)
have runuser || need+=(util-linux)

server=
status=0
config=$(find_pg_config) || status=$?
case $status in
	0) ;;
	3) server=unknown ;;
	*) exit 1 ;;
esac

if [ ${#need[@]} -eq 0 ] && [ -z "$server" ]; then
	say "setup: nothing is missing, using $config ($("$config" --version))"
	exit 0
fi

hint="${need[*]}${server:+ postgresql-NN postgresql-server-dev-NN (NN: 15 to 18)}"
have apt-get || die "missing: $hint. This machine has no apt-get; install them with what it has, or set PG_CONFIG."
[ "$(id -u)" = 0 ] || die "missing: $hint. Run this as root (sudo make setup), or install them yourself."

apt() {
	apt-get -q -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef \
		-o DPkg::Lock::Timeout=120 "$@" </dev/null
}
offered() { apt-cache show "$1" >/dev/null 2>&1; }

say "setup: refreshing the package lists"
apt update >/dev/null || warn "setup: apt-get update failed; going on with the lists that are here"

if [ -n "$server" ]; then
	server=
	# A server that is here already is the one to use; else the newest offered.
	for major in $SUPPORTED_MAJORS; do
		if [ -x "/usr/lib/postgresql/$major/bin/postgres" ] && offered "postgresql-server-dev-$major"; then
			server=$major
			break
		fi
	done
	if [ -z "$server" ]; then
		for major in $SUPPORTED_MAJORS; do
			if offered "postgresql-$major" && offered "postgresql-server-dev-$major"; then
				server=$major
				break
			fi
		done
	fi
	[ -n "$server" ] || die "apt offers no PostgreSQL from 15 to 18 with its server-dev package (on Ubuntu it is in universe)"
	need+=("postgresql-server-dev-$server")
	[ -x "/usr/lib/postgresql/$server/bin/postgres" ] || need+=("postgresql-$server")
fi

# Installing a server package creates and starts a cluster named main.  We
# need none, so where postgresql-common is new here it is told so for the time
# of this installation; where it is not new, its owner's setting stands.
createcluster=/etc/postgresql-common/createcluster.conf
case " ${need[*]} " in
	*" postgresql-$server "*)
		if [ ! -e "$createcluster" ]; then
			say "setup: installing postgresql-common"
			apt install --no-install-recommends postgresql-common >/dev/null
			mkdir -p "$(dirname "$createcluster")"
			[ -e "$createcluster" ] || : >"$createcluster"
			cp -p "$createcluster" "$createcluster.before-idflow"
			trap 'mv -f "$createcluster.before-idflow" "$createcluster"' EXIT
			say "setup: $createcluster says create_main_cluster = false while the server is installed"
			printf '\ncreate_main_cluster = false\n' >>"$createcluster"
		else
			say "setup: $createcluster is left as it is; it decides whether the package makes a cluster named main"
		fi
		;;
esac

say "setup: installing ${need[*]}"
apt install --no-install-recommends "${need[@]}" >/dev/null

config=$(find_pg_config) || die "the packages are installed, but no complete PostgreSQL 15 to 18 is found"
for tool in gcc make prove; do
	have "$tool" || die "the packages are installed, but $tool is still missing"
done
say "setup: using $config ($("$config" --version))"
