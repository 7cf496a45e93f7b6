#!/usr/bin/env bash
# What is handed out, into dist/: packages, archives, what is in them (SBOM), sums, and a signature of the sums. packaging/README.md
# says what to do with them. The tools are fetched or built once, into the cache.
#
#   dist.sh                            all of it; DIST_KEY names minisign's secret key
#   dist.sh packages FROM TO [FLAG…]   packages alone, of those of our programs that are in the folder FROM; FLAGs are cargo-deb's
set -euo pipefail
cd "$(dirname "$0")/.."

programs=(node-exporter cassandra-exporter traefik-exporter alert-router provisioner)
target=x86_64-unknown-linux-gnu
glibc=2.28
cache=${SCALAR_DL_MONITORING_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/scalar-dl-monitoring}
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
BUILD_REVISION=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
export SOURCE_DATE_EPOCH BUILD_REVISION
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "dist: $*" >&2; }
die() { say "$*"; exit 1; }

# A tool of crates.io, by the name of its program; and what cargo is told for it.
tool() {
	local name=$1 version=$2 program=$3 root=$cache/cargo/$1-$2
	shift 3
	if [ ! -x "$root/bin/$program" ]; then
		say "$name $version is not on this machine: building it (some minutes, once)"
		cargo install --quiet --locked --root "$root" "$@" "$name@$version" || die "$name does not build"
	fi
	PATH=$root/bin:$PATH
}

# The compiler and linker that knows older releases of glibc.
zig() {
	local version=0.17.1 list=$PWD/scripts/ziglang.txt root
	root=$cache/pypi/ziglang/$version
	if [ ! -x "$root/ziglang/zig" ]; then
		say "zig $version is not on this machine: fetching it from PyPI"
		(
			cd "$work"
			python3 -m pip --no-input --disable-pip-version-check download --quiet --no-deps --only-binary=:all: \
				--require-hashes --requirement="$list" --dest=wheels
			python3 -m zipfile -e wheels/*.whl zig
		) || die "cannot fetch zig: Python with pip is needed (apt-get install python3-pip)"
		chmod +x "$work/zig/ziglang/zig"
		mkdir -p "${root%/*}"
		mv -T "$work/zig" "$root"
	fi
	export CARGO_ZIGBUILD_ZIG_PATH=$root/ziglang/zig
}

# The programs, into a folder.
build() {
	local program
	tool cargo-zigbuild 0.24.1 cargo-zigbuild
	zig
	# Paths of this machine stand in no program. Zig's linker would strip the symbols, too: their names are wanted in backtraces.
	RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo --remap-path-prefix=$PWD=." CARGO_PROFILE_RELEASE_STRIP=none \
		cargo zigbuild --release --locked --target "$target.$glibc" "${programs[@]/#/--package=}"
	mkdir "$1"
	for program in "${programs[@]}"; do strip --strip-debug -o "$1/$program" "target/$target/release/$program"; done
}

# Fails when a program in this folder would not start on that glibc.
old_enough() {
	local program needs
	for program in "${programs[@]}"; do
		needs=$(readelf --version-info "$1/$program" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)
		say "$program needs glibc ${needs#GLIBC_}"
		[ "$(printf '%s\n' "GLIBC_$glibc" "$needs" | sort -V | tail -n 1)" = "GLIBC_$glibc" ] ||
			die "$program needs glibc ${needs#GLIBC_}, and is to run on $glibc: readelf --version-info $1/$program shows what for"
	done
}

packages() {
	local from=$1 to=$2 program
	shift 2
	tool cargo-deb 3.8.0 cargo-deb --no-default-features --features=static-lzma
	# cargo-deb takes programs from the folder `release` of a folder of targets.
	mkdir "$work/target"
	ln -s "$(realpath "$from")" "$work/target/release"
	for program in "${programs[@]}"; do
		[ -x "$from/$program" ] || continue
		CARGO_TARGET_DIR=$work/target cargo deb --quiet --locked --no-build --no-strip --package="$program" --output="$to" "$@"
	done
}

# The files of a package in one folder, for systems without dpkg and for programs below /usr/local.
archive() {
	local program=$1 package=$2 folder file
	folder=$program-$version-x86_64-linux
	mkdir -p "$work/archives/$folder"
	dpkg-deb --extract "$package" "$work/tree"
	(
		cd "$work/archives/$folder"
		# Those that would have the same name.
		for file in default/"$program" sysusers.d/"$program.conf" tmpfiles.d/"$program.conf"; do
			find "$work/tree" -path "*/$file" -exec mv {} "$program.${file%%[./]*}" \;
		done
		rm "$work/tree/usr/share/doc/$program/copyright"
		find "$work/tree" -type f -exec mv --no-clobber -t . {} +
		[ -z "$(find "$work/tree" -type f)" ] || die "two files of $package have the same name"
		find . -name '*.service' -exec sed -i 's|=/usr/bin/|=/usr/local/bin/|' {} +
	)
	rm -r "$work/tree"
	cp LICENSE "$work/archives/$folder/"
	tar --create --directory="$work/archives" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
		--mode=u=rwX,go=rX --format=gnu "$folder" | gzip --best --no-name >"dist/$folder.tar.gz"
}

# What each program is made of, in CycloneDX's form. The tool writes beside manifests: into a copy of them.
bill() {
	local program
	tool cargo-cyclonedx 0.5.9 cargo-cyclonedx
	mkdir "$work/sources"
	git ls-files -z | tar --create --null --files-from=- | tar --extract --directory="$work/sources"
	(cd "$work/sources" && cargo cyclonedx --quiet --format=json --spec-version=1.5 --target="$target")
	for program in "${programs[@]}"; do
		sed "s|file://$work/sources|file://.|g" "$work/sources/$program/$program.cdx.json" >"dist/$program.cdx.json"
	done
}

sign() {
	if [ -z "${DIST_KEY:-}" ]; then
		say "not signed: DIST_KEY names no key; packaging/README.md says how to make one"
		return
	fi
	tool rsign2 0.6.7 rsign
	rsign sign -s "$DIST_KEY" -x "$work/signature" -t "scalar-dl-monitoring $version $BUILD_REVISION" dist/SHA256SUMS ||
		die "not signed: $DIST_KEY is no key of minisign, or wants a password and there is no terminal to ask on"
	mv "$work/signature" dist/SHA256SUMS.minisig
}

everything() {
	local program built=$work/programs
	[ -z "${DIST_KEY:-}" ] || [ -r "$DIST_KEY" ] || die "cannot read $DIST_KEY, which DIST_KEY names"
	git diff --quiet HEAD || say "the tree has changes that are in no commit"
	version=$(cargo pkgid --package node-exporter | sed 's/.*[#@]//')
	build "$built"
	old_enough "$built"
	rm -rf dist
	mkdir dist
	packages "$built" dist
	for program in "${programs[@]}"; do archive "$program" dist/"${program}_${version}"_amd64.deb; done
	bill
	(cd dist && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
	sign
	say "in dist/: $(ls dist | wc -l) files, $(du -sh dist | cut -f1)"
}

case ${1:-} in
'') everything ;;
packages)
	shift
	packages "$@"
	;;
*) die "usage: dist.sh [packages FROM TO [FLAG…]]" ;;
esac
