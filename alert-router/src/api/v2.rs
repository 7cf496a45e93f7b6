//! Alertmanager's API v2 (`api/v2/openapi.yaml` there), and our own beside it.

use std::collections::BTreeMap;

use daemon::http::{Reply, Request, StatusCode};
use jiff::Timestamp;
use regex::Regex;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Api, MAX_BODY, error, to_json};
use crate::{
    alert::{Alert, Fingerprint, Pairs, Posted},
    config::Config,
    engine::{Snapshot, Stopping},
    go_regex,
    matcher::Matcher,
};

/// More alerts in one body than any sender puts there.
const MAX_POSTED: usize = 50_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    annotations: &'a Pairs,
    ends_at: String,
    fingerprint: String,
    receivers: Vec<Named>,
    starts_at: String,
    status: ShownStatus,
    updated_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "str::is_empty")]
    generator_url: &'a str,
    labels: &'a Pairs,
}

#[derive(Serialize, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownStatus {
    inhibited_by: Vec<String>,
    muted_by: [String; 0],
    silenced_by: [String; 0],
    state: &'static str,
}

/// What a query asks for.
struct Query {
    active: bool,
    inhibited: bool,
    matchers: Vec<Matcher>,
    receiver: Option<Regex>,
}

impl Api {
    pub(super) async fn get_alerts(&self, request: &Request) -> Result<Reply, Stopping> {
        let query = match Query::read(request) {
            Ok(query) => query,
            Err(refusal) => return Ok(*refusal),
        };
        let snapshot = self.engine.alerts().await?;
        Ok(to_json(
            StatusCode::OK,
            &query.shown(&snapshot, snapshot.alerts.iter()),
        ))
    }

    pub(super) async fn get_groups(&self, request: &Request) -> Result<Reply, Stopping> {
        let query = match Query::read(request) {
            Ok(query) => query,
            Err(refusal) => return Ok(*refusal),
        };
        let snapshot = self.engine.alerts().await?;
        let mut groups = Vec::new();
        for group in self.engine.groups().await? {
            if query
                .receiver
                .as_ref()
                .is_some_and(|it| !it.is_match(&group.receiver))
            {
                continue;
            }
            let alerts = query.shown(&snapshot, group.alerts.iter());
            if !alerts.is_empty() {
                groups.push(json!({"alerts": alerts, "labels": group.labels, "receiver": {"name": group.receiver}}));
            }
        }
        Ok(to_json(StatusCode::OK, &groups))
    }

    pub(super) async fn get_receivers(&self) -> Result<Reply, Stopping> {
        let snapshot = self.engine.alerts().await?;
        let names = snapshot.config.receivers.iter().map(|it| Named {
            name: it.name.clone(),
        });
        Ok(to_json(StatusCode::OK, &names.collect::<Vec<_>>()))
    }

    pub(super) async fn get_integrations(&self) -> Result<Reply, Stopping> {
        let snapshot = self.engine.alerts().await?;
        let receivers = snapshot.config.receivers.iter().map(|receiver| {
            let integrations = receiver.integrations.iter().map(|it| {
                json!({"integration": it.name(), "index": it.index, "send_resolved": it.send_resolved})
            });
            json!({"name": receiver.name, "integrations": integrations.collect::<Vec<_>>()})
        });
        Ok(to_json(StatusCode::OK, &receivers.collect::<Vec<_>>()))
    }

    pub(super) async fn get_notifications(&self, request: &Request) -> Result<Reply, Stopping> {
        let pairs = request.query_pairs();
        let wanted = pairs.into_iter().find(|(name, _)| name == "fingerprint");
        Ok(to_json(
            StatusCode::OK,
            &self.engine.history(wanted.map(|it| it.1)).await?,
        ))
    }

