//! `provisioner alerts test`: an alert that is none, all the way to the people, and its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use client::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{config, install, local::State, output, see, tunnel::Tunnel};

const INFO: &str = "info";
/// What every receiver is told of.
pub(crate) const CRITICAL: &str = "critical";

#[derive(Debug, Args)]
pub(crate) struct TestFlags {
    /// Where alert-router is [default: that of the environment, or of the local network]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// State folder of the local network, when it is not the usual one
    #[arg(long, value_name = "FOLDER", env = "PROVISIONER_LOCAL_STATE_DIR")]
    state_dir: Option<std::path::PathBuf>,
    /// How long to wait for every receiver, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// How bad it says that it is: some receivers are told of critical alerts alone
    #[arg(long, value_name = "WORD", default_value = INFO, value_parser = [INFO, "warning", CRITICAL])]
    severity: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A way to people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Way {
    pub(crate) receiver: String,
    pub(crate) integration: String,
    pub(crate) index: u64,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    #[serde(flatten)]
    pub(crate) way: Way,
    /// `firing` or `resolved`.
    pub(crate) what: &'static str,
    /// `sent`, `failed`, or `silent` when nothing was heard in time.
    pub(crate) status: String,
    /// Since the alert was posted.
    pub(crate) seconds: Option<f64>,
    pub(crate) error: String,
}

#[derive(Debug, Deserialize)]
struct Receiver {
    name: String,
    integrations: Vec<Integration>,
}

#[derive(Debug, Deserialize)]
struct Integration {
    integration: String,
    index: u64,
    send_resolved: bool,
}

#[derive(Debug, Deserialize)]
struct Record {
    receiver: String,
    integration: String,
    index: u64,
    status: String,
    error: String,
    alerts: Vec<RecordedAlert>,
}

#[derive(Debug, Deserialize)]
struct RecordedAlert {
    fingerprint: String,
    status: String,
}

/// An alert-router.
pub(crate) struct Router {
    /// How people find it.
    name: String,
    /// What stands before its paths.
    prefix: String,
    tunnel: Tunnel,
}

/// Sends the alert, waits, resolves it, waits, and reports. The environment is one that somebody has named, if anybody did.
pub(crate) fn test(environment: Option<&Path>, flags: &TestFlags) -> anyhow::Result<ExitCode> {
    let timeout = Duration::from_secs(flags.timeout);
    let local = match (&flags.url, environment) {
        (Some(url), _) => Some(url.trim_end_matches('/').to_owned()),
        (None, Some(_)) => None,
        (None, None) => State::at(flags.state_dir.clone())?.url("alert-router")?,
    };
    let here = Path::new(".");
    let has_one_here = here.join(config::FILE).is_file();
    let outcomes = match (local, environment.or(has_one_here.then_some(here))) {
        (Some(url), _) => {
            let router = Router::at(&url)?;
            install::runtime()?.block_on(router.test(&flags.severity, timeout))?
        }
        (None, Some(folder)) => see::test_alert(folder, &flags.severity, timeout)?,
        (None, None) => bail!(
            "no local network runs here, and this is no environment's folder; say with -e which environment's alert-router is meant, or with --url where one is"
        ),
    };
    let good = outcomes.iter().all(|it| it.status == "sent");
    if flags.json {
        output::say(serde_json::to_string_pretty(&outcomes)?);
    } else {
        report(&outcomes);
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(outcomes: &[Outcome]) {
    let mut rows = vec![
        ["RECEIVER", "INTEGRATION", "ALERT", "RESULT", "AFTER"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for outcome in outcomes {
        let result = if outcome.error.is_empty() {
            outcome.status.clone()
        } else {
            format!("{}: {}", outcome.status, outcome.error)
        };
        rows.push(vec![
            outcome.way.receiver.clone(),
            format!("{}[{}]", outcome.way.integration, outcome.way.index),
            outcome.what.to_owned(),
            result,
            outcome
                .seconds
                .map_or_else(String::new, |it| format!("{it:.1} s")),
        ]);
    }
    output::table(&rows);
}

impl Router {
    /// At a URL of its own.
    fn at(url: &str) -> anyhow::Result<Self> {
        let prefix = Url::parse(url).with_context(|| format!("{url} is no URL"))?;
        Ok(Self {
            name: url.to_owned(),
            prefix: prefix.path().trim_end_matches('/').to_owned(),
            tunnel: Tunnel::direct(url)?,
        })
    }

    /// On a node, through the connection to it.
    pub(crate) fn through(name: String, tunnel: Tunnel) -> Self {
        Self {
            name,
            prefix: String::new(),
            tunnel,
        }
    }

    pub(crate) async fn test(
        &self,
        severity: &str,
        timeout: Duration,
    ) -> anyhow::Result<Vec<Outcome>> {
        let now = jiff::Timestamp::now();
        let labels = json!({
            "alertname": "ProvisionerTest",
            "severity": severity,
            "test_id": format!("{:x}", now.as_microsecond()),
        });
        let annotations = json!({
            "summary": "Test alert: nothing is wrong",
            "description": "Somebody ran `provisioner alerts test` to see whether this message arrives.",
        });
        let begin = Instant::now();
        self.post(
            &json!([{"labels": labels, "annotations": annotations, "startsAt": now.to_string()}]),
        )
        .await?;
        let (fingerprint, receivers) = self.find(&labels).await?;
        let ways = self.ways(&receivers).await?;
        if ways.is_empty() {
            bail!(
                "the alert goes to {} and nobody there is told: the receiver has no integrations",
                receivers.join(", ")
            );
        }
        let all: Vec<_> = ways.keys().cloned().collect();
        let mut outcomes = self
            .follow(&fingerprint, "firing", &all, begin, timeout)
            .await?;
        self.post(&json!([{"labels": labels, "annotations": annotations, "startsAt": now.to_string(), "endsAt": jiff::Timestamp::now().to_string()}])).await?;
        // Who was not told of the start is not told of the end.
        let told = |way: &&Way| {
            outcomes
                .iter()
                .any(|it| it.way == **way && it.status == "sent")
        };
        let resolved: Vec<_> = ways
            .iter()
            .filter(|(_, resolved)| **resolved)
            .map(|(way, _)| way)
            .filter(told)
            .cloned()
            .collect();
        let begin = Instant::now();
        outcomes.extend(
            self.follow(&fingerprint, "resolved", &resolved, begin, timeout)
                .await?,
        );
        Ok(outcomes)
    }

    /// Waits until every way has an answer, or the time is over. A failure that is tried again may still turn into a success.
    async fn follow(
        &self,
        fingerprint: &str,
        what: &'static str,
        ways: &[Way],
        begin: Instant,
        timeout: Duration,
    ) -> anyhow::Result<Vec<Outcome>> {
        let mut found: BTreeMap<Way, Outcome> = BTreeMap::new();
        while begin.elapsed() < timeout
            && ways
                .iter()
                .any(|it| found.get(it).is_none_or(|it| it.status != "sent"))
        {
            let records: Vec<Record> = self
                .get(&format!(
                    "/api/ext/v1/notifications?fingerprint={fingerprint}"
                ))
                .await?;
            for record in records.into_iter().rev() {
                let told = record
                    .alerts
                    .iter()
                    .any(|it| it.fingerprint == fingerprint && it.status == what);
                let way = Way {
                    receiver: record.receiver,
                    integration: record.integration,
                    index: record.index,
                };
                if !told || found.get(&way).is_some_and(|it| it.status == "sent") {
                    continue;
                }
                let seconds = Some(begin.elapsed().as_secs_f64());
                found.insert(
                    way.clone(),
                    Outcome {
                        way,
                        what,
                        status: record.status,
                        seconds,
                        error: record.error,
                    },
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(ways
            .iter()
            .map(|way| {
                found.remove(way).unwrap_or_else(|| Outcome {
                    way: way.clone(),
                    what,
                    status: "silent".to_owned(),
                    seconds: None,
                    error: format!("nothing was heard within {} s", timeout.as_secs()),
                })
            })
            .collect())
    }

    /// The alert as alert-router has it: its fingerprint, and the receivers that its routes lead to.
    async fn find(&self, labels: &Value) -> anyhow::Result<(String, Vec<String>)> {
        let id = labels.get("test_id").and_then(Value::as_str).unwrap_or("");
        let alerts: Vec<Value> = self
            .get(&format!("/api/v2/alerts?filter=test_id%3D%22{id}%22"))
            .await?;
        let alert = alerts
            .first()
            .context("alert-router took the test alert and does not show it")?;
        let fingerprint = alert
            .get("fingerprint")
            .and_then(Value::as_str)
            .context("the alert has no fingerprint")?;
        let receivers = alert
            .get("receivers")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let names = receivers
            .iter()
            .filter_map(|it| it.get("name")?.as_str().map(str::to_owned));
        Ok((fingerprint.to_owned(), names.collect()))
    }

    /// Receivers that tell somebody.
    pub(crate) async fn receivers(&self) -> anyhow::Result<BTreeSet<String>> {
        let all: Vec<Receiver> = self.get("/api/ext/v1/receivers").await?;
        let some = all.into_iter().filter(|it| !it.integrations.is_empty());
        Ok(some.map(|it| it.name).collect())
    }

    /// The ways of some receivers, and whether they tell of the end.
    async fn ways(&self, receivers: &[String]) -> anyhow::Result<BTreeMap<Way, bool>> {
        let all: Vec<Receiver> = self.get("/api/ext/v1/receivers").await?;
        let mut ways = BTreeMap::new();
        for receiver in all.into_iter().filter(|it| receivers.contains(&it.name)) {
            for it in receiver.integrations {
                let way = Way {
                    receiver: receiver.name.clone(),
                    integration: it.integration,
                    index: it.index,
                };
                ways.insert(way, it.send_resolved);
            }
        }
        Ok(ways)
    }

    async fn post(&self, alerts: &Value) -> anyhow::Result<()> {
        self.call(Method::POST, "/api/v2/alerts", Some(alerts))
            .await
            .map(drop)
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.call(Method::GET, path, None).await?;
        serde_json::from_value(answer).with_context(|| {
            format!(
                "{} answers at {path} with something else than an alert-router",
                self.name
            )
        })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let path = format!("{}{path}", self.prefix);
        let answer = self.tunnel.ask(method, Some(&path), body).await;
        answer.with_context(|| format!("{} does not answer as it should", self.name))
    }
}
