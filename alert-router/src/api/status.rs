//! What alert-router says of itself: version, configuration, peers, receivers, and what it told of late.

use daemon::http::{Reply, Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Api, error, json as write, query::filter, to_json};
use crate::{engine::Stopping, history};

/// Lines of the history in one answer.
const MAX_LINES: usize = 10_000;
const LINES: usize = 1000;

impl Api {
    pub(super) async fn get_receivers(&self, request: &Request) -> Result<Reply, Stopping> {
        let mut matchers = Vec::new();
        for (name, value) in request.query_pairs() {
            if name == "receiver_matchers" {
                match filter(&value) {
                    Ok(mut some) => matchers.append(&mut some),
                    Err(refusal) => return Ok(*refusal),
                }
            }
        }
        let receivers = self.engine.look(move |core, _| {
            let all = core.config().receivers.iter();
            let wanted = all.filter(|it| matchers.iter().all(|wanted| wanted.matches(&it.labels)));
            let shown = wanted.map(|it| json!({"labels": it.labels, "name": it.name}));
            shown.collect::<Vec<_>>()
        });
        Ok(to_json(StatusCode::OK, &receivers.await?))
    }

    pub(super) async fn get_integrations(&self) -> Result<Reply, Stopping> {
        let receivers = self.engine.look(|core, _| {
            let receivers = core.config().receivers.iter().map(|receiver| {
                let integrations = receiver.integrations.iter().map(|it| {
                    json!({"integration": it.name(), "index": it.index, "send_resolved": it.send_resolved})
                });
                json!({"name": receiver.name, "integrations": integrations.collect::<Vec<_>>()})
            });
            receivers.collect::<Vec<_>>()
        });
        Ok(to_json(StatusCode::OK, &receivers.await?))
    }

    pub(super) async fn get_notifications(&self, request: &Request) -> Result<Reply, Stopping> {
        let pairs = request.query_pairs();
        let wanted = pairs.into_iter().find(|(name, _)| name == "fingerprint");
        Ok(to_json(
            StatusCode::OK,
            &self.engine.history(wanted.map(|it| it.1)).await?,
        ))
    }

    /// Lines of the history on disk, newest first.
    pub(super) async fn get_history(&self, request: &Request) -> Result<Reply, Stopping> {
        let mut query = history::Query {
            limit: LINES,
            ..history::Query::default()
        };
        for (name, value) in request.query_pairs() {
            let wrong = |what: &str| {
                error(
                    StatusCode::BAD_REQUEST,
                    &format!("{name}: {value:?} is no {what}"),
                )
            };
            match name.as_str() {
                "kind" => query.kind = Some(value),
                "receiver" => query.receiver = Some(value),
                "fingerprint" => query.fingerprint = Some(value),
                "alertname" => query.alertname = Some(value),
                "since" | "until" => {
                    let Ok(time) = value.parse::<Timestamp>() else {
                        return Ok(wrong("time of RFC 3339, such as 2026-01-02T15:04:05Z"));
                    };
                    match name.as_str() {
                        "since" => query.since = Some(time),
                        _ => query.until = Some(time),
                    }
                }
                "limit" => match value.parse::<usize>() {
                    Ok(limit) if (1..=MAX_LINES).contains(&limit) => query.limit = limit,
                    _ => return Ok(wrong("number from 1 to 10000")),
                },
                _ => {
                    let text = format!(
                        "unknown parameter {name}; known: kind, receiver, fingerprint, alertname, since, until, limit"
                    );
                    return Ok(error(StatusCode::BAD_REQUEST, &text));
                }
            }
        }
        let folder = self.storage.clone();
        let found = tokio::task::spawn_blocking(move || history::query(&folder, &query)).await;
        Ok(match found {
            Ok(Ok(found)) => to_json(StatusCode::OK, &found),
            Ok(Err(reason)) => error(
                StatusCode::INTERNAL_SERVER_ERROR,
                &format!("cannot read the history: {reason}"),
            ),
            Err(_) => error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the history's reader panicked",
            ),
        })
    }

    pub(super) async fn get_status(&self) -> Result<Reply, Stopping> {
        let shown = self
            .engine
            .look(|core, _| core.config().shown.clone())
            .await?;
        let cluster = if self.peer.is_empty() {
            json!({"peers": [], "status": "disabled"})
        } else {
            let peers: Vec<Value> = self
                .address
                .get()
                .map(|address| json!({"address": address, "name": self.peer}))
                .into_iter()
                .collect();
            json!({"name": self.peer, "peers": peers, "status": "ready"})
        };
        let mut uptime = Vec::new();
        write::time(&mut uptime, self.started);
        let uptime = String::from_utf8_lossy(&uptime);
        let status = json!({
            "cluster": cluster,
            "config": {"original": shown},
            "uptime": uptime.trim_matches('"'),
            "versionInfo": {
                "branch": "",
                "buildDate": "",
                "buildUser": "",
                "goVersion": "",
                "revision": daemon::Program::REVISION,
                "version": env!("CARGO_PKG_VERSION"),
            },
        });
        Ok(to_json(StatusCode::OK, &status))
    }
}
