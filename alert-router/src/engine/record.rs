//! What the history says of notifications, alerts and silences.

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    alert::packed::{Packed, PairsOf},
    core::{Change, Notification, silence::Silence},
    receivers::{Delivered, Failure},
};

/// Alerts that are named in a line; of more there is a number.
const MAX_ALERTS: usize = 100;

/// A notification that was sent, or not.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Record {
    time: String,
    receiver: String,
    integration: &'static str,
    index: usize,
    group_key: String,
    status: &'static str,
    attempts: u32,
    error: String,
    alerts: Vec<RecordedAlert>,
}

#[derive(Debug, Clone, Serialize)]
struct RecordedAlert {
    fingerprint: String,
    status: &'static str,
}

/// A line of the history.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: Timestamp,
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    receiver: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    integration: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "str::is_empty")]
    group_key: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    silence: Option<SilenceLine<'a>>,
    alerts: Vec<AlertLine<'a>>,
    /// When they are more than those that are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts_total: Option<usize>,
}

#[derive(Serialize)]
struct AlertLine<'a> {
    fingerprint: String,
    status: &'static str,
    labels: LabelsOf<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SilenceLine<'a> {
    id: String,
    matchers: Vec<String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    created_by: &'a str,
    comment: &'a str,
}

enum LabelsOf<'a> {
    Clear(&'a crate::alert::Pairs),
    Packed(PairsOf<'a>),
}

impl Serialize for LabelsOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Clear(pairs) => pairs.serialize(serializer),
            Self::Packed(pairs) => {
                let mut map = serializer.serialize_map(None)?;
                for (name, value) in pairs.clone() {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl Record {
    pub(super) fn new(
        told: &Notification,
        result: &Result<Delivered, Failure>,
        now: Timestamp,
    ) -> Self {
        let (status, error) = match result {
            Ok(delivered) => ("sent", delivered.refused.join("; ")),
            Err(failure) => ("failed", failure.error.clone()),
        };
        Self {
            time: now.to_string(),
            receiver: told.integration.receiver.clone(),
            integration: told.integration.name(),
            index: told.integration.index,
            group_key: told.group_key.clone(),
            status,
            attempts: told.attempt,
            error,
            alerts: told
                .alerts
                .iter()
                .take(MAX_ALERTS)
                .map(|(fingerprint, _, status)| RecordedAlert {
                    fingerprint: fingerprint.to_string(),
                    status: status.as_str(),
                })
                .collect(),
        }
    }

    pub(super) fn is_of(&self, fingerprint: &str) -> bool {
        self.alerts.iter().any(|it| it.fingerprint == fingerprint)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, told: &Notification) {
        let alerts = told.alerts.iter().take(MAX_ALERTS);
        let alerts = alerts.map(|(fingerprint, alert, status)| AlertLine {
            fingerprint: fingerprint.to_string(),
            status: status.as_str(),
            labels: LabelsOf::Clear(&alert.labels),
        });
        let total = told.alerts.len();
        write(
            out,
            &Line {
                time: self.time.parse().unwrap_or_default(),
                kind: "notification",
                receiver: &self.receiver,
                integration: self.integration,
                index: Some(self.index),
                group_key: &self.group_key,
                status: self.status,
                attempts: Some(self.attempts),
                error: &self.error,
                silence: None,
                alerts: alerts.collect(),
                alerts_total: (total > MAX_ALERTS).then_some(total),
            },
        );
    }
}

fn plain<'a>(time: Timestamp, kind: &'static str, status: &'a str) -> Line<'a> {
    Line {
        time,
        kind,
        receiver: "",
        integration: "",
        index: None,
        group_key: "",
        status,
        attempts: None,
        error: "",
        silence: None,
        alerts: Vec::new(),
        alerts_total: None,
    }
}

/// An alert began or ended.
pub(super) fn write_change(out: &mut Vec<u8>, change: &Change, now: Timestamp) {
    let status = change.status.as_str();
    let texts: &Packed = &change.texts;
    let alert = AlertLine {
        fingerprint: change.fingerprint.to_string(),
        status,
        labels: LabelsOf::Packed(texts.labels()),
    };
    write(
        out,
        &Line {
            alerts: vec![alert],
            ..plain(now, "state", status)
        },
    );
}

/// A silence was created, updated or expired.
pub(super) fn write_silence(out: &mut Vec<u8>, silence: &Silence, word: &str, now: Timestamp) {
    let line = SilenceLine {
        id: silence.id.to_string(),
        matchers: silence.matchers.iter().map(ToString::to_string).collect(),
        starts_at: silence.starts_at,
        ends_at: silence.ends_at,
        created_by: &silence.created_by,
        comment: &silence.comment,
    };
    write(
        out,
        &Line {
            silence: Some(line),
            ..plain(now, "silence", word)
        },
    );
}

fn write(out: &mut Vec<u8>, line: &Line<'_>) {
    let start = out.len();
    match serde_json::to_writer(&mut *out, line) {
        Ok(()) => out.push(b'\n'),
        // Maps with text keys always serialize.
        Err(_) => out.truncate(start),
    }
}
