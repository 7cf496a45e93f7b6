//! Moving in beside node_exporter and Alertmanager: their silences are taken over, and what both give is compared, before ours take their
//! place (`replaces` and `ports` of config.json do that).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use client::{Method, Url};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    install::{chosen, runtime},
    lock::{Journal, Lock},
    network::{Network, Node, Role},
    output,
    remote::Remotes,
    roles::{self, Materials},
    silence::SILENCES,
    tunnel::Tunnel,
};

const ALERTS: &str = "/api/v2/alerts";
/// What programs tell of themselves is different by its nature.
const OF_ITSELF: &[&str] = &[
    "go_",
    "node_exporter_build_info",
    "node_scrape_collector_",
    "process_",
    "promhttp_",
];
/// Names of metrics that are shown of each node.
const SHOWN: usize = 10;

/// `provisioner move-in`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Which metrics of node_exporter, and which alerts of Alertmanager, ours have not; exit code 1 when there are some
    Compare(CompareFlags),
    /// Set the silences of an Alertmanager in alert-router, too
    Silences(SilencesFlags),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareFlags {
    /// Nodes or roles; all without
    targets: Vec<String>,
    /// Where node_exporter listens on each node
    #[arg(long, value_name = "PORT", default_value_t = 9100)]
    node_exporter_port: u16,
    /// Alertmanager, as the monitor reaches it; none is compared without
    #[arg(long, value_name = "URL")]
    alertmanager: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SilencesFlags {
    /// Alertmanager, as the monitor reaches it
    #[arg(long, value_name = "URL")]
    alertmanager: String,
    /// Say which would be set, and set none
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(folder: &Path, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Compare(flags) => compare(folder, flags),
        Command::Silences(flags) => silences(folder, flags),
    }
}

/// What two programs of a node give.
#[derive(Debug, Serialize)]
struct Compared {
    node: String,
    what: &'static str,
    /// Of theirs.
    all: usize,
    /// Of theirs, what ours have not, by name.
    missing: BTreeMap<String, Missing>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Missing {
    count: usize,
    example: String,
}

fn compare(folder: &Path, flags: &CompareFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let nodes = chosen(&network, &flags.targets)?;
    let materials = Materials::open(&network, jiff::Timestamp::now())?;
    let compared = runtime()?.block_on(async {
        let remotes = Remotes::open(&network)?;
        let mut compared = Vec::new();
        for node in &nodes {
            let remote = remotes.connect(node).await?;
            let address = roles::socket(&node.private_address, flags.node_exporter_port);
            let url = format!("http://{address}/metrics");
            let theirs = Tunnel::open(&remote, node, &url, None, &materials.pki).await?;
            let theirs = theirs.text(None).await;
            let theirs = theirs.with_context(|| format!("{}: node_exporter", node.name))?;
            let ours = roles::node_exporter(&network, &remote, node, &materials).await?;
            let ours = ours.text(None).await;
            let ours = ours.with_context(|| format!("{}: node-exporter", node.name))?;
            compared.push(difference(
                &node.name,
                "series",
                &series(&theirs),
                &series(&ours),
            ));
        }
        if let Some(url) = &flags.alertmanager {
            let (theirs, ours) = routers(&network, &remotes, &materials, url).await?;
            let theirs = alerts(&theirs.ask(Method::GET, Some(ALERTS), None).await?);
            let ours = alerts(&ours.ask(Method::GET, Some(ALERTS), None).await?);
            compared.push(difference("alertmanager", "alerts", &theirs, &ours));
        }
        anyhow::Ok(compared)
    })?;
    if flags.json {
        output::say(serde_json::to_string_pretty(&compared)?);
    } else {
        compared.iter().for_each(say);
    }
    let is_all_there = compared.iter().all(|it| it.missing.is_empty());
    Ok(ExitCode::from(u8::from(!is_all_there)))
}

fn say(compared: &Compared) {
    let Compared {
        node,
        what,
        all,
        missing,
    } = compared;
    let count: usize = missing.values().map(|it| it.count).sum();
    output::say(format!(
        "{node}: {} of {all} {what} are ours too",
        all - count
    ));
    for (name, Missing { count, example }) in missing.iter().take(SHOWN) {
        output::say(format!("  {name}: {count} missing, such as {example}"));
    }
    if missing.len() > SHOWN {
        output::say(format!("  and {} more names", missing.len() - SHOWN));
    }
}

/// Sets of whatever is in one and not in the other, counted by the first word of each.
fn difference(
    node: &str,
    what: &'static str,
    theirs: &BTreeSet<String>,
    ours: &BTreeSet<String>,
) -> Compared {
    let mut missing: BTreeMap<String, Missing> = BTreeMap::new();
    for it in theirs.difference(ours) {
        let name = it.split(['{', ' ']).next().unwrap_or(it);
        let missing = missing.entry(name.to_owned()).or_default();
        missing.count += 1;
        it.clone_into(&mut missing.example);
    }
    Compared {
        node: node.to_owned(),
        what,
        all: theirs.len(),
        missing,
    }
}

/// Names and labels in the text format 0.0.4, but for what is about the exporter itself.
fn series(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|it| !it.starts_with('#'));
    lines
        .filter(|line| !OF_ITSELF.iter().any(|it| line.starts_with(it)))
        .filter_map(|it| Some(without_empty(it.rsplit_once(' ')?.0)))
        .collect()
}

/// An empty label is none.
fn without_empty(series: &str) -> String {
    let parts = series.strip_suffix("\"}").and_then(|it| it.split_once('{'));
    let Some((name, labels)) = parts else {
        return series.to_owned();
    };
    let labels = labels.split("\",").filter(|it| !it.ends_with("=\""));
    let labels: Vec<_> = labels.collect();
    if labels.is_empty() {
        return name.to_owned();
    }
    format!("{name}{{{}\"}}", labels.join("\","))
}

/// The labels of alerts, with their names first.
fn alerts(answer: &Value) -> BTreeSet<String> {
    let each = answer.as_array().into_iter().flatten();
    each.filter_map(|it| {
        let labels = it.get("labels")?;
        let name = labels.get("alertname")?.as_str()?;
        Some(format!("{name} {labels}"))
    })
    .collect()
}

/// Silences that are there, or will be, and are not ours yet.
fn silences(folder: &Path, flags: &SilencesFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let _lock = Lock::take(folder, "move-in silences")?;
    let journal = Journal::new(folder, "move-in silences");
    let materials = Materials::open(&network, jiff::Timestamp::now())?;
    runtime()?.block_on(async {
        let remotes = Remotes::open(&network)?;
        let (theirs, ours) = routers(&network, &remotes, &materials, &flags.alertmanager).await?;
        let theirs = theirs.ask(Method::GET, Some(SILENCES), None).await?;
        let known = ours.ask(Method::GET, Some(SILENCES), None).await?;
        let missing = missing_silences(&theirs, &known);
        for silence in &missing {
            let what = format!(
                "silence by {} until {}: {}",
                silence["createdBy"], silence["endsAt"], silence["comment"]
            );
            if !flags.dry_run {
                let set = ours.ask(Method::POST, Some(SILENCES), Some(silence)).await;
                set.with_context(|| format!("alert-router does not take the {what}"))?;
                journal.note(None, &what)?;
            }
            output::say(what);
        }
        let would = if flags.dry_run { " would be" } else { "" };
        output::say(format!("{}{would} set", missing.len()));
        Ok(ExitCode::SUCCESS)
    })
}

/// As alert-router takes them.
fn missing_silences(theirs: &Value, ours: &Value) -> Vec<Value> {
    let shape = |silence: &Value| {
        let mut matchers = silence.get("matchers")?.as_array()?.clone();
        // Which Alertmanager before 0.22 does not say.
        for matcher in &mut matchers {
            let matcher = matcher.as_object_mut()?;
            matcher.entry("isEqual").or_insert(Value::Bool(true));
        }
        matchers.sort_by_key(Value::to_string);
        let state = silence.get("status")?.get("state")?.as_str()?;
        let text = |key: &str| silence.get(key).cloned().unwrap_or_default();
        (state != "expired").then(|| {
            json!({
                "matchers": matchers,
                "startsAt": text("startsAt"),
                "endsAt": text("endsAt"),
                "createdBy": text("createdBy"),
                "comment": text("comment"),
            })
        })
    };
    let shapes = |all: &Value| -> Vec<Value> {
        let each = all.as_array().into_iter().flatten();
        each.filter_map(shape).collect()
    };
    // The time of a start is moved to the present where it is past.
    let without_start = |it: &Value| {
        let mut it = it.clone();
        it["startsAt"].take();
        it
    };
    let known: Vec<_> = shapes(ours).iter().map(without_start).collect();
    let mut missing = shapes(theirs);
    missing.retain(|it| !known.contains(&without_start(it)));
    missing
}

/// Theirs and ours, both by the monitor.
async fn routers(
    network: &Network,
    remotes: &Remotes,
    materials: &Materials,
    url: &str,
) -> anyhow::Result<(Tunnel, Tunnel)> {
    let parsed = Url::parse(url).with_context(|| format!("--alertmanager: {url} is no URL"))?;
    if parsed.host_str().is_none() || !parsed.username().is_empty() {
        bail!("--alertmanager: expected a URL without a user, such as http://127.0.0.1:9093");
    }
    let ours = roles::alert_router(network, remotes, materials).await?;
    let ours = ours.context("this environment has no alert-router")?;
    let is_monitor = |it: &&Node| it.roles.contains(&Role::Monitor);
    let monitor = network.nodes.iter().find(is_monitor);
    let monitor = monitor.context("this environment has no monitor")?;
    let remote = remotes.connect(monitor).await?;
    let theirs = Tunnel::open(&remote, monitor, url, None, &materials.pki).await?;
    Ok((theirs.holding(remote), ours))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{alerts, difference, missing_silences, series};

    #[test]
    fn what_is_missing() {
        let theirs = "# HELP node_a A.\nnode_a{x=\"1 }\"} 1\nnode_a{x=\"2\",y=\"\"} 1e+06\nnode_b{z=\"\"} 3\ngo_goroutines 7\n";
        let ours = "node_a{x=\"2\"} 5\nnode_c 1\n";
        let compared = difference("n1", "series", &series(theirs), &series(ours));
        assert_eq!(compared.all, 3);
        let missing = compared.missing.iter();
        let missing: Vec<_> = missing
            .map(|(name, it)| format!("{name} {} {}", it.count, it.example))
            .collect();
        assert_eq!(missing, ["node_a 1 node_a{x=\"1 }\"}", "node_b 1 node_b"]);
        let alert = |instance: &str| json!({"labels": {"alertname": "A", "instance": instance}});
        let found = alerts(&json!([alert("1"), alert("2"), {"labels": {}}]));
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|it| it.starts_with("A ")), "{found:?}");
    }

    #[test]
    fn silences() {
        let silence = |state: &str, start: &str, comment: &str| {
            json!({"id": "1", "status": {"state": state}, "startsAt": start, "endsAt": "2030-01-01T00:00:00.000Z",
                "createdBy": "a", "comment": comment, "updatedAt": "x",
                "matchers": [{"name": "b", "value": "c", "isRegex": false}]})
        };
        let theirs = json!([
            silence("active", "2026-01-01T00:00:00Z", "one"),
            silence("pending", "2029-01-01T00:00:00Z", "two"),
            silence("expired", "2026-01-01T00:00:00Z", "three"),
        ]);
        let missing = missing_silences(&theirs, &json!([]));
        assert_eq!(missing.len(), 2);
        assert_eq!(
            missing[1],
            json!({"matchers": [{"name": "b", "value": "c", "isRegex": false, "isEqual": true}], "startsAt": "2029-01-01T00:00:00Z",
                "endsAt": "2030-01-01T00:00:00.000Z", "createdBy": "a", "comment": "two"})
        );
        let ours = json!([silence("active", "2026-02-02T00:00:00Z", "one")]);
        let missing = missing_silences(&theirs, &ours);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0]["comment"], "two");
        assert!(missing_silences(&json!({"error": "x"}), &ours).is_empty());
    }
}
