//! Alerts: in by POST, out by GET, a piece at a time, so that many of them take little memory and keep nobody waiting.

use std::sync::Arc;

use daemon::http::{self, Reply, ReplyBody, Request, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::{
    Api, MAX_BODY, body, error, json as write,
    query::{Query, Quiet},
    refusal, to_json,
};
use crate::{
    alert::{AlertError, Fingerprint, Pairs},
    core::{Core, Group, GroupId, label_order, store::Held},
    engine::{Engine, Stopping},
};

/// Bytes of a piece of an answer.
const PIECE: usize = 256 << 10;
/// Alerts that are looked at for a piece.
const LOOKED_AT: usize = 4096;

/// Where the next piece of alerts begins.
enum From {
    /// Behind an alert.
    All(Option<Fingerprint>),
    /// These are left, the next one last.
    Some(Vec<Fingerprint>),
}

impl Api {
    pub(super) async fn get_alerts(&self, request: &Request) -> Result<Reply, Stopping> {
        let query = match Query::read(request) {
            Ok(query) => Arc::new(query),
            Err(refusal) => return Ok(*refusal),
        };
        let first = Arc::clone(&query);
        let (start, now) = self
            .engine
            .look(move |core, now| {
                let some = core.store().candidates(&first.matchers);
                let from = match some {
                    None => From::All(None),
                    Some(found) => From::Some(found.into_iter().rev().map(|it| it.0).collect()),
                };
                (from, now)
            })
            .await?;
        let mut is_first = true;
        let piece = move |core: &Core, from: From, out: &mut Vec<u8>| {
            if out.is_empty() && is_first {
                out.push(b'[');
            }
            let before = out.len();
            let (next, wrote) = alerts(core, &query, from, is_first, now, out);
            if wrote || out.len() > before {
                is_first = false;
            }
            if next.is_none() {
                out.push(b']');
            }
            next
        };
        stream(self.engine.clone(), start, piece).await
    }

    pub(super) async fn get_groups(&self, request: &Request) -> Result<Reply, Stopping> {
        let query = match Query::read(request) {
            Ok(query) => Arc::new(query),
            Err(refusal) => return Ok(*refusal),
        };
        let first = Arc::clone(&query);
        let (start, now) = self
            .engine
            .look(move |core, now| {
                let all = core.groups().iter();
                let wanted = all.filter(|(_, group)| {
                    first.wants_route(core, &group.route)
                        && (first.muted || group.muted_by.is_empty())
                });
                let mut groups: Vec<_> = wanted.collect();
                // The next one last.
                groups.sort_by(|(_, a), (_, b)| {
                    let by_labels = label_order(&b.labels, &a.labels);
                    by_labels.then_with(|| b.route.receiver.cmp(&a.route.receiver))
                });
                let ids: Vec<GroupId> = groups.into_iter().map(|it| it.0).collect();
                (ids, now)
            })
            .await?;
        let mut is_first = true;
        let piece = move |core: &Core, mut left: Vec<GroupId>, out: &mut Vec<u8>| {
            if is_first && out.is_empty() {
                out.push(b'[');
            }
            let mut looked_at = 0;
            while let Some(id) = left.pop() {
                if let Some(group) = core.groups().get(id) {
                    looked_at += group.alerts.len();
                    is_first &= !write_group(core, &query, group, is_first, now, out);
                }
                if out.len() >= PIECE || looked_at >= LOOKED_AT {
                    return Some(left);
                }
            }
            out.push(b']');
            None
        };
        stream(self.engine.clone(), start, piece).await
    }

    pub(super) async fn post_alerts(&self, request: Request) -> Result<Reply, Stopping> {
        if let Some(refusal) = super::not_json(&request) {
            return Ok(refusal);
        }
        let _room = self.room(&request).await;
        let bytes = match request.body(MAX_BODY).await {
            Ok(body) => body,
            Err(refusal) => return Ok(refusal),
        };
        let posted = match body::parse(&bytes) {
            Ok(posted) => posted,
            Err((status, code, message)) => {
                self.metrics.invalid(1);
                return Ok(to_json(status, &json!({"code": code, "message": message})));
            }
        };
        drop(bytes);
        let results = match self.engine.post(posted).await? {
            Ok(results) => results,
            Err(reason) => return Ok(not_kept(&reason)),
        };
        let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        let Some(first) = errors.first() else {
            return Ok(http::text(StatusCode::OK, ""));
        };
        // The good ones are taken all the same.
        tracing::warn!(error = %first, count = errors.len(), "alerts refused");
        let is_full =
            |it: &AlertError| matches!(it, AlertError::Full(_) | AlertError::FullOfName(..));
        let status = if errors.iter().all(is_full) {
            StatusCode::TOO_MANY_REQUESTS
        } else {
            StatusCode::BAD_REQUEST
        };
        // A body of thousands of mistakes gets a short answer.
        let texts: Vec<_> = errors.iter().take(20).map(ToString::to_string).collect();
        Ok(error(status, &texts.join("\n")))
    }
}

/// What is answered when the disk does not take it.
pub(super) fn not_kept(reason: &str) -> Reply {
    let text = format!("cannot be kept, and so is refused: the storage fails: {reason}");
    error(StatusCode::INSUFFICIENT_STORAGE, &text)
}

/// An answer that is made piece by piece; one that fits a piece is whole.
async fn stream<F: Send + 'static>(
    engine: Engine,
    start: F,
    mut piece: impl FnMut(&Core, F, &mut Vec<u8>) -> Option<F> + Send + 'static,
) -> Result<Reply, Stopping> {
    let (bytes, next, mut piece) = engine
        .look(move |core, _| {
            let mut out = Vec::with_capacity(PIECE);
            let next = piece(core, start, &mut out);
            (out, next, piece)
        })
        .await?;
    let Some(mut next) = next else {
        return Ok(http::json(StatusCode::OK, bytes));
    };
    let (send, pieces) = ReplyBody::pieces();
    tokio::spawn(async move {
        let mut bytes = bytes;
        loop {
            // Fails when the client is gone.
            if send.send(bytes.into()).await.is_err() {
                return;
            }
            let from = next;
            let made = engine
                .look(move |core, _| {
                    let mut out = Vec::with_capacity(PIECE + 4096);
                    let next = piece(core, from, &mut out);
                    (out, next, piece)
                })
                .await;
            let Ok((more, then, again)) = made else {
                return;
            };
            bytes = more;
            piece = again;
            match then {
                Some(then) => next = then,
                None => {
                    drop(send.send(bytes.into()).await);
                    return;
                }
            }
        }
    });
    Ok(http::json(StatusCode::OK, pieces))
}

