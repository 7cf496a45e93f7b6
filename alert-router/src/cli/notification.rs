//! Notifications that nobody's alert made: for tests of receivers, and to see what one would look like.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    alert::{Alert, Fingerprint, Pairs, after},
    config::Integration,
    core::{Memory, Notification, Status},
};

/// How long an alert without an end is said to go on.
const UNTIL: std::time::Duration = std::time::Duration::from_secs(300);

/// Alerts that are told of together.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) key: String,
    pub(super) labels: Pairs,
    pub(super) alerts: Vec<(Fingerprint, Alert, Status)>,
}

impl Group {
    /// One alert that says it is a test.
    pub(super) fn test(receiver: &str, status: Status, now: Timestamp) -> Self {
        let pairs = |some: &[(&str, &str)]| -> Pairs {
            let some = some.iter();
            some.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let summary = format!("This is a test of the receiver {receiver:?}: nothing is wrong");
        let mut ends_at = after(now, UNTIL);
        if status == Status::Resolved {
            ends_at = now;
        }
        let alert = Alert {
            labels: pairs(&[
                ("alertname", "TestNotification"),
                ("receiver", receiver),
                ("severity", "info"),
            ]),
            annotations: pairs(&[
                ("description", "Sent by `alert-router test-receiver`."),
                ("summary", &summary),
            ]),
            starts_at: now,
            ends_at,
            generator_url: String::new(),
        };
        Self {
            // A key of its own each time: a test is a new thread of mails and a new incident.
            key: format!("{{}}:{{alertname=\"TestNotification\", time=\"{now}\"}}"),
            labels: pairs(&[("alertname", "TestNotification")]),
            alerts: vec![(alert.fingerprint(), alert, status)],
        }
    }

    /// What an integration is given to send.
    pub(super) fn told(&self, integration: &Arc<Integration>) -> Notification {
        Notification {
            id: 0,
            integration: Arc::clone(integration),
            group_key: self.key.clone(),
            group_labels: self.labels.clone(),
            alerts: self.alerts.clone(),
            attempt: 1,
            route_labels: Pairs::new(),
            reason: "",
            memory: Memory::new(),
        }
    }
}
