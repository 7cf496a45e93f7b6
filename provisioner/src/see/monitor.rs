//! What the programs that watch say themselves: Prometheus of its targets, alert-router of what it told people, cassandra-exporter of the ring.

use std::collections::BTreeMap;

use anyhow::Context as _;
use client::Method;
use jiff::Timestamp;
use serde::Deserialize;

use crate::tunnel::Tunnel;

/// A target of Prometheus.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) job: String,
    pub(crate) instance: String,
    /// `up`, `down` or `unknown`.
    pub(crate) health: String,
    pub(crate) error: String,
}

/// What came of telling people.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Deliveries {
    /// The last one of each way, sorted by it.
    pub(crate) last: Vec<Delivery>,
    /// Notifications that failed since the start.
    pub(crate) failed: f64,
    /// Groups that wait for others to be told.
    pub(crate) waiting: f64,
    /// Whether the disk takes what must not be lost.
    pub(crate) is_stored: bool,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) time: Timestamp,
    pub(crate) receiver: String,
    pub(crate) integration: String,
    pub(crate) index: u64,
    pub(crate) status: String,
    pub(crate) error: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    active_targets: Vec<ActiveTarget>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTarget {
    labels: BTreeMap<String, String>,
    health: String,
    last_error: String,
}

/// An answer of Prometheus.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

/// Asks Prometheus' API.
pub(crate) async fn prometheus<T: for<'de> Deserialize<'de>>(
    tunnel: &Tunnel,
    path: &str,
) -> anyhow::Result<T> {
    let answer = tunnel.ask(Method::GET, Some(path), None).await?;
    let answer: Answer<T> = serde_json::from_value(answer)
        .with_context(|| format!("{path} does not answer as Prometheus does"))?;
    Ok(answer.data)
}

/// Whom Prometheus scrapes, sorted.
pub(crate) async fn targets(tunnel: &Tunnel) -> anyhow::Result<Vec<Target>> {
    let found: Targets = prometheus(tunnel, "/api/v1/targets?state=active").await?;
    let target = |it: ActiveTarget| {
        let label = |name| it.labels.get(name).cloned().unwrap_or_default();
        Target {
            job: label("job"),
            instance: label("instance"),
            health: it.health,
            error: it.last_error,
        }
    };
    let mut targets: Vec<_> = found.active_targets.into_iter().map(target).collect();
    targets.sort();
    Ok(targets)
}

/// What alert-router told people.
pub(super) async fn deliveries(tunnel: &Tunnel) -> anyhow::Result<Deliveries> {
    let path = "/api/ext/v1/notifications";
    let all = tunnel.ask(Method::GET, Some(path), None).await?;
    let all: Vec<Delivery> = serde_json::from_value(all)
        .with_context(|| format!("{path} does not answer as alert-router does"))?;
    let text = tunnel.text(Some("/metrics")).await?;
    Ok(Deliveries {
        last: last(all),
        failed: sum(&text, "alertmanager_notifications_failed_total"),
        waiting: sum(&text, "alert_router_notifications_waiting"),
        is_stored: sum(&text, "alert_router_storage_healthy") > 0.0,
    })
}

/// The last of each way.
fn last(all: Vec<Delivery>) -> Vec<Delivery> {
    let mut last: BTreeMap<_, Delivery> = BTreeMap::new();
    for it in all {
        let way = (it.receiver.clone(), it.integration.clone(), it.index);
        if last.get(&way).is_none_or(|before| before.time <= it.time) {
            last.insert(way, it);
        }
    }
    last.into_values().collect()
}

/// The members of the ring that a node of Cassandra is in.
pub(super) async fn ring(tunnel: &Tunnel) -> anyhow::Result<BTreeMap<String, u64>> {
    let members = members(&tunnel.text(Some("/metrics")).await?);
    anyhow::ensure!(
        !members.is_empty(),
        "cassandra-exporter knows nothing of the ring: Jolokia does not answer it"
    );
    Ok(members)
}

fn members(text: &str) -> BTreeMap<String, u64> {
    let lines = text.lines();
    let states = lines.filter_map(|it| it.strip_prefix("cassandra_endpoints{state=\""));
    let states = states.filter_map(|it| {
        let (state, count) = it.split_once("\"} ")?;
        Some((state.to_owned(), count.parse().ok()?))
    });
    states.filter(|it| it.1 > 0).collect()
}

/// The sum of a metric of ours, whose text has no spaces in labels' values.
fn sum(text: &str, metric: &str) -> f64 {
    let lines = text.lines().filter_map(|it| it.strip_prefix(metric));
    let lines = lines.filter(|it| it.starts_with(['{', ' ']));
    let values = lines.filter_map(|it| it.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::{Delivery, last, members, sum};

    #[test]
    fn metrics() {
        let text = "# HELP a b\n# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3.5\nab 7\nb 1\n\
            cassandra_endpoints{state=\"DJ\"} 0\ncassandra_endpoints{state=\"DN\"} 1\ncassandra_endpoints{state=\"UN\"} 2\n";
        assert_eq!(
            (sum(text, "a"), sum(text, "b"), sum(text, "c")),
            (5.5, 1.0, 0.0)
        );
        let members = members(text);
        assert_eq!((members["DN"], members["UN"], members.len()), (1, 2, 2));
    }

    /// What cassandra-exporter wrote of a real node.
    #[test]
    fn a_ring_of_one() {
        let golden = testkit::root().join("cassandra-exporter/tests/golden");
        let mut pages = std::fs::read_dir(golden).unwrap().flatten();
        let page = pages.find(|it| it.path().extension().is_some_and(|it| it == "prom"));
        let text = std::fs::read_to_string(page.unwrap().path()).unwrap();
        assert_eq!(members(&text), [("UN".to_owned(), 1)].into());
    }

    #[test]
    fn the_last_of_each_way() {
        let delivery = |index, second: i64, status: &str| Delivery {
            time: jiff::Timestamp::from_second(second).unwrap(),
            receiver: "team".to_owned(),
            integration: "slack".to_owned(),
            index,
            status: status.to_owned(),
            error: String::new(),
        };
        let all = vec![
            delivery(1, 5, "sent"),
            delivery(0, 9, "failed"),
            delivery(0, 3, "sent"),
        ];
        let last: Vec<_> = last(all).into_iter().map(|it| it.status).collect();
        assert_eq!(last, ["failed", "sent"]);
    }
}
