//! Programs from files, and from servers that lie, break off and flood.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use testkit::{Answer, Upstream};

use super::{
    Artifacts,
    download::Downloads,
    is_sha256,
    sources::{Known, OTHERS, OURS},
};
use crate::{config::Config, desired::Form};

/// The sha256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// An environment whose config.json has these artifacts.
struct Environment(tempfile::TempDir);

impl Environment {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    fn config(&self, artifacts: &str) -> Config {
        let text = format!("{{\"artifacts\": {artifacts}}}");
        fs::write(self.path("config.json"), text).unwrap();
        Config::load(&self.path("config.json")).unwrap()
    }

    fn load(&self, artifacts: &str) -> Result<Artifacts, String> {
        let config = self.config(artifacts);
        let downloads = Downloads::new(self.cache()).bounded(2000, Duration::from_secs(20));
        let loaded = Artifacts::of(self.0.path(), &config, &self.path("beside"), downloads);
        loaded.map_err(|it| self.shown(&it))
    }

    fn shown(&self, error: &anyhow::Error) -> String {
        format!("{error:#}").replace(&self.0.path().display().to_string(), "env")
    }
}

/// A URL of a Prometheus, and what else is said of it.
fn prometheus(url: &str, more: &str) -> String {
    format!("{{\"prometheus\": {{\"url\": \"{url}\", \"version\": \"9.9\"{more}}}}}")
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn the_table() {
    let others: BTreeMap<String, Known> = toml::from_str(OTHERS).unwrap();
    assert!(OURS.is_sorted());
    for (name, known) in &others {
        assert!(!OURS.contains(&name.as_str()), "{name}");
        let place = known.url.as_ref().or(known.file.as_ref()).unwrap();
        assert!(place.contains("{version}"), "{name}");
        assert!(known.sha256.values().all(|it| is_sha256(it)), "{name}");
    }
}

#[test]
fn files_of_this_machine() {
    let environment = Environment::new();
    fs::create_dir(environment.path("beside")).unwrap();
    fs::write(environment.path("beside/node-exporter"), "hello").unwrap();
    fs::write(environment.path("prometheus-1.tgz"), "hello").unwrap();
    let artifacts = environment
        .load(r#"{"prometheus": {"path": "prometheus-1.tgz", "version": "1"}}"#)
        .unwrap();
    let ours = artifacts.resolve("node-exporter").unwrap();
    assert_eq!((ours.sha256.as_str(), ours.form), (HELLO, Form::Program));
    assert_eq!(ours.version, env!("CARGO_PKG_VERSION"));
    let theirs = artifacts.resolve("prometheus").unwrap();
    assert_eq!((theirs.version.as_str(), theirs.form), ("1", Form::Archive));
    assert_eq!(theirs.folder(), "prometheus-1-2cf24dba5fb0");
    // It is looked at once.
    fs::remove_file(environment.path("beside/node-exporter")).unwrap();
    assert_eq!(artifacts.resolve("node-exporter").unwrap(), ours);

    for (name, expect) in [
        ("alert-router", "alert-router is not beside this program"),
        ("grafana", "grafana 12.0.2 is not pinned"),
        ("nothing", "there is no artifact nothing"),
    ] {
        let error = artifacts.resolve(name).unwrap_err();
        assert!(environment.shown(&error).starts_with(expect), "{error:#}");
    }
    let wrong = format!(
        "{{\"prometheus\": {{\"path\": \"prometheus-1.tgz\", \"sha256\": \"{}\"}}}}",
        "0".repeat(64)
    );
    let error = environment.load(&wrong).unwrap().resolve("prometheus");
    let error = environment.shown(&error.unwrap_err());
    assert!(
        error.starts_with(&format!("env/prometheus-1.tgz has the sha256 {HELLO}")),
        "{error}"
    );
}

#[test]
fn what_config_json_says() {
    let environment = Environment::new();
    let artifacts = environment
        .load(r#"{"jolokia": {"version": "2.3.0"}, "grafana": {"version": "9.0"}}"#)
        .unwrap();
    let jolokia = &artifacts.sources["jolokia"];
    assert!(
        jolokia
            .from
            .to_string()
            .ends_with("jolokia-agent-jvm-2.3.0-javaagent.jar")
    );
    assert!(jolokia.sha256.as_ref().unwrap().starts_with("cc170ad7"));
    let grafana = &artifacts.sources["grafana"];
    assert!(
        grafana
            .checksums
            .as_ref()
            .unwrap()
            .ends_with("grafana-9.0.linux-amd64.tar.gz.sha256")
    );
    for (text, expect) in [
        (
            r#"{"promtheus": {}}"#,
            "config.json: artifacts: \"promtheus\" is none of alert-router, cassandra, cassandra-exporter, grafana, java, jolokia, node-exporter, prometheus, traefik, traefik-exporter; did you mean prometheus?",
        ),
        (
            r#"{"grafana": {"version": "../x"}}"#,
            "config.json: artifacts.grafana: \"../x\" is no version",
        ),
        (
            r#"{"grafana": {"sha256": "12"}}"#,
            "config.json: artifacts.grafana: \"12\" is no sha256: 64 hexadecimal digits",
        ),
        (
            r#"{"grafana": {"path": "x", "url": "http://x"}}"#,
            "config.json: artifacts.grafana: a path and a url: give one of them",
        ),
    ] {
        assert_eq!(environment.load(text).unwrap_err(), expect);
    }
}

/// Pins the Prometheus of a server alone: the others' cannot be reached from a test.
fn pin(artifacts: &mut Artifacts) -> ExitCode {
    artifacts.sources.retain(|name, _| name == "prometheus");
    artifacts.pin().unwrap()
}

#[test]
fn pinned_once() {
    let environment = Environment::new();
    let server = Upstream::start(vec![Answer::ok("hello"), Answer::ok("other")]);
    let named = prometheus(&server.url("/p-9.9.tar.gz"), "");
    let mut artifacts = environment.load(&named).unwrap();
    let error = environment.shown(&artifacts.resolve("prometheus").unwrap_err());
    assert!(
        error.ends_with("Run: provisioner -e env artifacts pin"),
        "{error}"
    );
    assert_eq!(server.heard().len(), 0);
    assert_eq!(pin(&mut artifacts), ExitCode::SUCCESS);
    assert_eq!(pin(&mut artifacts), ExitCode::SUCCESS);
    let found = artifacts.resolve("prometheus").unwrap();
    assert_eq!((found.sha256.as_str(), found.form), (HELLO, Form::Archive));
    assert_eq!(fs::read(&found.source).unwrap(), b"hello");
    assert_eq!(server.heard().len(), 1);

    // What is in the cache is right, or fetched anew, and then it is another file.
    let artifacts = environment.load(&named).unwrap();
    fs::write(&found.source, "hellx").unwrap();
    let error = environment.shown(&artifacts.resolve("prometheus").unwrap_err());
    assert!(
        error.contains(&format!("not {HELLO}: it is not what was published")),
        "{error}"
    );
    assert_eq!(server.heard().len(), 2);

    // Another URL, version or sha256 is another file.
    for other in [
        prometheus(&server.url("/q-9.9.tar.gz"), ""),
        prometheus(&server.url("/p-9.9.tar.gz"), "").replace("9.9\"", "9.8\""),
        prometheus(
            &server.url("/p-9.9.tar.gz"),
            &format!(", \"sha256\": \"{}\"", "0".repeat(64)),
        ),
    ] {
        let error = environment.load(&other).unwrap().resolve("prometheus");
        let error = environment.shown(&error.unwrap_err());
        assert!(error.contains("is not pinned"), "{error}");
    }
}

#[test]
fn held_to_what_is_known() {
    let right = format!(", \"sha256\": \"{HELLO}\"");
    let wrong = format!(", \"sha256\": \"{}\"", "0".repeat(64));
    let cases: Vec<(&str, Vec<Answer>, &str, ExitCode)> = vec![
        (
            "right",
            vec![Answer::ok("hello")],
            &right,
            ExitCode::SUCCESS,
        ),
        (
            "wrong",
            vec![Answer::ok("hello")],
            &wrong,
            ExitCode::FAILURE,
        ),
        ("truncated", vec![Answer::Truncated], "", ExitCode::FAILURE),
        (
            "too large",
            vec![Answer::ok("x".repeat(2001))],
            "",
            ExitCode::FAILURE,
        ),
        (
            "as large as may be",
            vec![Answer::ok("x".repeat(2000))],
            "",
            ExitCode::SUCCESS,
        ),
        (
            "not there",
            vec![Answer::status(404)],
            "",
            ExitCode::FAILURE,
        ),
        ("closed", vec![Answer::Close], "", ExitCode::FAILURE),
    ];
    for (what, script, more, expect) in cases {
        let environment = Environment::new();
        let server = Upstream::start(script);
        let named = prometheus(&server.url("/p.tar.gz"), more);
        let mut artifacts = environment.load(&named).unwrap();
        assert_eq!(pin(&mut artifacts), expect, "{what}");
        let is_fine = expect == ExitCode::SUCCESS;
        // Nothing is left behind of what is not right.
        assert_eq!(files(&environment.cache()), usize::from(is_fine), "{what}");
        let again = environment.load(&named).unwrap();
        assert_eq!(again.resolve("prometheus").is_ok(), is_fine, "{what}");
    }
}

#[test]
fn publishers_checksums() {
    for (list, expect) in [
        (
            Answer::ok(format!("{}  other\n{HELLO}  p.tar.gz\n", "0".repeat(64))),
            ExitCode::SUCCESS,
        ),
        (
            Answer::ok(format!("{}  p.tar.gz\n", "0".repeat(64))),
            ExitCode::FAILURE,
        ),
        (
            Answer::ok(format!("{HELLO}  q.tar.gz\n")),
            ExitCode::FAILURE,
        ),
        (Answer::status(404), ExitCode::FAILURE),
        (Answer::Truncated, ExitCode::FAILURE),
    ] {
        let environment = Environment::new();
        let server = Upstream::start(vec![list.clone(), Answer::ok("hello")]);
        let named = prometheus(&server.url("/p.tar.gz"), "");
        let mut artifacts = environment.load(&named).unwrap();
        let source = artifacts.sources.get_mut("prometheus").unwrap();
        source.checksums = Some(server.url("/sha256sums.txt"));
        assert_eq!(pin(&mut artifacts), expect, "{list:?}");
    }
}

#[test]
fn a_lock_that_is_none() {
    let environment = Environment::new();
    for (text, expect) in [
        (
            "artifact = 5",
            "env/artifacts.lock: TOML parse error at line 1",
        ),
        (
            "[[artifact]]\nname = \"x\"\nversion = \"1\"\nurl = \"u\"\nsha256 = \"12\"\n",
            "env/artifacts.lock: the sha256 of x is none: \"12\"",
        ),
    ] {
        fs::write(environment.path("artifacts.lock"), text).unwrap();
        let error = environment.load("{}").unwrap_err();
        assert!(error.starts_with(expect), "{error}");
    }
}
