//! The exporter under test, and what it says.

use std::time::{Duration, Instant};

use exposition::{Family, parse};
use testkit::{Program, Running, request};

/// What tests wait for what takes a moment.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Exporter(pub(crate) Running);

/// One scrape.
pub(crate) struct Scraped {
    families: Vec<Family>,
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Exporter {
    pub(crate) fn start(url: &str, arguments: &[&str]) -> Self {
        let program = Program::new("traefik-exporter")
            .args([format!("--traefik.url={url}")])
            .args(["--web.listen-address=127.0.0.1:0"])
            .args(arguments);
        Self(program.start())
    }

    pub(crate) fn scrape(&self) -> Scraped {
        self.scrape_within("10")
    }

    /// As a Prometheus that waits so many seconds.
    pub(crate) fn scrape_within(&self, seconds: &str) -> Scraped {
        let begin = Instant::now();
        let headers = [("X-Prometheus-Scrape-Timeout-Seconds", seconds)];
        let answer = request(self.0.address(), "GET", "/metrics", &headers, &[]);
        let (status, _, body) = answer.unwrap();
        let took = begin.elapsed();
        assert_eq!(status, 200);
        let text = String::from_utf8(body).unwrap();
        let families = parse::text_strict(&text).unwrap();
        Scraped {
            families,
            text,
            took,
        }
    }

    /// A page in another format.
    pub(crate) fn ask(&self, accept: &str) -> Vec<u8> {
        let headers = [("Accept", accept)];
        let answer = request(self.0.address(), "GET", "/metrics", &headers, &[]);
        answer.unwrap().2
    }

    /// Scrapes until something is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is: impl Fn(&Scraped) -> bool) -> Scraped {
        testkit::eventually(what, PATIENCE, || {
            let scraped = self.scrape();
            is(&scraped).then_some(scraped)
        })
    }

    /// Memory in use.
    pub(crate) fn resident(&self) -> u64 {
        let path = format!("/proc/{}/statm", self.0.pid());
        let text = std::fs::read_to_string(path).unwrap();
        let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }
}

impl Scraped {
    /// The number of the metric that has these labels, and maybe others.
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found = self.all(name, labels);
        assert!(found.len() <= 1, "{name} {labels:?}: {found:?}");
        found.first().copied()
    }

    /// Those of all metrics that have these labels.
    pub(crate) fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let metrics = self.metrics(name).filter(|it| {
            let mut labels = labels.iter();
            labels.all(|(name, value)| it.labels.get(name) == Some(value))
        });
        let number = |it: &exposition::Metric| match it.value {
            exposition::Value::Number(number) => number,
            _ => panic!("{name} is no number"),
        };
        metrics.map(number).collect()
    }

    /// The values of a label.
    pub(crate) fn values(&self, name: &str, label: &str) -> Vec<String> {
        let values = self.metrics(name).filter_map(|it| it.labels.get(label));
        values.map(str::to_owned).collect()
    }

    /// The values of a label of those that have these labels, sorted.
    pub(crate) fn values_of(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        label: &str,
    ) -> Vec<String> {
        let metrics = self.metrics(name).filter(|it| {
            let mut labels = labels.iter();
            labels.all(|(name, value)| it.labels.get(name) == Some(value))
        });
        let values = metrics.filter_map(|it| it.labels.get(label).map(str::to_owned));
        let mut values: Vec<_> = values.collect();
        values.sort_unstable();
        values
    }

    fn metrics(&self, name: &str) -> impl Iterator<Item = &exposition::Metric> {
        let families = self.families.iter().filter(move |it| it.name() == name);
        families.flat_map(|it| it.metrics.iter())
    }

    #[track_caller]
    pub(crate) fn is(&self, name: &str, labels: &[(&str, &str)], expect: f64) {
        assert_eq!(self.get(name, labels), Some(expect), "{name} {labels:?}");
    }

    pub(crate) fn is_up(&self) -> bool {
        self.get("traefik_up", &[]) == Some(1.0)
    }

    /// Why it is not complete.
    pub(crate) fn reason(&self) -> Option<String> {
        let metrics = self.metrics("traefik_scrape_failure");
        let mut reasons = metrics.filter(|it| it.value == exposition::Value::Number(1.0));
        let reason = reasons.next()?.labels.get("reason")?.to_owned();
        assert!(reasons.next().is_none(), "one reason");
        Some(reason)
    }

    #[track_caller]
    pub(crate) fn is_down(&self, reason: &str) {
        self.is("traefik_up", &[], 0.0);
        self.is("traefik_scrape_complete", &[], 0.0);
        assert_eq!(self.reason().as_deref(), Some(reason));
        self.is(
            "traefik_scrape_collector_success",
            &[("collector", "status")],
            0.0,
        );
    }

    /// What it says of Traefik, without what differs from run to run.
    pub(crate) fn of_traefik(&self) -> String {
        let lines = self.text.lines().filter(|it| {
            let name = it
                .trim_start_matches("# HELP ")
                .trim_start_matches("# TYPE ");
            name.starts_with("traefik_") && !name.starts_with("traefik_exporter_")
        });
        let lines = lines.filter(|it| !it.starts_with("traefik_scrape_collector_duration"));
        lines.map(|it| format!("{it}\n")).collect()
    }
}