/// Writes alerts that are wanted; gives where to go on, and whether there were any.
fn alerts(
    core: &Core,
    query: &Query,
    from: From,
    mut is_first: bool,
    now: Timestamp,
    out: &mut Vec<u8>,
) -> (Option<From>, bool) {
    let start = out.len();
    let mut any = false;
    let mut show = |held: &Held, out: &mut Vec<u8>| {
        if held.life.ends_at < now || !query.wants(core, held) {
            return;
        }
        let quiet = Quiet::of(core, held, now);
        if !query.wants_quiet(&quiet) {
            return;
        }
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        any = true;
        write_alert(core, held, &quiet, &[], out);
    };
    let mut looked_at = 0;
    let mut is_enough = |out: &Vec<u8>| {
        looked_at += 1;
        out.len() - start >= PIECE || looked_at >= LOOKED_AT
    };
    match from {
        From::All(last) => {
            for (_, held) in core.store().after(last) {
                show(held, out);
                if is_enough(out) {
                    return (Some(From::All(Some(held.fingerprint))), any);
                }
            }
        }
        From::Some(mut left) => {
            while let Some(fingerprint) = left.pop() {
                if let Some(held) = core.store().by_fingerprint(fingerprint) {
                    show(held, out);
                }
                if is_enough(out) && !left.is_empty() {
                    return (Some(From::Some(left)), any);
                }
            }
        }
    }
    (None, any)
}