    pub(super) async fn get_status(&self) -> Result<Reply, Stopping> {
        let snapshot = self.engine.alerts().await?;
        let peers: Vec<Value> = self
            .address
            .get()
            .map(|address| json!({"name": "alert-router", "address": address}))
            .into_iter()
            .collect();
        let status = json!({
            "cluster": {"name": "alert-router", "peers": peers, "status": "ready"},
            "config": {"original": snapshot.config.shown},
            "uptime": time(self.started),
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

    pub(super) async fn post_alerts(&self, request: Request) -> Result<Reply, Stopping> {
        let kind = request.header("content-type").unwrap_or("").to_owned();
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let text =
                format!("unsupported media type {kind:?}, only [application/json] are allowed");
            return Ok(to_json(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                &json!({"code": 415, "message": text}),
            ));
        }
        let body = match request.body(MAX_BODY).await {
            Ok(body) => body,
            Err(refusal) => return Ok(refusal),
        };
        let posted = match parse(&body) {
            Ok(posted) => posted,
            Err((status, code, message)) => {
                self.metrics.invalid(1);
                return Ok(to_json(status, &json!({"code": code, "message": message})));
            }
        };
        let results = self.engine.post(posted).await?;
        let errors: Vec<_> = results
            .into_iter()
            .filter_map(Result::err)
            .map(|it| it.to_string())
            .collect();
        if errors.is_empty() {
            return Ok(daemon::http::text(StatusCode::OK, ""));
        }
        // The good ones are taken all the same.
        tracing::warn!(
            error = errors.first(),
            count = errors.len(),
            "alerts refused"
        );
        Ok(error(StatusCode::BAD_REQUEST, &errors.join("; ")))
    }
}

pub(super) type Refusal = (StatusCode, u16, String);

/// A body of alerts. What is missing or of another type is said as Alertmanager's validation says it.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Posted>, Refusal> {
    let bad = |reason: String| {
        (
            StatusCode::BAD_REQUEST,
            400,
            format!("parsing alerts body from \"\" failed, because {reason}"),
        )
    };
    let value: Value = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    let Value::Array(alerts) = value else {
        return Err(bad("the body is no list of alerts".to_owned()));
    };
    if alerts.len() > MAX_POSTED {
        return Err(bad(format!("the body has more than {MAX_POSTED} alerts")));
    }
    alerts
        .into_iter()
        .enumerate()
        .map(|(index, alert)| one(index, alert))
        .collect()
}

fn one(index: usize, alert: Value) -> Result<Posted, Refusal> {
    let bad = |reason: String| {
        (
            StatusCode::BAD_REQUEST,
            400,
            format!("parsing alerts body from \"\" failed, because {reason}"),
        )
    };
    let Value::Object(mut alert) = alert else {
        return Err(bad(format!("alert {index} is no object")));
    };
    let labels = match alert.remove("labels") {
        None | Some(Value::Null) => {
            let message = format!("{index}.labels in body is required");
            return Err((StatusCode::UNPROCESSABLE_ENTITY, 602, message));
        }
        Some(labels) => pairs(labels)
            .ok_or_else(|| bad(format!("labels of alert {index} are not names to texts")))?,
    };
    let annotations = match alert.remove("annotations") {
        None | Some(Value::Null) => Pairs::new(),
        Some(it) => pairs(it).ok_or_else(|| {
            bad(format!(
                "annotations of alert {index} are not names to texts"
            ))
        })?,
    };
    let mut time = |key: &str| match alert.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => {
            let time: Timestamp = text.parse().map_err(|_error| {
                bad(format!(
                    "{key} of alert {index}, {text:?}, is no time of RFC 3339"
                ))
            })?;
            // Go's zero time means that none is given.
            Ok((time.as_second() > -62_135_596_800).then_some(time))
        }
        Some(_) => Err(bad(format!("{key} of alert {index} is no text"))),
    };
    let (starts_at, ends_at) = (time("startsAt")?, time("endsAt")?);
    let generator_url = match alert.remove("generatorURL") {
        Some(Value::String(url)) => url,
        _ => String::new(),
    };
    Ok(Posted {
        labels,
        annotations,
        starts_at,
        ends_at,
        generator_url,
    })
}

fn pairs(value: Value) -> Option<Pairs> {
    let Value::Object(map) = value else {
        return None;
    };
    map.into_iter()
        .map(|(name, value)| match value {
            Value::String(value) => Some((name, value)),
            _ => None,
        })
        .collect::<Option<BTreeMap<_, _>>>()
}

