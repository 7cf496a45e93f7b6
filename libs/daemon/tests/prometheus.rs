//! A real Prometheus scrapes native histograms.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use daemon::{CollectError, Collector, CommonFlags, Program, Registry, Scrape, Service, Settings};
use exposition::{Desc, Family, Histogram, Kind, Labels, Native, Summary, Value};
use serde_json::Value as Json;
use testkit::{eventually, get};

const PROGRAM: Program = Program {
    name: "test-exporter",
    namespace: "test_exporter",
    about: "A test",
    listen: ":0",
    version: "1.2.3",
};
/// A cold Prometheus on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
}

const TOOK: Desc = Desc::new("took_seconds", Kind::Histogram, "Time.").labels(&["what"]);
const EMPTY: Desc = Desc::new("never_seconds", Kind::Histogram, "Nothing yet.");
const CLASSIC: Desc = Desc::new("classic_seconds", Kind::Histogram, "Buckets.");
const WAIT: Desc = Desc::new("wait_seconds", Kind::Summary, "Quantiles.").labels(&["what"]);

/// What stays the same from scrape to scrape.
struct Fixed;

impl Collector for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        // Schema 0: each bucket ends at a power of two. 10 observations of up to 0.25 (index -2), 80 of 1 to 2 (1), and
        // 5 of 512 to 1024 (10), which is a span of its own.
        let mut took = Family::of(&TOOK);
        let native = Native {
            schema: 0,
            zero_threshold: 0.001,
            zero_count: 5,
            positive: vec![(-2, 10), (1, 80), (10, 5)],
        };
        took.push_histogram(
            &["read"],
            Histogram {
                sum: Some(5_000.5),
                count: 100.0,
                native: Some(native),
                ..Histogram::default()
            },
        );
        let mut empty = Family::of(&EMPTY);
        empty.push_histogram(
            &[],
            Histogram {
                sum: Some(0.0),
                native: Some(Native {
                    schema: 3,
                    zero_threshold: 1e-9,
                    ..Native::default()
                }),
                ..Histogram::default()
            },
        );
        let mut classic = Family::of(&CLASSIC);
        classic.push_histogram(
            &[],
            Histogram {
                buckets: vec![(0.5, 1.0), (1.0, 3.0)],
                sum: Some(7.0),
                count: 4.0,
                native: None,
            },
        );
        let mut wait = Family::of(&WAIT);
        let summary = Summary {
            quantiles: vec![(0.5, 0.25), (0.99, 2.0)],
            sum: None,
            count: 7.0,
        };
        wait.push_value(
            Labels::of_desc(&WAIT, &["read"]),
            Value::Summary(Box::new(summary)),
        );
        out.extend([took, empty, classic, wait]);
        Ok(())
    }
}

/// The one value of an expression; None when there is no series.
fn value(prometheus: SocketAddr, expression: &str) -> Option<String> {
    let query: String = expression.bytes().map(|it| format!("%{it:02x}")).collect();
    let (_, body) = get(prometheus, &format!("/api/v1/query?query={query}"))?;
    let answer: Json = serde_json::from_str(&body).ok()?;
    assert_ne!(answer["status"], "error", "{expression}: {answer}");
    let value = answer["data"]["result"][0]["value"][1].as_str()?;
    Some(value.to_owned())
}

#[test]
fn native_histograms() {
    let web = Flags::parse_from(["x", "--web.listen-address=127.0.0.1:0"])
        .common
        .web;
    let registry = Registry::new("test", "test_exporter", vec![Box::new(Fixed)]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime
        .block_on(Service::open(Settings::new(&PROGRAM, web, registry)))
        .unwrap();
    let target = service.addresses().next().unwrap();
    runtime.spawn(service.serve());

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n  - job_name: t\n    static_configs: [{{targets: [\"{target}\"]}}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let prometheus = testkit::Program::at(parts::find("prometheus").unwrap().path)
        .args([
            "--web.listen-address=127.0.0.1:0",
            "--enable-feature=native-histograms",
        ])
        .arg_path("--config.file", &config)
        .arg_path("--storage.tsdb.path", &folder.path().join("data"))
        .start();
    let address = prometheus.address();
    eventually("the target is scraped", PATIENCE, || {
        value(address, "histogram_count(took_seconds)")
    });
    for (expression, expect) in [
        ("up", Some("1")),
        ("histogram_count(took_seconds)", Some("100")),
        ("histogram_sum(took_seconds{what=\"read\"})", Some("5000.5")),
        // 55 of 80 observations between 1 and 2 stand below the 70th of 100.
        ("histogram_quantile(0.7, took_seconds)", Some("1.6875")),
        ("histogram_quantile(1, took_seconds)", Some("1024")),
        ("histogram_fraction(0, 2, took_seconds)", Some("0.95")),
        ("histogram_count(never_seconds)", Some("0")),
        // A native histogram is one series, a classic one is one for each bucket.
        ("count({__name__=~\"took_seconds.*\"})", Some("1")),
        ("classic_seconds_bucket{le=\"1.0\"}", Some("3")),
        ("classic_seconds_bucket{le=\"+Inf\"}", Some("4")),
        ("classic_seconds_sum", Some("7")),
        ("wait_seconds{quantile=\"0.99\"}", Some("2")),
        ("wait_seconds_count", Some("7")),
        ("wait_seconds_sum", Some("NaN")),
        (
            "promhttp_metric_handler_requests_total{code=\"500\"}",
            Some("0"),
        ),
        ("test_exporter_build_info", Some("1")),
        ("took_seconds_count", None),
    ] {
        let found = value(address, expression);
        assert_eq!(found.as_deref(), expect, "{expression}");
    }
}
