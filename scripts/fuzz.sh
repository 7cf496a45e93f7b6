#!/usr/bin/env bash
# Each fuzz target for SECONDS_EACH seconds (60); cargo-fuzz is built once, into the cache. Works with the stable compiler,
# without sanitizers: the code is safe Rust, and panics are what is looked for.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/scalar-dl-monitoring/cargo
if ! command -v cargo-fuzz >/dev/null && [ ! -x "$cache/bin/cargo-fuzz" ]; then
	echo "cargo-fuzz is not on this machine: building it (once)" >&2
	cargo install --locked --root "$cache" cargo-fuzz
fi
export PATH=$PATH:$cache/bin
# Every file of every machine is a seed of the target that reads files.
for tree in node-exporter/tests/fixtures/linux-*.tree; do
	mkdir -p fuzz/corpus/files
	awk -v tree="$(basename "$tree" .tree)" '
		/^--> / { next }
		/^==> / { close(seed); seed = "fuzz/corpus/files/" tree "-" ++count; print tree " " $2 > seed; next }
		{ print > seed }
	' "$tree"
done
for target in ${TARGETS:-$(cargo fuzz list)}; do
	mkdir -p "fuzz/corpus/$target" "fuzz/seeds/$target"
	cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- -max_total_time="${SECONDS_EACH:-60}" -max_len=4096
done
