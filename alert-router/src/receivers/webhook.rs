//! A notification as Alertmanager's webhook gives it, version 4
//! (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>).

use serde::Serialize;
use serde_json::Value;

use super::{
    Failure, json,
    templated::{Draft, Fill, apology, of_all, quoted},
};
use crate::{
    alert::{Alert, Fingerprint, Pairs},
    config::WebhookSettings,
    core::Status,
};

/// The order of the keys is Alertmanager's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    receiver: String,
    status: &'static str,
    alerts: Vec<One<'a>>,
    #[serde(rename = "notification_reason")]
    notification_reason: &'a str,
    group_labels: &'a Pairs,
    common_labels: Pairs,
    common_annotations: Pairs,
    route_labels: Pairs,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
    /// Ours: why this is not the user's payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    template_error: Option<String>,
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

/// The body of the call, and the template of the user that failed.
pub(super) fn compose(
    settings: &WebhookSettings,
    draft: &Draft<'_>,
) -> Result<(String, Option<String>), Failure> {
    let payload = settings.payload.as_ref();
    let complaint = match payload.map(|it| custom(it, &draft.fill_with(kept(settings, draft)))) {
        Some(Ok(body)) => return Ok((body, None)),
        Some(Err(error)) => Some(error),
        None => None,
    };
    let body = render(settings, draft, complaint.as_deref());
    Ok((body.map_err(Failure::last)?, complaint))
}

/// Where it goes.
pub(super) fn url(settings: &WebhookSettings, draft: &Draft<'_>) -> Result<String, Failure> {
    let url = settings.url.read();
    let url = url.map_err(|error| Failure::again(error.to_string()))?;
    let mut url = url.expose().to_owned();
    if url.contains("{{") {
        let filled = draft.fill_with(kept(settings, draft)).text(&url);
        url = filled.map_err(|error| Failure::last(format!("webhook_configs.url: {error}")))?;
    }
    if url.is_empty() {
        return Err(Failure::last("webhook_configs.url is empty".to_owned()));
    }
    Ok(url)
}

fn custom(payload: &Value, fill: &Fill<'_>) -> Result<String, String> {
    json::body(&fill.value(payload)?)
}

/// How many alerts are shown.
fn kept(settings: &WebhookSettings, draft: &Draft<'_>) -> usize {
    let all = draft.told.alerts.len();
    match settings.max_alerts {
        0 => all,
        max => max.min(all),
    }
}

fn render(
    settings: &WebhookSettings,
    draft: &Draft<'_>,
    complaint: Option<&str>,
) -> Result<String, String> {
    let told = draft.told;
    let kept = kept(settings, draft);
    // Alertmanager looks at the others for nothing.
    let shown = told.alerts.get(..kept).unwrap_or(&told.alerts);
    let alerts = shown.iter();
    json::body(&Body {
        receiver: quoted(&told.integration.receiver),
        status: of_all(shown).as_str(),
        alerts: alerts
            .map(|(fingerprint, alert, status)| one(*fingerprint, alert, *status))
            .collect(),
        notification_reason: told.reason,
        group_labels: &told.group_labels,
        common_labels: common(shown.iter().map(|it| &it.1.labels)),
        common_annotations: common(shown.iter().map(|it| &it.1.annotations)),
        route_labels: draft.route_labels(),
        external_url: &draft.context.external_url,
        version: "4",
        group_key: &told.group_key,
        truncated_alerts: told.alerts.len() - shown.len(),
        template_error: complaint.map(apology),
    })
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
    use std::path::Path;

    use serde_json::json;

    use super::{compose, url};
    use crate::{
        config::{Config, SecretSource, WebhookSettings},
        receivers::{Context, message::tests::notifications, templated::Draft},
    };

    fn with(name: &str, test: impl Fn(&Draft<'_>)) {
        let context = Context {
            external_url: "http://router.example:9093".to_owned(),
        };
        let text = "route: {receiver: team}\nreceivers: [{name: team}]";
        let config = Config::parse(Path::new("r.yml"), text).unwrap();
        let (_, told) = notifications().into_iter().find(|it| it.0 == name).unwrap();
        test(&Draft {
            told: &told,
            config: &config,
            context: &context,
            now: "2026-01-02T05:00:00Z".parse().unwrap(),
        });
    }

    #[test]
    fn goldens() {
        for name in ["firing", "resolved", "both", "many", "hostile"] {
            let settings = WebhookSettings {
                max_alerts: if name == "many" { 2 } else { 0 },
                ..WebhookSettings::default()
            };
            with(name, |draft| {
                let (body, _) = compose(&settings, draft).unwrap();
                testkit::golden::check(
                    format!("alert-router/tests/golden/webhook-{name}.json"),
                    &body,
                );
            });
        }
    }

    #[test]
    fn payloads_of_users() {
        for (payload, expect) in [
            (
                json!({"{{ .Status }}": ["{{ .Alerts | len }}", "a: b: c", 1, null]}),
                r#"{"firing":[1,"a: b: c",1,null]}"#,
            ),
            (json!("{{ .CommonLabels.alertname }}"), r#""AgentDown""#),
            (
                json!({"a": "{{ toJson .GroupLabels }}"}),
                r#"{"a":{"alertname":"AgentDown"}}"#,
            ),
            (json!({"a": ""}), r#"{"a":null}"#),
        ] {
            let settings = WebhookSettings {
                payload: Some(payload),
                ..WebhookSettings::default()
            };
            with("firing", |draft| {
                let found = compose(&settings, draft).unwrap();
                assert_eq!(found, (format!("{expect}\n"), None));
            });
        }
        let settings = WebhookSettings {
            payload: Some(json!({"a": "{{ .Nope }}"})),
            ..WebhookSettings::default()
        };
        with("firing", |draft| {
            let (body, complaint) = compose(&settings, draft).unwrap();
            assert!(complaint.unwrap().contains("can't evaluate field Nope"));
            assert!(
                body.contains("\"version\":\"4\"") && body.contains("templateError"),
                "{body}"
            );
        });
    }

    #[test]
    fn urls() {
        for (text, expect) in [
            (
                "http://x/{{ .Status }}/{{ .CommonLabels.role }}",
                Ok("http://x/firing/cassandra"),
            ),
            ("{{ .CommonLabels.nothing }}", Err("is empty")),
            ("{{ .Nope }}", Err("can't evaluate field Nope")),
        ] {
            let settings = WebhookSettings {
                url: SecretSource::inline(text),
                ..WebhookSettings::default()
            };
            with("firing", |draft| match (url(&settings, draft), expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found, expect),
                (Err(found), Err(part)) => assert!(found.error.contains(part), "{}", found.error),
                (found, _) => panic!("{text}: {found:?}"),
            });
        }
    }
}
