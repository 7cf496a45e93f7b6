//! Heartbeats both ways: alerts that must be firing, and a URL that is called while all is well here.

use std::{path::Path, time::Duration};

use super::{HttpSettings, SecretSource, http, section::Record, yaml::Mistake};
use crate::matcher::{Matcher, Operator};

/// An alert that must be firing, such as Prometheus' watchdog.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    pub(crate) name: String,
    pub(crate) matchers: Vec<Matcher>,
    /// How long it may be missing before the receiver is told.
    pub(crate) timeout: Duration,
    pub(crate) receiver: String,
}

/// `heartbeat_url:`.
#[derive(Debug)]
pub(crate) struct HeartbeatUrl {
    pub(crate) url: SecretSource,
    pub(crate) interval: Duration,
    pub(crate) http: HttpSettings,
}

pub(super) fn all(records: &[Record], receivers: &[&str]) -> Result<Vec<Heartbeat>, Mistake> {
    let mut found: Vec<Heartbeat> = Vec::new();
    for it in records {
        let receiver = it.text("receiver");
        if !receivers.contains(&receiver) {
            let reason = format!(
                "heartbeats: the receiver {receiver:?} is not defined; add it to receivers"
            );
            return Err(it.wrong("receiver", reason));
        }
        let matchers = it.matchers("matchers");
        let name = it.some_text("name").unwrap_or_else(|| name(matchers));
        if found.iter().any(|it| it.name == name) {
            let reason =
                format!("heartbeats: the name {name:?} is given twice; names must be unique");
            return Err(it.wrong("name", reason));
        }
        found.push(Heartbeat {
            name,
            matchers: matchers.to_vec(),
            timeout: it.span("timeout").unwrap_or_default(),
            receiver: receiver.to_owned(),
        });
    }
    Ok(found)
}

/// The alert's name, or all that is asked of it.
fn name(matchers: &[Matcher]) -> String {
    let named = |it: &&Matcher| it.name == "alertname" && it.operator == Operator::Equal;
    match matchers.iter().find(named) {
        Some(matcher) if matchers.len() == 1 => matcher.value.clone(),
        _ => {
            let texts: Vec<_> = matchers.iter().map(ToString::to_string).collect();
            format!("{{{}}}", texts.join(","))
        }
    }
}

pub(super) fn url(it: &Record, folder: &Path) -> Result<HeartbeatUrl, Mistake> {
    let http = match it.record("http_config") {
        None => HttpSettings::default(),
        Some(http) => {
            let mut http = http.clone();
            http::join(&mut http, folder);
            http::settings(&http)?
        }
    };
    Ok(HeartbeatUrl {
        url: it.source("url", "url_file").unwrap_or_default(),
        interval: it.span("interval").unwrap_or_default(),
        http,
    })
}
