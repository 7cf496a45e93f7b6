//! A notification as PagerDuty's Events API takes it: version 2 (<https://developer.pagerduty.com/docs/send-alert-event>), or the
//! one of before where there is a service's key.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Failure,
    http::Answer,
    json,
    templated::{Draft, Fill, apology, cut, of_all},
};
use crate::{
    config::{PagerdutySettings, SecretSource},
    core::Status,
};

/// Where events of the first version go; the `url` is for the second alone.
const V1: &str = "https://events.pagerduty.com/generic/2010-04-15/create_event.json";
/// Bytes of an event, and characters of its summary; PagerDuty takes no more.
const MAX_EVENT: usize = 512_000;
const MAX_SUMMARY: usize = 1024;
const TOO_LARGE: &str =
    "Custom details have been removed because the original event exceeds the maximum size of 512KB";

/// An event on its way. The order of the keys is Alertmanager's.
#[derive(Serialize)]
struct Event {
    #[serde(skip_serializing_if = "String::is_empty")]
    routing_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    service_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    dedup_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    incident_key: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    event_type: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    event_action: &'static str,
    payload: Option<Payload>,
    #[serde(skip_serializing_if = "String::is_empty")]
    client: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    client_url: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    details: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Image>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
}

#[derive(Serialize)]
struct Payload {
    summary: String,
    source: String,
    severity: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    class: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    component: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    group: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    custom_details: Map<String, Value>,
}

#[derive(Serialize)]
struct Image {
    src: String,
    alt: String,
    href: String,
}

#[derive(Serialize)]
struct Link {
    href: String,
    text: String,
}

/// Where events of these settings go.
pub(super) fn url(settings: &PagerdutySettings) -> &str {
    if settings.service_key.is_some() {
        V1
    } else {
        &settings.url
    }
}

/// The body of the call, and the template of the user that failed.
pub(super) fn compose(
    settings: &PagerdutySettings,
    draft: &Draft<'_>,
) -> Result<(String, Option<String>), Failure> {
    let fill = draft.fill();
    let is_v1 = settings.service_key.is_some();
    let key = settings
        .service_key
        .as_ref()
        .or(settings.routing_key.as_ref());
    let key = key.map(SecretSource::read).transpose();
    let key = key.map_err(|error| Failure::again(error.to_string()))?;
    let key = key.map_or_else(String::new, |it| it.expose().to_owned());
    // Without it nobody knows whom the event is for.
    let key = fill.text(&key);
    let key = key.map_err(|error| Failure::last(format!("pagerduty_configs, the key: {error}")))?;
    if key.is_empty() {
        let which = if is_v1 { "service" } else { "routing" };
        return Err(Failure::last(format!("{which} key cannot be empty")));
    }
    let action = match of_all(&draft.told.alerts) {
        Status::Firing => "trigger",
        Status::Resolved => "resolve",
    };
    let (written, complaint) = match Written::new(settings, &fill) {
        Ok(written) => (written, None),
        Err(error) => (Written::built_in(draft, &error), Some(error)),
    };
    let event = if is_v1 {
        written.v1(key, hash(&draft.told.group_key), action)
    } else {
        written.v2(key, hash(&draft.told.group_key), action)
    };
    Ok((encode(event).map_err(Failure::last)?, complaint))
}

/// What PagerDuty says. Its first API says 403 where others say 429.
pub(super) fn check(settings: &PagerdutySettings, answer: &Answer) -> Result<(), Failure> {
    answer.judge().map_err(|failure| {
        if settings.service_key.is_some() && answer.status == client::StatusCode::FORBIDDEN {
            Failure {
                reason: "rateLimited",
                retry: answer.again(),
                ..failure
            }
        } else {
            failure
        }
    })
}

/// What templates made of the settings.
struct Written {
    description: String,
    client: String,
    client_url: String,
    details: Map<String, Value>,
    source: String,
    severity: String,
    class: String,
    component: String,
    group: String,
    images: Vec<Image>,
    links: Vec<Link>,
}

