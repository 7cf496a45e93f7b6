//! What the parsers take and what they say of the rest.

use exposition::{Family, Format, parse, write};

fn text_of(families: &[Family]) -> String {
    String::from_utf8(write(families, Format::Text)).expect("the writer writes UTF-8")
}

fn check(
    read: fn(&str) -> Result<Vec<Family>, parse::ParseError>,
    input: &str,
    expect: Result<&str, &str>,
) {
    let found = read(input);
    let found = found.map(|it| text_of(&it)).map_err(|it| it.to_string());
    let found = found.as_ref().map(String::as_str).map_err(String::as_str);
    assert_eq!(found, expect, "{input:?}");
}

#[test]
fn text() {
    for (input, expect) in [
        ("", Ok("")),
        ("\n\n  \t\n", Ok("")),
        ("# just a comment\n#\n# HELPLESS x\n", Ok("")),
        ("a 1\n", Ok("# TYPE a untyped\na 1\n")),
        (
            " a\t{ b = \"c\" , } \t1e3  -5 \n",
            Ok("# TYPE a untyped\na{b=\"c\"} 1000 -5\n"),
        ),
        ("a{} 1\n", Ok("# TYPE a untyped\na 1\n")),
        (
            "a 1",
            Err("line 1: the last line does not end with a line feed"),
        ),
        ("a\n", Err("line 1: \"\" is no number for the value of a")),
        (
            "a 1 2 3\n",
            Err("line 1: unexpected \"3\" after the sample of a"),
        ),
        (
            "a 1 2.5\n",
            Err("line 1: \"2.5\" is no time stamp in milliseconds for a"),
        ),
        (
            "a 0x10\n",
            Err("line 1: \"0x10\" is no number for the value of a"),
        ),
        ("a-b 1\n", Err("line 1: \"a-b\" is no metric name")),
        (
            "a{b=\"c\"d=\"e\"} 1\n",
            Err("line 1: neither , nor } after the label b"),
        ),
        ("a{b=\"c\",,} 1\n", Err("line 1: \"\" is no label name")),
        (
            "a{b=\"c} 1\n",
            Err("line 1: the value of the label b does not end"),
        ),
        (
            "a{b=c} 1\n",
            Err("line 1: the value of the label b is not in quotes"),
        ),
        (
            "a{b=\"\\x\"} 1\n",
            Err("line 1: unknown escape \\x in the value of the label b"),
        ),
        (
            "a{b=\"1\",b=\"2\"} 1\n",
            Err("line 1: label \"b\" is given twice"),
        ),
        ("a{b} 1\n", Err("line 1: no = after the label b")),
        (
            "a{",
            Err("line 1: the last line does not end with a line feed"),
        ),
        ("a{\n", Err("line 1: \"\" is no label name")),
        (
            "# HELP a A \\\\ b\\nc\n# TYPE a counter\na{b=\"\\\\\\\"\\n\"} 1\n",
            Ok("# HELP a A \\\\ b\\nc\n# TYPE a counter\na{b=\"\\\\\\\"\\n\"} 1\n"),
        ),
        (
            "# HELP a x\\y\n",
            Err("line 1: unknown escape \\y in a help text"),
        ),
        (
            "# HELP a x\\\n",
            Err("line 1: a help text ends in a backslash"),
        ),
        ("# TYPE a COUNTER\na 1\n", Ok("# TYPE a counter\na 1\n")),
        ("# TYPE a rate\n", Err("line 1: unknown type \"rate\" of a")),
        ("# TYPE a\n", Err("line 1: unknown type \"\" of a")),
        (
            "# TYPE 1a gauge\n",
            Err("line 1: \"1a\" after TYPE is no metric name"),
        ),
        (
            "# HELP a b\n# HELP a b\n",
            Err("line 2: second HELP line of a"),
        ),
        (
            "\na 1\n# TYPE a gauge\n",
            Err("line 3: second TYPE line of a, or one after its samples"),
        ),
        (
            "# TYPE a gauge\n# TYPE a gauge\n",
            Err("line 2: second TYPE line of a, or one after its samples"),
        ),
        // A histogram's parts without a type are metrics of their own.
        (
            "a_sum 1\na_count 2\n",
            Ok("# TYPE a_sum untyped\na_sum 1\n# TYPE a_count untyped\na_count 2\n"),
        ),
        (
            "# TYPE a histogram\na_bucket{le=\"1\",x=\"y\"} 1\na_bucket{le=\"+Inf\",x=\"y\"} 2\na_sum{x=\"y\"} 3\na_count{x=\"y\"} 2\n",
            Ok(
                "# TYPE a histogram\na_bucket{x=\"y\",le=\"1\"} 1\na_bucket{x=\"y\",le=\"+Inf\"} 2\na_sum{x=\"y\"} 3\na_count{x=\"y\"} 2\n",
            ),
        ),
        // Found by fuzzing: the label of a bucket on a sum is no label of the metric.
        (
            "# TYPE a histogram\na_sum{le=\"5\",x=\"y\"} 3\na_count{x=\"y\"} 2\n",
            Ok(
                "# TYPE a histogram\na_bucket{x=\"y\",le=\"+Inf\"} 2\na_sum{x=\"y\"} 3\na_count{x=\"y\"} 2\n",
            ),
        ),
        (
            "# TYPE a histogram\na 1\n",
            Err("line 2: a is a histogram and has no sample of its own"),
        ),
        (
            "# TYPE a histogram\na_bucket 1\n",
            Err("line 2: a_bucket has no label le"),
        ),
        (
            "# TYPE a histogram\na_bucket{le=\"x\"} 1\n",
            Err("line 2: \"x\" is no number for the label le of a_bucket"),
        ),
        (
            "# TYPE a summary\na{quantile=\"0.5\"} 1\na_sum 2\na_count 3\n",
            Ok("# TYPE a summary\na{quantile=\"0.5\"} 1\na_sum 2\na_count 3\n"),
        ),
        (
            "# TYPE a summary\na 1\n",
            Err("line 2: a has no label quantile"),
        ),
        // Apart, but read.
        (
            "a 1\nb 1\na{c=\"d\"} 1\n",
            Ok("# TYPE a untyped\na 1\na{c=\"d\"} 1\n# TYPE b untyped\nb 1\n"),
        ),
        (
            "a 1\r\n",
            Err("line 1: \"1\\r\" is no number for the value of a"),
        ),
    ] {
        check(parse::text, input, expect);
    }
}

