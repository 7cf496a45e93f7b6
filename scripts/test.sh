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
if [ "$failed" -gt 0 ]; then
	echo "Failed:"
	grep -E '^test .* \.\.\. FAILED$' "$log" | sed 's/^test /  /; s/ \.\.\. FAILED$//'
fi
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
if [ "$failed" = 0 ] && [ "$code" != 0 ]; then
	echo "The tests did not run to their end; see above."
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$code" = 0 ] || exit 1
if [ "${CI:-}" = true ] && [ "$unlisted" -gt 0 ]; then
	exit 1
fi
