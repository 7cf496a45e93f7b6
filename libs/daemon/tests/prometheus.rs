//! A real Prometheus scrapes native histograms, and exemplars.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use daemon::{CollectError, Collector, CommonFlags, Program, Registry, Scrape, Service, Settings};
use exposition::{Desc, Exemplar, Family, Histogram, Kind, Labels, Metric, Native, Summary, Value};
use serde_json::{Value as Json, json};
use testkit::{Running, eventually, get};

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
const JOBS: Desc = Desc::new("jobs_total", Kind::Counter, "Jobs.");
const WAIT: Desc = Desc::new("wait_seconds", Kind::Summary, "Quantiles.").labels(&["what"]);

/// What stays the same from scrape to scrape.
struct Fixed;

/// Each with the name of what it is of.
fn with_exemplars(mut metric: Metric, trace: &str, values: &[f64]) -> Metric {
    for value in values {
        let labels = Labels::new([("trace_id", trace.to_owned())]).unwrap();
        metric.add_exemplar(Exemplar::new(labels, *value, Some(AT)).unwrap());
    }
    metric
}

/// Milliseconds since 1970.
const AT: i64 = 1_700_000_000_250;

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
        let histogram = Histogram {
            sum: Some(5_000.5),
            count: 100.0,
            native: Some(native),
            ..Histogram::default()
        };
        let value = Value::Histogram(Box::new(histogram));
        let metric = Metric::new(Labels::of_desc(&TOOK, &["read"]), value);
        took.metrics.push(with_exemplars(metric, "took", &[1.5]));
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
        let histogram = Histogram {
            buckets: vec![(0.5, 1.0), (1.0, 3.0)],
            sum: Some(7.0),
            count: 4.0,
            native: None,
        };
        let metric = Metric::new(Labels::EMPTY, Value::Histogram(Box::new(histogram)));
        let metric = with_exemplars(metric, "classic", &[0.75, 5.0]);
        classic.metrics.push(metric);
        let mut jobs = Family::of(&JOBS);
        let metric = Metric::new(Labels::EMPTY, Value::Number(3.0));
        jobs.metrics.push(with_exemplars(metric, "jobs", &[1.0]));
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
        out.extend([took, empty, classic, jobs, wait]);
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

/// An exporter that serves until the test ends, and a Prometheus that scrapes it every second.
struct Network {
    _exporter: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
    prometheus: Running,
}

impl Network {
    fn start(features: &str) -> Self {
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
            .args(["--web.listen-address=127.0.0.1:0"])
            .args([format!("--enable-feature={features}")])
            .arg_path("--config.file", &config)
            .arg_path("--storage.tsdb.path", &folder.path().join("data"))
            .start();
        Self {
            _exporter: runtime,
            _folder: folder,
            prometheus,
        }
    }
}

#[test]
fn native_histograms() {
    let network = Network::start("native-histograms");
    let address = network.prometheus.address();
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

/// In OpenMetrics, and in protobuf, which is what a Prometheus with native histograms asks for.
#[test]
fn exemplars() {
    for features in ["exemplar-storage", "exemplar-storage,native-histograms"] {
        let network = Network::start(features);
        let address = network.prometheus.address();
        let series = eventually("exemplars are stored", PATIENCE, || {
            let path =
                "/api/v1/query_exemplars?query=%7Bjob%3D%22t%22%7D&start=1700000000&end=1700000001";
            let answer: Json = serde_json::from_str(&get(address, path)?.1).ok()?;
            assert_eq!(answer["status"], "success", "{answer}");
            answer["data"]
                .as_array()
                .filter(|it| it.len() >= 4)
                .cloned()
        });
        let mut found = Vec::new();
        for one in &series {
            let labels = &one["seriesLabels"];
            let name = labels["__name__"].as_str().unwrap();
            let bound = labels["le"].as_str().unwrap_or_default();
            for its in one["exemplars"].as_array().unwrap() {
                assert_eq!(its["timestamp"], json!(1_700_000_000.25));
                let trace = its["labels"]["trace_id"].as_str().unwrap();
                found.push(format!(
                    "{name}{{{bound}}} {trace} {}",
                    its["value"].as_str().unwrap()
                ));
            }
        }
        found.sort_unstable();
        let took = if features.contains("native") {
            "took_seconds{} took 1.5"
        } else {
            "took_seconds_bucket{+Inf} took 1.5"
        };
        let expect = [
            "classic_seconds_bucket{+Inf} classic 5",
            "classic_seconds_bucket{1.0} classic 0.75",
            "jobs_total{} jobs 1",
            took,
        ];
        assert_eq!(found, expect, "{features}");
    }
}