impl Query {
    fn read(request: &Request) -> Result<Self, Box<Reply>> {
        let mut query = Self {
            active: true,
            inhibited: true,
            matchers: Vec::new(),
            receiver: None,
        };
        for (name, value) in request.query_pairs() {
            match name.as_str() {
                "filter" => match Matcher::parse_all(&value) {
                    Ok(mut some) => query.matchers.append(&mut some),
                    Err(it) => {
                        return Err(Box::new(error(StatusCode::BAD_REQUEST, &it.to_string())));
                    }
                },
                "receiver" if !value.is_empty() => {
                    match go_regex::compile(&format!("^(?:{value})$")) {
                        Ok(regex) => query.receiver = Some(regex),
                        Err(_) => {
                            let text = format!(
                                "failed to parse receiver param: {value:?} is no regular expression"
                            );
                            return Err(Box::new(error(StatusCode::BAD_REQUEST, &text)));
                        }
                    }
                }
                "active" | "silenced" | "inhibited" | "unprocessed" | "muted" => {
                    let Some(on) = boolean(&value) else {
                        let text = format!("{name} in query must be of type boolean: {value:?}");
                        return Err(Box::new(to_json(
                            StatusCode::UNPROCESSABLE_ENTITY,
                            &json!({"code": 601, "message": text}),
                        )));
                    };
                    // Nothing is silenced or muted as yet.
                    match name.as_str() {
                        "active" => query.active = on,
                        "inhibited" => query.inhibited = on,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        Ok(query)
    }

    fn shown<'a>(
        &self,
        snapshot: &'a Snapshot,
        alerts: impl Iterator<Item = &'a (Fingerprint, Alert)>,
    ) -> Vec<Shown<'a>> {
        let mut shown = Vec::new();
        for (fingerprint, alert) in alerts {
            let inhibited_by = snapshot.inhibited.get(fingerprint);
            let is_wanted = if inhibited_by.is_some() {
                self.inhibited
            } else {
                self.active
            };
            if !is_wanted
                || alert.resolved(snapshot.now)
                || !self.matchers.iter().all(|it| it.matches(&alert.labels))
            {
                continue;
            }
            let receivers = receivers(&snapshot.config, alert);
            if self
                .receiver
                .as_ref()
                .is_some_and(|wanted| !receivers.iter().any(|it| wanted.is_match(&it.name)))
            {
                continue;
            }
            shown.push(Shown {
                annotations: &alert.annotations,
                ends_at: time(alert.ends_at),
                fingerprint: fingerprint.to_string(),
                receivers,
                starts_at: time(alert.starts_at),
                status: ShownStatus {
                    inhibited_by: inhibited_by.map(ToString::to_string).into_iter().collect(),
                    muted_by: [],
                    silenced_by: [],
                    state: if inhibited_by.is_some() {
                        "suppressed"
                    } else {
                        "active"
                    },
                },
                updated_at: time(alert.updated_at),
                generator_url: &alert.generator_url,
                labels: &alert.labels,
            });
        }
        shown.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
        shown
    }
}

fn receivers(config: &Config, alert: &Alert) -> Vec<Named> {
    let routes = config.route.matching(&alert.labels);
    let mut names: Vec<_> = routes
        .iter()
        .map(|it| Named {
            name: it.receiver.clone(),
        })
        .collect();
    names.dedup();
    names
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Milliseconds and `Z`, as Alertmanager's clients read it.
fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn bodies() {
        for (body, expect) in [
            ("[]", Ok(0)),
            (r#"[{"labels":{"a":"b"}}]"#, Ok(1)),
            (
                r#"[{"labels":{"a":"b"},"startsAt":"2026-01-01T00:00:00.5+09:00","endsAt":"0001-01-01T00:00:00Z","unknown":1}]"#,
                Ok(1),
            ),
            (
                r#"[{"labels":{"a":"b"}},{}]"#,
                Err((422, 602, "1.labels in body is required")),
            ),
            ("{}", Err((400, 400, "the body is no list of alerts"))),
            ("[1]", Err((400, 400, "alert 0 is no object"))),
            ("[", Err((400, 400, "EOF while parsing"))),
            (
                r#"[{"labels":{"a":1}}]"#,
                Err((400, 400, "labels of alert 0 are not names to texts")),
            ),
            (
                r#"[{"labels":{"a":"b"},"endsAt":"soon"}]"#,
                Err((400, 400, "endsAt of alert 0, \"soon\", is no time")),
            ),
            (
                r#"[{"labels":{"a":"b"},"endsAt":5}]"#,
                Err((400, 400, "endsAt of alert 0 is no text")),
            ),
        ] {
            match (parse(body.as_bytes()), expect) {
                (Ok(posted), Ok(count)) => assert_eq!(posted.len(), count, "{body}"),
                (Err((status, code, message)), Err(expect)) => {
                    assert_eq!((status.as_u16(), code), (expect.0, expect.1), "{body}");
                    assert!(message.contains(expect.2), "{message}");
                }
                (found, _) => panic!("{body}: {found:?}"),
            }
        }
    }
}