#[test]
fn text_strict() {
    for (input, expect) in [
        (
            "a 1\nb 1\na{c=\"d\"} 1\n",
            Err("line 3: the lines of a do not stand together"),
        ),
        (
            "a 1\na 2\n",
            Err("line 2: a is given twice with the same labels"),
        ),
        (
            "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 3\na_count 1\n",
            Err("line 5: the buckets of a do not rise"),
        ),
        (
            "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_sum 3\na_count 1\n",
            Err("line 4: a has no bucket le=\"+Inf\""),
        ),
        (
            "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 3\na_count 1\n",
            Err("line 4: the bucket le=\"+Inf\" of a is 2, its count 1"),
        ),
        (
            "# HELP a b\n# TYPE a gauge\na 1\n",
            Ok("# HELP a b\n# TYPE a gauge\na 1\n"),
        ),
    ] {
        check(parse::text_strict, input, expect);
    }
}

#[test]
fn open_metrics() {
    for (input, expect) in [
        ("# EOF\n", Ok("")),
        ("# EOF", Ok("")),
        ("", Err("line 1: an empty line")),
        ("a 1\n", Err("line 1: the last line is not # EOF")),
        ("# EOF\na 1\n", Err("line 2: text after # EOF")),
        ("a 1\n\n# EOF\n", Err("line 2: an empty line")),
        ("a 1\n# EOF\n", Ok("# TYPE a untyped\na 1\n")),
        (
            "# TYPE a counter\n# HELP a A \\\"b\\\".\na_total 1 1.5 # {t=\"x\"} 0.5 2\na_created 1\n# EOF\n",
            Ok("# HELP a_total A \"b\".\n# TYPE a_total counter\na_total 1 1500\n"),
        ),
        (
            "# TYPE a counter\na 1\n# EOF\n",
            Err("line 2: the lines of a do not stand together"),
        ),
        (
            "# TYPE a counter\na_total -1\n# EOF\n",
            Err("line 2: a_total counts and is -1"),
        ),
        (
            "# TYPE a gauge\na 1\na 2\n# EOF\n",
            Err("line 3: a is given twice with the same labels"),
        ),
        (
            "# TYPE a gauge\na 1\nb 1\na{c=\"d\"} 1\n# EOF\n",
            Err("line 4: the lines of a do not stand together"),
        ),
        (
            "a 1 # {} 1\n# EOF\n",
            Err("line 1: a has an exemplar; only counters and buckets may"),
        ),
        (
            "# TYPE a counter\na_total 1 # 1\n# EOF\n",
            Err("line 2: the exemplar of a_total has no labels"),
        ),
        (
            "# TYPE a histogram\na_bucket{le=\"1\"} 1 # {} 2\n# EOF\n",
            Err("line 2: the exemplar of a_bucket is 2, which is not in its bucket"),
        ),
        (
            "a  1\n# EOF\n",
            Err("line 1: \"\" is no number for the value of a"),
        ),
        (
            "a{b=\"c\",} 1\n# EOF\n",
            Err("line 1: \"\" is no label name"),
        ),
        (
            "a{b=\"\\d\"} 1\n# EOF\n",
            Ok("# TYPE a untyped\na{b=\"\\\\d\"} 1\n"),
        ),
        (
            "# UNIT a seconds\n# EOF\n",
            Err("line 1: the unit of a is seconds, but its name does not end so"),
        ),
        (
            "# UNIT a_seconds seconds\n# TYPE a_seconds gauge\na_seconds 1\n# EOF\n",
            Ok("# TYPE a_seconds gauge\na_seconds 1\n"),
        ),
        (
            "a 1\n# TYPE a gauge\n# EOF\n",
            Err("line 2: a metadata line of a after its samples"),
        ),
        (
            "# a comment\n# EOF\n",
            Err("line 1: \"a\" is neither HELP, TYPE, UNIT nor EOF"),
        ),
        (
            "# TYPE a info\na_info{v=\"1\"} 1\n# EOF\n",
            Ok("# TYPE a_info gauge\na_info{v=\"1\"} 1\n"),
        ),
        (
            "# TYPE a info\na_info 2\n# EOF\n",
            Err("line 2: a_info is an info and not 1"),
        ),
        (
            "# TYPE a stateset\na{a=\"on\"} 1\n# EOF\n",
            Ok("# TYPE a gauge\na{a=\"on\"} 1\n"),
        ),
        (
            "# TYPE a stateset\na{b=\"on\"} 1\n# EOF\n",
            Err("line 2: a is a stateset and has no label a"),
        ),
        (
            "# TYPE a gaugehistogram\na_bucket{le=\"+Inf\"} 1\na_gcount 1\na_gsum 2\n# EOF\n",
            Ok(
                "# TYPE a_bucket untyped\na_bucket{le=\"+Inf\"} 1\n# TYPE a_gcount untyped\na_gcount 1\n# TYPE a_gsum untyped\na_gsum 2\n",
            ),
        ),
        (
            "a 1 x\n# EOF\n",
            Err("line 1: \"x\" is no time stamp in seconds for a"),
        ),
        (
            "a 1 1e300\n# EOF\n",
            Err("line 1: \"1e300\" is no time stamp in seconds for a"),
        ),
    ] {
        check(parse::open_metrics, input, expect);
    }
    let long = format!(
        "# TYPE a counter\na_total 1 # {{t=\"{}\"}} 1\n# EOF\n",
        "x".repeat(128)
    );
    check(
        parse::open_metrics,
        &long,
        Err("line 2: a_total: the labels of an exemplar have 129 characters, 128 are allowed"),
    );
}

