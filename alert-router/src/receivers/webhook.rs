//! A notification as Alertmanager's webhook gives it, version 4
//! (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>).

use serde::Serialize;

use super::Context;
use crate::{
    alert::{Alert, Fingerprint, Pairs},
    config::WebhookSettings,
    core::{Notification, Status},
};

/// The order of the keys is Alertmanager's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<One<'a>>,
    group_labels: &'a Pairs,
    common_labels: Pairs,
    common_annotations: Pairs,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    status: &'static str,
    labels: &'a Pairs,
    annotations: &'a Pairs,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

/// The body of the call.
pub(super) fn render(told: &Notification, settings: &WebhookSettings, context: &Context) -> String {
    let firing = told.alerts.iter().any(|it| it.2 == Status::Firing);
    let kept = if settings.max_alerts == 0 {
        usize::MAX
    } else {
        settings.max_alerts
    };
    let alerts = told.alerts.iter().take(kept);
    let body = Body {
        receiver: &told.integration.receiver,
        status: if firing { "firing" } else { "resolved" },
        alerts: alerts
            .map(|(fingerprint, alert, status)| one(*fingerprint, alert, *status))
            .collect(),
        group_labels: &told.group_labels,
        common_labels: common(told.alerts.iter().map(|it| &it.1.labels)),
        common_annotations: common(told.alerts.iter().map(|it| &it.1.annotations)),
        external_url: &context.external_url,
        version: "4",
        group_key: &told.group_key,
        truncated_alerts: told.alerts.len().saturating_sub(kept),
    };
    // Maps of texts always serialize.
    serde_json::to_string(&body).unwrap_or_default()
}

fn one(fingerprint: Fingerprint, alert: &Alert, status: Status) -> One<'_> {
    One {
        status: status.as_str(),
        labels: &alert.labels,
        annotations: &alert.annotations,
        starts_at: alert.starts_at.to_string(),
        // A firing alert has no end: Go's zero time.
        ends_at: match status {
            Status::Firing => "0001-01-01T00:00:00Z".to_owned(),
            Status::Resolved => alert.ends_at.to_string(),
        },
        generator_url: &alert.generator_url,
        fingerprint: fingerprint.to_string(),
    }
}

/// Pairs that all have.
pub(super) fn common<'a>(mut all: impl Iterator<Item = &'a Pairs>) -> Pairs {
    let mut common = all.next().cloned().unwrap_or_default();
    for pairs in all {
        common.retain(|name, value| pairs.get(name) == Some(value));
    }
    common
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::{
        config::{HttpSettings, SecretSource, WebhookSettings},
        receivers::{Context, message::tests::notifications},
    };

    #[test]
    fn goldens() {
        let context = Context {
            external_url: "http://router.example:9093".to_owned(),
        };
        for (name, told) in notifications() {
            if !matches!(name, "firing" | "resolved" | "both" | "many") {
                continue;
            }
            let settings = WebhookSettings {
                url: SecretSource::Inline(daemon::Secret::new("http://x/".to_owned())),
                max_alerts: if name == "many" { 2 } else { 0 },
                http: HttpSettings::default(),
            };
            let body = render(&told, &settings, &context) + "\n";
            testkit::golden::check(
                format!("alert-router/tests/golden/webhook-{name}.json"),
                &body,
            );
        }
    }
}