/// An alert in the order of keys that Alertmanager's models have.
fn write_alert(core: &Core, held: &Held, quiet: &Quiet, muted_by: &[String], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"annotations\":");
    write::pairs(out, held.texts.annotations());
    out.extend_from_slice(b",\"endsAt\":");
    write::time(out, held.life.ends_at);
    out.extend_from_slice(b",\"fingerprint\":\"");
    out.extend_from_slice(held.fingerprint.to_string().as_bytes());
    out.extend_from_slice(b"\",\"receivers\":");
    let mut name = |out: &mut Vec<u8>, name: &str| {
        out.extend_from_slice(b"{\"name\":");
        write::text(out, name);
        out.push(b'}');
    };
    match core.receivers_by_groups(held) {
        Some(names) => write::list(out, names, &mut name),
        None => {
            let routes = core.receivers(held);
            let names = routes.iter().map(|it| it.receiver.as_str());
            write::list(out, names, &mut name);
        }
    }
    out.extend_from_slice(b",\"startsAt\":");
    write::time(out, held.life.starts_at);
    out.extend_from_slice(b",\"status\":{\"inhibitedBy\":");
    write::list(out, quiet.inhibited_by.iter(), |out, it| {
        write::text(out, &it.to_string());
    });
    out.extend_from_slice(b",\"mutedBy\":");
    write::list(out, muted_by.iter(), |out, it| write::text(out, it));
    out.extend_from_slice(b",\"silencedBy\":");
    write::list(out, quiet.silenced_by.iter(), |out, it| {
        write::text(out, &it.to_string());
    });
    let is_active = quiet.is_active() && muted_by.is_empty();
    out.extend_from_slice(if is_active {
        b",\"state\":\"active\"},\"updatedAt\":"
    } else {
        b",\"state\":\"suppressed\"},\"updatedAt\":"
    });
    write::time(out, held.life.updated_at);
    let url = held.texts.generator_url();
    if !url.is_empty() {
        out.extend_from_slice(b",\"generatorURL\":");
        write::text(out, url);
    }
    out.extend_from_slice(b",\"labels\":");
    write::pairs(out, held.texts.labels());
    out.push(b'}');
}

/// Writes a group when any of its alerts is wanted.
fn write_group(
    core: &Core,
    query: &Query,
    group: &Group,
    is_first: bool,
    now: Timestamp,
    out: &mut Vec<u8>,
) -> bool {
    let mut alerts: Vec<(Pairs, &Held, Quiet)> = Vec::new();
    for id in &group.alerts {
        let Some(held) = core.store().get(*id) else {
            continue;
        };
        if held.life.ends_at < now || !query.matchers.iter().all(|it| it.matches(&held.texts)) {
            continue;
        }
        let quiet = Quiet::of(core, held, now);
        if query.wants_quiet(&quiet) {
            alerts.push((held.texts.labels().to_pairs(), held, quiet));
        }
    }
    if alerts.is_empty() {
        return false;
    }
    alerts.sort_by(|a, b| crate::core::alert_order(&a.0, &b.0));
    if !is_first {
        out.push(b',');
    }
    out.extend_from_slice(b"{\"alerts\":");
    write::list(out, alerts.iter(), |out, (_, held, quiet)| {
        write_alert(core, held, quiet, &group.muted_by, out);
    });
    out.extend_from_slice(b",\"labels\":");
    labels(out, &group.labels);
    out.extend_from_slice(b",\"receiver\":{\"name\":");
    write::text(out, &group.route.receiver);
    out.extend_from_slice(b"},\"routeLabels\":");
    labels(out, &group.route.labels);
    out.push(b'}');
    true
}

fn labels(out: &mut Vec<u8>, labels: &Pairs) {
    // Texts always serialize.
    drop(serde_json::to_writer(out, labels));
}

/// For callers that have read a wrong body.
pub(super) fn invalid(code: u16, message: &str) -> Reply {
    refusal(StatusCode::UNPROCESSABLE_ENTITY, code, message)
}