impl Written {
    fn new(settings: &PagerdutySettings, fill: &Fill<'_>) -> Result<Self, String> {
        let text = |it: &str| fill.text(it);
        let severity = if settings.severity.is_empty() {
            "error"
        } else {
            &settings.severity
        };
        let images = settings.images.iter().map(|it| {
            Ok(Image {
                src: text(&it.src)?,
                alt: text(&it.alt)?,
                href: text(&it.href)?,
            })
        });
        let mut images = images.collect::<Result<Vec<_>, String>>()?;
        images.retain(|it| !it.src.is_empty());
        let links = settings.links.iter().map(|it| {
            Ok(Link {
                href: text(&it.href)?,
                text: text(&it.text)?,
            })
        });
        let mut links = links.collect::<Result<Vec<_>, String>>()?;
        links.retain(|it| !it.href.is_empty());
        // Keys of details are not filled in, as the deeper ones are.
        let details = settings.details.iter();
        let details = details.map(|(key, value)| Ok((key.clone(), fill.value(value)?)));
        Ok(Self {
            description: text(&settings.description)?,
            client: text(&settings.client)?,
            client_url: text(&settings.client_url)?,
            details: details.collect::<Result<_, String>>()?,
            source: text(&settings.source)?,
            severity: text(severity)?,
            class: text(&settings.class)?,
            component: text(&settings.component)?,
            group: text(&settings.group)?,
            images,
            links,
        })
    }

    /// Our own words, where the user's fail.
    fn built_in(draft: &Draft<'_>, error: &str) -> Self {
        let message = draft.message();
        let mut details = Map::new();
        let mut add = |name: &str, value: String| {
            details.insert(name.to_owned(), Value::String(value));
        };
        add("template_error", apology(error));
        for (at, item) in message.items.iter().enumerate() {
            let text = format!("{} ({}): {}", item.name, item.status.as_str(), item.summary);
            add(&format!("alert_{}", at + 1), text);
        }
        Self {
            description: message.title,
            client: "Alertmanager".to_owned(),
            client_url: draft.context.external_url.clone(),
            details,
            source: "Alertmanager".to_owned(),
            severity: "error".to_owned(),
            class: String::new(),
            component: String::new(),
            group: String::new(),
            images: Vec::new(),
            links: Vec::new(),
        }
    }

    fn v1(self, key: String, incident: String, action: &'static str) -> Event {
        // Who shows an incident is said once.
        let (client, client_url) = match action {
            "trigger" => (self.client, self.client_url),
            _ => Default::default(),
        };
        Event {
            routing_key: String::new(),
            service_key: key,
            dedup_key: String::new(),
            incident_key: incident,
            event_type: action,
            description: cut(self.description, MAX_SUMMARY),
            event_action: "",
            payload: None,
            client,
            client_url,
            details: self.details,
            images: Vec::new(),
            links: Vec::new(),
        }
    }

    fn v2(self, key: String, dedup: String, action: &'static str) -> Event {
        Event {
            routing_key: key,
            service_key: String::new(),
            dedup_key: dedup,
            incident_key: String::new(),
            event_type: "",
            description: String::new(),
            event_action: action,
            payload: Some(Payload {
                summary: cut(self.description, MAX_SUMMARY),
                source: self.source,
                severity: self.severity,
                class: self.class,
                component: self.component,
                group: self.group,
                custom_details: self.details,
            }),
            client: self.client,
            client_url: self.client_url,
            details: Map::new(),
            images: self.images,
            links: self.links,
        }
    }
}

/// An event that is too large goes without its details.
fn encode(mut event: Event) -> Result<String, String> {
    let body = json::body(&event)?;
    if body.len() <= MAX_EVENT {
        return Ok(body);
    }
    let instead = Map::from_iter([("error".to_owned(), Value::String(TOO_LARGE.to_owned()))]);
    match &mut event.payload {
        Some(payload) => payload.custom_details = instead,
        None => event.details = instead,
    }
    json::body(&event)
}

