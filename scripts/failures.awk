# What `cargo test` says of failures, in a few lines: each failed test with the first lines of its panic; and each program of tests that
# ended before its tests did, with what it ended by, its last panics and the tests that were known to run.

function cut(line) { return length(line) > 300 ? substr(line, 1, 300) "…" : line }

/^ +(Running|Doc-tests) / {
	target = $0; sub(/^ +/, "", target); sub(/ \(target.*/, "", target)
	has_result = 0; test = ""; lines = 0; panics = 0
	delete runs
}
/^test .* has been running for over/ { runs[$2] = 1 }
/^test .* \.\.\. / { delete runs[$2] }
/^test result:/ { has_result = 1 }

# The panics of tests that failed.
/^---- .* stdout ----$/ { test = $2; lines = 0; next }
/^failures:$/ { test = "" }
/ panicked at / {
	place = $0; sub(/.* panicked at /, "", place); sub(/:$/, "", place)
	if (test != "" && !(test in told)) { told[test] = 1; print "  " test ": " place; lines = 4 }
	else if (test == "") { panic[++panics] = place; follows = 1 }
	next
}
/^stack backtrace:$|^note: / { lines = 0; follows = 0 }
lines > 0 && /./ { print "    " cut($0); lines-- }
follows && /./ { panic[panics] = panic[panics] ": " cut($0); follows = 0 }

# A program that ended before.
/^  process didn't exit successfully: / && !has_result {
	how = $0; sub(/.*` /, "", how)
	print "  " target " did not run to its end " how
	for (i = panics > 3 ? panics - 2 : 1; i <= panics; i++) print "    panicked: " panic[i]
	for (one in runs) print "    ran then: " one
}
