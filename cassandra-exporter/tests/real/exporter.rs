//! The program, scraped.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use exposition::{Family, Summary, Value, parse};
use parts::cassandra::{Agent, Jolokia, Node, Ports};
use testkit::{Program, Running, request};

pub(crate) const USER: &str = "monitor";
pub(crate) const PASSWORD: &str = "so=secret";

/// A node with Jolokia as we install it.
pub(crate) fn node(version: &str, agent: Agent, folder: &Path, ports: Ports) -> Node {
    let policy = testkit::root().join("packaging/cassandra/jolokia-access.xml");
    let jolokia = Jolokia::guarded(agent, USER, PASSWORD, &policy);
    Node::new(version, version, folder.join(version), ports).jolokia(Some(jolokia))
}

/// A file with a password.
pub(crate) fn password_file(folder: &Path) -> PathBuf {
    let file = folder.join("password");
    std::fs::write(&file, PASSWORD).unwrap();
    file
}

pub(crate) struct Exporter {
    pub(crate) running: Running,
    /// What Prometheus would wait.
    pub(crate) timeout: Duration,
}

pub(crate) struct Scraped {
    pub(crate) families: Vec<Family>,
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Exporter {
    pub(crate) fn start(url: &str, folder: &Path, arguments: &[&str]) -> Self {
        let running = Program::new("cassandra-exporter")
            .args([format!("--jolokia.url={url}")])
            .args([format!("--jolokia.username={USER}")])
            .arg_path("--jolokia.password-file", &password_file(folder))
            .args(["--web.listen-address=127.0.0.1:0"])
            .args(arguments)
            .start();
        Self {
            running,
            timeout: Duration::from_secs(60),
        }
    }

    pub(crate) fn scrape(&self) -> Scraped {
        let begin = Instant::now();
        let timeout = self.timeout.as_secs_f64().to_string();
        let headers = [("X-Prometheus-Scrape-Timeout-Seconds", timeout.as_str())];
        let address = self.running.address();
        let answer = request(address, "GET", "/metrics", &headers, &[]);
        let (status, _, body) = answer.unwrap();
        let took = begin.elapsed();
        let text = String::from_utf8(body).unwrap();
        assert_eq!(status, 200, "{text}");
        Scraped {
            families: parse::text_strict(&text).unwrap(),
            text,
            took,
        }
    }
}

impl Scraped {
    pub(crate) fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|it| it.name() == name)
    }

    /// A number; NaN when there is none.
    #[track_caller]
    pub(crate) fn number(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.family(name).and_then(|it| it.number(labels));
        found.unwrap_or(f64::NAN)
    }

    #[track_caller]
    pub(crate) fn summary(&self, name: &str, labels: &[(&str, &str)]) -> Summary {
        let metrics = self.family(name).map_or(&[][..], |it| &it.metrics);
        let found = metrics.iter().find(|metric| {
            metric.labels.len() == labels.len()
                && labels
                    .iter()
                    .all(|(name, value)| metric.labels.get(name) == Some(value))
        });
        match found.map(|it| &it.value) {
            Some(Value::Summary(summary)) => (**summary).clone(),
            other => panic!("{name} {labels:?}: {other:?}"),
        }
    }

    /// Values of a label.
    pub(crate) fn values(&self, name: &str, label: &str) -> Vec<String> {
        let metrics = self.family(name).map_or(&[][..], |it| &it.metrics);
        let values = metrics.iter().filter_map(|it| it.labels.get(label));
        values.map(str::to_owned).collect()
    }

    #[track_caller]
    pub(crate) fn is_whole(&self) {
        assert_eq!(self.number("cassandra_up", &[]), 1.0, "{}", self.text);
        assert_eq!(self.number("cassandra_scrape_complete", &[]), 1.0);
        for result in ["failed", "missing"] {
            let reads = self.number("cassandra_scrape_reads", &[("result", result)]);
            assert_eq!(reads, 0.0, "{result}");
        }
    }
}