/// By what PagerDuty knows the events of one group.
pub(super) fn hash(group_key: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, group_key.as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::{Answer, MAX_EVENT, check, compose};
    use crate::{
        config::{Config, PagerdutyImage, PagerdutyLink, PagerdutySettings, SecretSource},
        core::Retry,
        receivers::{Context, message::tests::notifications, templated::Draft},
    };

    fn with(name: &str, test: impl Fn(&Draft<'_>)) {
        let context = Context {
            external_url: "http://router.example:9093".to_owned(),
        };
        let text = "route: {receiver: team}\nreceivers: [{name: team}]";
        let config = Config::parse(Path::new("r.yml"), text).unwrap();
        let all = notifications();
        let (_, told) = all.into_iter().find(|it| it.0 == name).unwrap();
        test(&Draft {
            told: &told,
            config: &config,
            context: &context,
            now: "2026-01-02T05:00:00Z".parse().unwrap(),
        });
    }

    fn settings() -> PagerdutySettings {
        let details = json!({
            "firing": "{{ .Alerts.Firing | len }}",
            "more": {"{{ .Status }}": ["{{ .CommonLabels.zone }}"]},
        });
        let Value::Object(details) = details else {
            panic!("a map");
        };
        PagerdutySettings {
            routing_key: Some(SecretSource::inline("R{{ .CommonLabels.zone }}")),
            description: "{{ template \"pagerduty.default.description\" . }}".to_owned(),
            client: "{{ template \"pagerduty.default.client\" . }}".to_owned(),
            client_url: "{{ template \"pagerduty.default.clientURL\" . }}".to_owned(),
            source: "here".to_owned(),
            details,
            images: vec![
                PagerdutyImage {
                    src: "http://x/{{ .Status }}.png".to_owned(),
                    ..PagerdutyImage::default()
                },
                PagerdutyImage {
                    alt: "without a source".to_owned(),
                    ..PagerdutyImage::default()
                },
            ],
            links: vec![PagerdutyLink {
                href: "{{ .ExternalURL }}".to_owned(),
                text: "<here>".to_owned(),
            }],
            ..PagerdutySettings::default()
        }
    }

    #[test]
    fn goldens() {
        for name in ["firing", "resolved"] {
            let v1 = PagerdutySettings {
                service_key: Some(SecretSource::inline("S")),
                ..settings()
            };
            for (version, settings) in [("v2", settings()), ("v1", v1)] {
                with(name, |draft| {
                    let (body, complaint) = compose(&settings, draft).unwrap();
                    assert_eq!(complaint, None);
                    testkit::golden::check(
                        format!("alert-router/tests/golden/pagerduty-{version}-{name}.json"),
                        &body,
                    );
                });
            }
        }
    }

    #[test]
    fn too_large() {
        let mut settings = settings();
        let long = json!("x".repeat(MAX_EVENT));
        settings.details.insert("long".to_owned(), long);
        with("firing", |draft| {
            let (body, _) = compose(&settings, draft).unwrap();
            assert!(body.len() < 5_000 && body.contains("Custom details have been removed"));
        });
    }

    #[test]
    fn what_cannot_be_filled_in() {
        let wrong = PagerdutySettings {
            class: "{{ .Nope }}".to_owned(),
            ..settings()
        };
        with("firing", |draft| {
            let (body, complaint) = compose(&wrong, draft).unwrap();
            assert!(complaint.unwrap().contains("can't evaluate field Nope"));
            for part in [
                "AgentDown on node-1",
                "template_error",
                "\"routing_key\":\"Ra\"",
            ] {
                assert!(body.contains(part), "{part} is missing: {body}");
            }
        });
        let none = PagerdutySettings {
            routing_key: Some(SecretSource::inline("{{ .CommonLabels.nothing }}")),
            ..settings()
        };
        with("firing", |draft| {
            let error = compose(&none, draft).unwrap_err().error;
            assert_eq!(error, "routing key cannot be empty");
        });
    }

    #[test]
    fn what_is_tried_again() {
        let v1 = PagerdutySettings {
            service_key: Some(SecretSource::inline("S")),
            ..settings()
        };
        for (settings, status, expect) in [
            (&settings(), 429, true),
            (&settings(), 403, false),
            (&settings(), 400, false),
            (&settings(), 502, true),
            (&v1, 403, true),
            (&v1, 400, false),
        ] {
            let answer = Answer::example(status, true, "");
            let failure = check(settings, &answer).unwrap_err();
            assert_eq!(failure.retry != Retry::No, expect, "{status}");
        }
    }
}
