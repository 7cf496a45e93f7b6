//! Recorded answers of each version in (`tests/fixtures/`, see `tests/real.rs`), a scrape out (`tests/golden/`). `UPDATE_GOLDEN=1`
//! writes those anew.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{collections::BTreeMap, fs};

use exposition::parse;
use testkit::{Answer, Program, Upstream, get, golden, root};

/// What differs from run to run.
const VARYING: &[&str] = &[
    "cassandra_exporter_build_info",
    "cassandra_scrape_collector_duration_seconds",
    "cassandra_scrape_discovery_age_seconds",
];

/// A scrape of a node that answers as it did once.
fn replay(version: &str, arguments: &[&str]) -> String {
    let path = root().join(format!("cassandra-exporter/tests/fixtures/{version}.jsonl"));
    let answers = fs::read_to_string(path).unwrap();
    let answers: Vec<_> = answers.lines().map(Answer::ok).collect();
    let count = answers.len();
    let node = Upstream::start(answers);
    let exporter = Program::new("cassandra-exporter")
        .args([format!("--jolokia.url={}", node.url("/jolokia"))])
        .args(["--web.listen-address=127.0.0.1:0"])
        .args([
            "--web.disable-exporter-metrics",
            "--profile=full",
            "--jolokia.bulk=10000",
            "--tables.include=app\\.(main|t0)",
        ])
        .args(arguments)
        .start();
    let (status, text) = get(exporter.address(), "/metrics").unwrap();
    assert_eq!(status, 200);
    assert_eq!(node.heard().len(), count, "every answer was asked for");
    let varies = |line: &&str| {
        let name = line
            .trim_start_matches("# HELP ")
            .trim_start_matches("# TYPE ");
        VARYING.iter().any(|it| name.starts_with(it))
    };
    text.lines()
        .filter(|it| !varies(it))
        .map(|it| format!("{it}\n"))
        .collect()
}

#[test]
fn recorded_answers() {
    let catalogue = fs::read_to_string(root().join("cassandra-exporter/metrics.tsv")).unwrap();
    let catalogue: BTreeMap<_, _> = catalogue
        .lines()
        .map(|line| {
            let fields: Vec<_> = line.split('\t').collect();
            (
                fields[0].to_owned(),
                (fields[1].to_owned(), fields[2].to_owned()),
            )
        })
        .collect();
    for version in ["3.11.19", "4.0.19", "4.1.10", "5.0.9"] {
        let text = replay(version, &[]);
        // Nothing is given that the catalogue has not, or has otherwise.
        for family in parse::text_strict(&text).unwrap() {
            let Some((kind, labels)) = catalogue.get(family.name()) else {
                panic!("{version}: {} is not in metrics.tsv", family.name());
            };
            assert_eq!(kind, family.kind().as_str(), "{}", family.name());
            let names: Vec<_> = family.metrics[0].labels.iter().map(|it| it.0).collect();
            assert_eq!(*labels, names.join(","), "{version}: {}", family.name());
        }
        golden::check(
            format!("cassandra-exporter/tests/golden/{version}.prom"),
            &text,
        );
    }
}

/// The profiles ask for less of the same: what is asked for in the middle of a replay is answered in its place, so the answers of the
/// full one do for the first two calls alone.
#[test]
fn a_node_that_dies_in_the_middle() {
    let path = root().join("cassandra-exporter/tests/fixtures/5.0.9.jsonl");
    let answers = fs::read_to_string(path).unwrap();
    let mut answers: Vec<_> = answers.lines().map(Answer::ok).collect();
    answers.truncate(2);
    answers.push(Answer::Truncated);
    let node = Upstream::start(answers);
    let exporter = Program::new("cassandra-exporter")
        .args([format!("--jolokia.url={}", node.url("/jolokia"))])
        .args(["--web.listen-address=127.0.0.1:0"])
        .start();
    let (_, text) = get(exporter.address(), "/metrics").unwrap();
    for line in [
        "cassandra_up 1",
        "cassandra_scrape_complete 0",
        "cassandra_scrape_failure{reason=\"broken\"} 1",
        "cassandra_operation_mode{mode=\"NORMAL\"} 1",
        "cassandra_scrape_discoveries_total 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    assert!(!text.contains("cassandra_client_request_"));
}