/// Mutations of good expositions never panic a parser, and what a parser takes is written and read again the same.
#[test]
fn mutations() {
    const SEEDS: [&str; 4] = [
        "# HELP a A.\n# TYPE a histogram\na_bucket{x=\"y\",le=\"1\"} 1\na_bucket{x=\"y\",le=\"+Inf\"} 2\na_sum{x=\"y\"} 3\na_count{x=\"y\"} 2\n",
        "# TYPE a counter\na_total{b=\"c\\n\\\"\"} 1 1.5 # {t=\"x\"} 0.5 2\n# TYPE s summary\ns{quantile=\"0.5\"} 1\n# EOF\n",
        "x{a=\"b\",} NaN 123\n# TYPE y gauge\ny -Inf\n",
        "# TYPE a histogram\na_bucket{le=\"1\"} 1 # {t=\"x\"} 0.5 2\na_bucket{le=\"+Inf\"} 2 # {} 7\na_count 2\n# EOF\n",
    ];
    const BYTES: &[u8] = b"{}=\",\\n #+-.eE01NaInf_:\t\n\xc3\xa9";
    // A small linear congruential generator: the same inputs in every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).expect("31 bits fit") % below
    };
    let mut taken = 0;
    for _ in 0..20_000 {
        let mut bytes = SEEDS[random(SEEDS.len())].as_bytes().to_vec();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes[at] = BYTES[random(BYTES.len())],
                1 => bytes.insert(at, BYTES[random(BYTES.len())]),
                _ => drop(bytes.remove(at)),
            }
        }
        let Ok(input) = String::from_utf8(bytes) else {
            continue;
        };
        if let Ok(families) = parse::text(&input) {
            taken += 1;
            let first = text_of(&families);
            let again = parse::text(&first).unwrap_or_else(|e| panic!("{e}: {first}"));
            assert_eq!(text_of(&again), first);
        }
        if let Ok(families) = parse::open_metrics(&input) {
            taken += 1;
            let open = |it: &[Family]| String::from_utf8(write(it, Format::OpenMetrics)).unwrap();
            let first = open(&families);
            let again = parse::open_metrics(&first).unwrap_or_else(|e| panic!("{e}: {first}"));
            assert_eq!(open(&again), first, "{input:?}");
        }
    }
    assert!(taken > 1_000, "only {taken} mutations were valid");
}
