#!/usr/bin/env bash
# All tests; ends with what passed, what failed, and what was skipped and why. With CI=true a skip that is not in
# tests/skips.txt is a failure.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p target
log=$PWD/target/test.log
export TEST_SKIPS=$PWD/target/skips.txt
: >"$TEST_SKIPS"

cargo test --workspace --locked --no-fail-fast 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

passed=$(awk '/^test result:/ { n += $4 } END { print n + 0 }' "$log")
failed=$(awk '/^test result:/ { n += $6 } END { print n + 0 }' "$log")
skipped=$(sort -u "$TEST_SKIPS" | grep -c . || true)
passed=$((passed - skipped))

echo
unlisted=0
if [ "$skipped" -gt 0 ]; then
	echo "Skipped:"
	while IFS= read -r line; do
		echo "  $line"
		# The list has file and test; the reason is for people.
		if ! grep -qxF "${line%%: *}" <(sed 's/: .*//; /^#/d' tests/skips.txt); then
			unlisted=$((unlisted + 1))
			[ "${CI:-}" = true ] && echo "    (not in tests/skips.txt)"
		fi
	done < <(sort -u "$TEST_SKIPS")
fi
# The last that is seen, for a page that shows the end of a log alone.
if [ "$code" != 0 ]; then
	echo "Failed:"
	told=$(awk -f scripts/failures.awk "$log")
	# What was not even built has no failed test.
	echo "${told:-$(grep -A 4 '^error' "$log" | head -n 10)}"
	df -h . /tmp | awk 'NR > 1 { print "  disk: " $4 " free in " $6 }' | sort -u
	awk '/^MemAvailable/ { print "  memory: " int($2 / 1024) " MiB available" } ' /proc/meminfo
	awk '/^oom_kill / && $2 > 0 { print "  the kernel has killed " $2 " processes for want of memory" }' /proc/vmstat
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$code" = 0 ] || exit 1
if [ "${CI:-}" = true ] && [ "$unlisted" -gt 0 ]; then
	exit 1
fi
