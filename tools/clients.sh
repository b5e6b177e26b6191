#!/bin/bash
# Installs the drivers and object-relational mappers that test/t/010_clients.pl
# drives: Debian's packages, and npm's as test/clients/package.json pins them.
# What can't be had is told of and left out; that is not an error.
#
# usage: tools/clients.sh FOLDER
#   FOLDER keeps what npm installed from one run to the next.  FOLDER/missing
#   names what is not there, "family reason" a line.  The families are
#   psycopg2, psycopg, sqlalchemy, django, node, prisma, jdbc and hibernate.
# As an ordinary user nothing is installed: what is there is used.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export DEBIAN_FRONTEND=noninteractive
folder=$1
mkdir -p "$folder"
: >"$folder/missing"

have() { command -v "$1" >/dev/null 2>&1; }
missing() {
	printf '%s %s\n' "$1" "$2" >>"$folder/missing"
	say "clients: $1 is left out: $2"
}

# ------------------------------------------------------------ Debian

packages=()
python_module() { /usr/bin/python3 -c "import $1" >/dev/null 2>&1; }
jar() { [ -e "/usr/share/java/$1.jar" ]; }

for module in psycopg2 psycopg sqlalchemy django; do
	python_module "$module" || packages+=("python3-$module")
done
have javac || packages+=(default-jdk-headless)
jar postgresql || packages+=(libpostgresql-jdbc-java)
jar hibernate3 || packages+=(libhibernate3-java)
jar javassist || packages+=(libjavassist-java)
have node || packages+=(nodejs)
have npm || packages+=(npm)

if [ ${#packages[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && have apt-get; then
	apt() {
		apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" </dev/null
	}
	say "clients: installing ${packages[*]}"
	apt update >/dev/null 2>&1 || true
	# One that is not offered must not keep the others from being installed.
	apt install --no-install-recommends "${packages[@]}" >/dev/null 2>&1 ||
		for package in "${packages[@]}"; do
			apt install --no-install-recommends "$package" >/dev/null 2>&1 ||
				warn "clients: apt-get can't install $package"
		done
fi

for module in psycopg2 psycopg sqlalchemy django; do
	python_module "$module" || missing "$module" "/usr/bin/python3 has no module $module"
done
if ! have javac; then
	missing jdbc "no javac"
	missing hibernate "no javac"
elif ! jar postgresql; then
	missing jdbc "no libpostgresql-jdbc-java"
	missing hibernate "no libpostgresql-jdbc-java"
elif ! jar hibernate3 || ! jar javassist; then
	missing hibernate "no libhibernate3-java or libjavassist-java"
fi

# ------------------------------------------------------------ npm

clients=$ROOT/test/clients
stamp=$(cat "$clients/package.json" "$clients/prisma.schema" "${BASH_SOURCE[0]}" | cksum)

# Prisma and TypeORM say which Node.js they need; the others take any.
modern_node() {
	node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}

# No package's script runs, and nothing but packages is fetched.
npm_quiet() {
	timeout 300 npm "$@" --ignore-scripts --no-package-lock --no-audit --no-fund --no-update-notifier \
		--loglevel=error --fetch-retries=1 </dev/null
}

# The program that generates Prisma's client weighs four times what is used
# afterwards, so it has a folder of its own that goes again.  The client needs
# none of Prisma's engines, but "generate" would fetch one all the same if it
# were not told of a file.
prisma_generate() {
	local version
	version=$(node -p 'require(process.argv[1]).dependencies["@prisma/client"]' "$clients/package.json") || return 1
	mkdir -p "$folder/generator"
	cd "$folder/generator"
	echo '{"private": true}' >package.json
	cp "$clients/prisma.schema" .
	npm_quiet install "prisma@$version" "@prisma/client@$version" &&
		CHECKPOINT_DISABLE=1 PRISMA_HIDE_UPDATE_MESSAGE=1 PRISMA_SCHEMA_ENGINE_BINARY=$(type -P true) \
			node_modules/.bin/prisma generate --schema prisma.schema </dev/null
}

npm_install() {
	local generator='' status=0
	rm -rf "$folder/npm" "$folder/generator"
	mkdir -p "$folder/npm"
	cp "$clients/package.json" "$folder/npm/package.json"
	if modern_node; then
		(prisma_generate) >"$folder/prisma.log" 2>&1 &
		generator=$!
	fi
	(cd "$folder/npm" && npm_quiet install) >"$folder/npm.log" 2>&1 || status=1
	if [ -n "$generator" ] && wait "$generator"; then
		mv "$folder/generator/generated" "$folder/npm/generated"
	fi
	rm -rf "$folder/generator"
	[ "$status" = 0 ] && printf '%s\n' "$stamp" >"$folder/npm/stamp"
}

if [ "$(cat "$folder/npm/stamp" 2>/dev/null)" != "$stamp" ]; then
	if [ "$(id -u)" = 0 ] && have npm; then
		say "clients: installing test/clients/package.json"
		npm_install || { tail -n 5 "$folder/npm.log"; rm -rf "$folder/npm"; }
	else
		rm -rf "$folder/npm"
	fi
fi
if ! have node; then
	missing node "no Node.js"
elif [ ! -d "$folder/npm/node_modules/pg" ]; then
	missing node "npm could not install test/clients/package.json; see npm.log in $folder"
else
	modern_node || missing typeorm "needs Node.js 20.19, here is $(node --version)"
	[ -d "$folder/npm/generated" ] ||
		missing prisma "$(modern_node && echo 'prisma generate failed' || echo "needs Node.js 20.19, here is $(node --version)")"
fi
