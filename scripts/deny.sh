#!/usr/bin/env bash
# cargo-deny over bans, licences and sources; the program is built once, into the cache.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/scalar-dl-monitoring/cargo
if ! command -v cargo-deny >/dev/null && [ ! -x "$cache/bin/cargo-deny" ]; then
	echo "cargo-deny is not on this machine: building it (some minutes, once)" >&2
	cargo install --locked --root "$cache" cargo-deny
fi
PATH=$PATH:$cache/bin cargo deny --all-features check bans licenses sources
