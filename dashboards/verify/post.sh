#!/bin/sh
# Posts each dashboard of a folder to the Grafana at GRAFANA_URL, reads it back by its uid, and says what became of it.
# GRAFANA_TOKEN is a service account's token, where Grafana wants one.
set -u
folder=${1:?folder of dashboards}
url=${GRAFANA_URL:?such as http://127.0.0.1:3000}

# The token goes by standard input, so that no list of processes has it.
ask() {
	if [ -n "${GRAFANA_TOKEN:-}" ]; then
		printf 'header = "Authorization: Bearer %s"\n' "$GRAFANA_TOKEN" | curl --config - "$@"
	else
		curl "$@"
	fi
}

tries=0
until ask --silent --fail --max-time 5 --output /dev/null "$url/api/health"; do
	tries=$((tries + 1))
	if [ "$tries" -ge "${PATIENCE:-60}" ]; then
		echo "no Grafana answers at $url" >&2
		exit 1
	fi
	sleep 1
done

failed=0
passed=0
for file in "$folder"/*.json; do
	name=$(basename "$file" .json)
	said=$({
		printf '{"overwrite": true, "dashboard": '
		cat "$file"
		printf '}'
	} >"${TMPDIR:-/tmp}/post.$$.json" && ask --silent --show-error --max-time 30 --header 'content-type: application/json' \
		--data-binary "@${TMPDIR:-/tmp}/post.$$.json" --write-out '\n%{http_code}' "$url/api/dashboards/db" 2>&1)
	rm -f "${TMPDIR:-/tmp}/post.$$.json"
	case "$said" in
	*"
200") ;;
	*)
		echo "FAIL $name: Grafana refuses it: $said"
		failed=$((failed + 1))
		continue
		;;
	esac
	kept=$(ask --silent --show-error --fail --max-time 30 "$url/api/dashboards/uid/scalardl-$name" 2>&1 | tr -d ' \n')
	# One panel has one description; a panel that was lost takes its own with it.
	before=$(tr -d ' \n' <"$file" | grep -o '"description":' | wc -l)
	after=$(printf '%s' "$kept" | grep -o '"description":' | wc -l)
	case "$kept" in
	*"\"uid\":\"scalardl-$name\""*)
		if [ "$before" -eq "$after" ]; then
			echo "ok   $name"
			passed=$((passed + 1))
		else
			echo "FAIL $name: of $before descriptions Grafana has kept $after"
			failed=$((failed + 1))
		fi
		;;
	*)
		echo "FAIL $name: Grafana does not give it back: $kept"
		failed=$((failed + 1))
		;;
	esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
