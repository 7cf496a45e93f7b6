# What `cargo test` says of failures, in a few lines: each failed test, with its panic or the error that it gave; and each program of tests
# that ended before its tests did, with what it ended by, its last panics and the tests that were known to run.

function cut(line) { return length(line) > 300 ? substr(line, 1, 300) "…" : line }

/^ +(Running|Doc-tests) / {
	target = $0; sub(/^ +/, "", target); sub(/ \(target.*/, "", target)
	has_result = 0; test = ""; lines = 0; follows = 0; panics = 0
	delete runs; delete failed
}
/^test .* has been running for over/ { runs[$2] = 1 }
/^test .* \.\.\. / { delete runs[$2] }
/^test .* \.\.\. FAILED/ {
	name = $0; sub(/^test /, "", name); sub(/( - should panic)? \.\.\. FAILED.*/, "", name)
	failed[name] = 1
}
/^test result:/ {
	has_result = 1
	# Those that left no word.
	for (name in failed) print "  " name
}

# What a test that failed left.
/^---- .* stdout ----$/ {
	test = $0; sub(/^---- /, "", test); sub(/ stdout ----$/, "", test)
	print "  " test
	delete failed[test]
	is_told = 0; lines = 0
	next
}
/^failures:$/ { test = "" }
/ panicked at / {
	place = $0; sub(/.* panicked at /, "", place); sub(/:$/, "", place)
	if (test == "") { panic[++panics] = place; follows = 1 }
	else if (!is_told) { is_told = 1; print "    " place; lines = 4 }
	next
}
/^Error: |^note: test did not panic/ { if (test != "" && !is_told) { is_told = 1; print "    " cut($0) } }
/^stack backtrace:$|^note: / { lines = 0; follows = 0 }
lines > 0 && /./ { print "    " cut($0); lines-- }
follows && /./ { panic[panics] = panic[panics] ": " cut($0); follows = 0 }

# A program that ended before.
/^  process didn't exit successfully: / && !has_result {
	how = $0; sub(/.*` /, "", how)
	print "  " target " did not run to its end " how
	for (i = panics > 3 ? panics - 2 : 1; i <= panics; i++) print "    panicked: " panic[i]
	for (one in runs) print "    ran then: " one
	for (name in failed) print "    failed before: " name
}
