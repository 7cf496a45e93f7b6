//! `provisioner alerts test`: an alert that is none, all the way to the people, and its end.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use client::{Client, Method};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{local::State, output};

/// For one answer of alert-router.
const CALL: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 16 << 20;

#[derive(Debug, Args)]
pub(crate) struct TestFlags {
    /// Where alert-router is [default: that of the local network]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// State folder of the local network, when it is not the usual one
    #[arg(long, value_name = "FOLDER", env = "PROVISIONER_LOCAL_STATE_DIR")]
    state_dir: Option<std::path::PathBuf>,
    /// How long to wait for every receiver, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A way to people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Way {
    receiver: String,
    integration: String,
    index: u64,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Outcome {
    #[serde(flatten)]
    way: Way,
    /// `firing` or `resolved`.
    what: &'static str,
    /// `sent`, `failed`, or `silent` when nothing was heard in time.
    status: String,
    /// Since the alert was posted.
    seconds: Option<f64>,
    error: String,
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
struct Router {
    url: String,
    http: Client,
}

/// Sends the alert, waits, resolves it, waits, and reports.
pub(crate) fn test(flags: &TestFlags) -> anyhow::Result<ExitCode> {
    let url = match &flags.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => State::at(flags.state_dir.clone())?
            .url("alert-router")?
            .context("no local network runs here; say with --url where alert-router is")?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let settings = client::Settings::new("provisioner", CALL);
    let router = Router {
        url,
        http: client::client(&settings).context("cannot make an HTTP client")?,
    };
    let outcomes = runtime.block_on(router.test(Duration::from_secs(flags.timeout)))?;
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
    async fn test(&self, timeout: Duration) -> anyhow::Result<Vec<Outcome>> {
        let now = jiff::Timestamp::now();
        let labels = json!({
            "alertname": "ProvisionerTest",
            "severity": "info",
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
        self.call(Method::POST, "/api/v2/alerts", Some(alerts.to_string()))
            .await
            .map(drop)
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> anyhow::Result<T> {
        let body = self.call(Method::GET, path, None).await?;
        serde_json::from_slice(&body).with_context(|| {
            format!(
                "{}{path} answers with something else than an alert-router",
                self.url
            )
        })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}{path}", self.url);
        let mut request = self.http.request(method, &url);
        if let Some(body) = body {
            request = request
                .header(client::header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        let response = request.send().await.with_context(|| {
            format!(
                "alert-router does not answer at {}; is it running?",
                self.url
            )
        })?;
        let status = response.status();
        let body = client::body(response, MAX_ANSWER)
            .await
            .with_context(|| format!("cannot read the answer of {url}"))?;
        if !status.is_success() {
            let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            bail!("{url} answers {status}: {text}");
        }
        Ok(body)
    }
}
