//! Messages that users wrote themselves: Alertmanager's shapes, filled by their templates.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Context, json,
    message::{Message, line},
    slack::Earlier,
    webhook::common,
};
use crate::{
    alert::{Alert, Fingerprint, Pairs},
    config::{Config, SlackMessage, SlackSettings, yaml_value},
    core::{Notification, Status},
    template::{Data, DataAlert, Templates},
};

/// Slack's bound for titles, in characters (its legacy attachments).
const MAX_TITLE: usize = 1024;

/// A notification that takes its form, and everything that it is made from.
pub(super) struct Draft<'a> {
    pub(super) told: &'a Notification,
    pub(super) config: &'a Config,
    pub(super) context: &'a Context,
    pub(super) now: Timestamp,
}

/// Users' texts, filled in for one notification.
pub(super) struct Fill<'a> {
    templates: &'a Templates,
    data: Data,
    now: Timestamp,
}

impl<'a> Draft<'a> {
    /// What is said of it where users wrote nothing.
    pub(super) fn message(&self) -> Message {
        Message::new(
            self.told,
            &self.config.repair_commands,
            &self.context.external_url,
        )
    }

    pub(super) fn fill(&self) -> Fill<'a> {
        self.fill_with(self.told.alerts.len())
    }

    /// As if there were only the first alerts.
    pub(super) fn fill_with(&self, alerts: usize) -> Fill<'a> {
        Fill {
            templates: &self.config.templates,
            data: self.data(alerts),
            now: self.now,
        }
    }

    /// What templates are given.
    fn data(&self, alerts: usize) -> Data {
        Data {
            route_labels: self.route_labels(),
            route_labels_rendered: true,
            ..self.bare(alerts, self.told.reason)
        }
    }

    /// The data without the labels of the route.
    fn bare(&self, alerts: usize, reason: &str) -> Data {
        let told = self.told;
        let shown = told.alerts.get(..alerts).unwrap_or(&told.alerts);
        let alerts = shown.iter().map(|(fingerprint, alert, status)| {
            let mut shown = DataAlert {
                status: status.as_str().to_owned(),
                labels: alert.labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at: alert.starts_at,
                generator_url: alert.generator_url.clone(),
                fingerprint: fingerprint.to_string(),
                ..DataAlert::default()
            };
            // A firing alert has no end: Go's zero time.
            if *status == Status::Resolved {
                shown.ends_at = alert.ends_at;
            }
            shown
        });
        Data {
            receiver: quoted(&told.integration.receiver),
            status: of_all(shown).as_str().to_owned(),
            alerts: alerts.collect(),
            notification_reason: reason.to_owned(),
            group_labels: told.group_labels.clone(),
            common_labels: common(shown.iter().map(|it| &it.1.labels)),
            common_annotations: common(shown.iter().map(|it| &it.1.annotations)),
            external_url: self.context.external_url.clone(),
            ..Data::default()
        }
    }

    /// Labels of a route are templates, too, of all alerts, whatever the reason; one that fails is left out.
    pub(super) fn route_labels(&self) -> Pairs {
        let labels = &self.told.route_labels;
        if !labels.values().any(|it| it.contains("{{")) {
            return labels.clone();
        }
        let data = Data {
            route_labels: labels.clone(),
            ..self.bare(self.told.alerts.len(), "unknown")
        };
        let labels = labels.iter().filter_map(|(name, value)| {
            if !value.contains("{{") {
                return Some((name.clone(), value.clone()));
            }
            match self.config.templates.text(value, &data, self.now) {
                Ok(value) => Some((name.clone(), value)),
                Err(error) => {
                    tracing::error!(label = name, error, "a label of a route cannot be rendered");
                    None
                }
            }
        });
        labels.collect()
    }
}

impl Fill<'_> {
    /// A text.
    ///
    /// # Errors
    /// What is wrong with it, in Go's words.
    pub(super) fn text(&self, text: &str) -> Result<String, String> {
        // Nothing is there to be filled in.
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        self.templates.text(text, &self.data, self.now)
    }

    /// HTML.
    ///
    /// # Errors
    /// As for a text.
    pub(super) fn html(&self, text: &str) -> Result<String, String> {
        if text.is_empty() {
            return Ok(String::new());
        }
        self.templates.html(text, &self.data, self.now)
    }

    /// All texts of a value, and its keys. What a text becomes may be a value by itself: a number, a list, a map.
    ///
    /// # Errors
    /// As for a text.
    pub(super) fn value(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
            Value::String(text) => {
                let text = self.text(text)?;
                match yaml_value(&text) {
                    None | Some(Value::String(_)) => Value::String(text),
                    Some(other) => other,
                }
            }
            Value::Array(items) => {
                let items = items.iter().map(|it| self.value(it));
                Value::Array(items.collect::<Result<_, String>>()?)
            }
            Value::Object(map) => Value::Object(self.map(map)?),
        })
    }

    /// As [`Self::value`].
    ///
    /// # Errors
    /// As for a text.
    pub(super) fn map(&self, map: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let pairs = map.iter();
        let pairs = pairs.map(|(key, value)| Ok((self.text(key)?, self.value(value)?)));
        pairs.collect()
    }
}

/// Firing while any alert is.
pub(super) fn of_all(alerts: &[(Fingerprint, Alert, Status)]) -> Status {
    if alerts.iter().any(|it| it.2 == Status::Firing) {
        Status::Firing
    } else {
        Status::Resolved
    }
}

/// At most `max` characters, the last of them an ellipsis where something was cut off.
pub(super) fn cut(text: String, max: usize) -> String {
    if text.chars().count() <= max {
        return text;
    }
    text.chars().take(max - 1).collect::<String>() + "…"
}

/// The line of a message that stands in for the user's.
pub(super) fn apology(error: &str) -> String {
    let error = line(error, 300);
    format!("The template of this message fails, so this is the built-in one: {error}")
}

/// Go's `regexp.QuoteMeta`: a receiver's name stands in a link that filters by an expression.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\.+*?()|[]{}^$".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// The order of the keys is Alertmanager's.
#[derive(Serialize)]
struct Request<'a> {
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    ts: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_emoji: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_url: String,
    #[serde(skip_serializing_if = "is_false")]
    link_names: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    attachments: [Attachment<'a>; 1],
}

#[derive(Serialize)]
struct Attachment<'a> {
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title_link: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pretext: String,
    text: String,
    fallback: String,
    callback_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
    #[serde(skip_serializing_if = "String::is_empty")]
    image_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thumb_url: String,
    footer: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    color: String,
    mrkdwn_in: Vec<&'a str>,
}

#[derive(Serialize)]
struct Field {
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
    short: bool,
}

#[derive(Serialize)]
struct Action {
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    style: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<Confirm>,
}

#[derive(Serialize)]
struct Confirm {
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    ok_text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    dismiss_text: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for this shape"
)]
const fn is_false(it: &bool) -> bool {
    !*it
}

/// The body of a call to Slack.
///
/// # Errors
/// The template that fails, and why.
pub(super) fn slack(
    settings: &SlackSettings,
    fill: &Fill<'_>,
    earlier: Option<&Earlier>,
) -> Result<String, String> {
    let none = SlackMessage::default();
    let message = settings.message.as_deref().unwrap_or(&none);
    let text = |text: &str| fill.text(text);
    let or_default = |value: &Option<String>, name: &str| match value {
        Some(value) => text(value),
        None if name.is_empty() => Ok(String::new()),
        None => text(&format!("{{{{ template \"slack.default.{name}\" . }}}}")),
    };
    let title = cut(or_default(&message.title, "title")?, MAX_TITLE);
    let fields = message.fields.iter().map(|field| {
        Ok(Field {
            title: text(&field.title)?,
            value: text(&field.value)?,
            short: field.short.unwrap_or(message.short_fields),
        })
    });
    let actions = message.actions.iter().map(|action| {
        // A link is no button of a program.
        let is_link = !action.url.is_empty();
        let button = |value: &str| {
            if is_link {
                Ok(String::new())
            } else {
                text(value)
            }
        };
        let confirm = action.confirm.as_ref().filter(|_| !is_link);
        let confirm = confirm.map(|it| {
            Ok::<_, String>(Confirm {
                text: text(&it.text)?,
                title: text(&it.title)?,
                ok_text: text(&it.ok_text)?,
                dismiss_text: text(&it.dismiss_text)?,
            })
        });
        Ok(Action {
            kind: text(&action.kind)?,
            text: text(&action.text)?,
            url: text(&action.url)?,
            style: text(&action.style)?,
            name: button(&action.name)?,
            value: button(&action.value)?,
            confirm: confirm.transpose()?,
        })
    });
    let mrkdwn_in = if message.mrkdwn_in.is_empty() {
        vec!["fallback", "pretext", "text"]
    } else {
        message.mrkdwn_in.iter().map(String::as_str).collect()
    };
    let attachment = Attachment {
        title,
        title_link: or_default(&message.title_link, "titlelink")?,
        pretext: or_default(&message.pretext, "pretext")?,
        text: or_default(&message.text, "text")?,
        fallback: or_default(&message.fallback, "fallback")?,
        callback_id: or_default(&message.callback_id, "callbackid")?,
        image_url: or_default(&message.image_url, "")?,
        thumb_url: or_default(&message.thumb_url, "")?,
        footer: or_default(&message.footer, "footer")?,
        color: or_default(&message.color, "color")?,
        fields: fields.collect::<Result<_, String>>()?,
        actions: actions.collect::<Result<_, String>>()?,
        mrkdwn_in,
    };
    let (channel, ts) = match earlier {
        Some(earlier) => (earlier.channel.clone(), earlier.ts.as_str()),
        None => (or_default(&settings.channel, "")?, ""),
    };
    let request = Request {
        channel,
        ts,
        username: or_default(&settings.username, "username")?,
        icon_emoji: or_default(&settings.icon_emoji, "iconemoji")?,
        icon_url: or_default(&settings.icon_url, "iconurl")?,
        link_names: message.link_names,
        text: or_default(&message.message_text, "")?,
        attachments: [attachment],
    };
    json::body(&request)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Draft, quoted, slack};
    use crate::{
        config::{Config, Kind},
        receivers::{Context, message::tests::notifications},
    };

    const CONFIG: &str = r##"
route: {receiver: team}
receivers:
- name: team
  slack_configs:
  - api_url: http://x/
    channel: '#{{ .GroupLabels.alertname | toLower }}'
    text: '{{ range .Alerts }}{{ .Labels.instance }}: {{ .Annotations.summary }}{{ end }}'
    short_fields: true
    fields:
    - {title: 'Firing', value: '{{ .Alerts.Firing | len }}'}
    - {title: 'Severity', value: '{{ .CommonLabels.severity }}', short: false}
    actions:
    - {type: button, text: 'Silence', url: '{{ .ExternalURL }}/#/silences/new', name: 'dropped'}
    - {type: button, text: 'Ack', name: ack, value: '{{ .Status }}', confirm: {text: 'Sure?', ok_text: 'Yes'}}
  - api_url: http://x/
    title: '{{ .Nothing }}'
"##;

    #[test]
    fn goldens() {
        let config = Config::parse(Path::new("r.yml"), CONFIG).unwrap();
        let context = Context {
            external_url: "http://router.example:9093".to_owned(),
        };
        let now = "2026-01-02T05:00:00Z".parse().unwrap();
        let settings: Vec<_> = config.receivers[0]
            .integrations
            .iter()
            .map(|it| match &it.kind {
                Kind::Slack(slack) => slack,
                other => panic!("{other:?}"),
            })
            .collect();
        for (name, told) in notifications() {
            if !matches!(name, "firing" | "resolved" | "both" | "hostile") {
                continue;
            }
            let draft = Draft {
                told: &told,
                config: &config,
                context: &context,
                now,
            };
            let fill = draft.fill();
            let body = slack(settings[0], &fill, None).unwrap();
            testkit::golden::check(
                format!("alert-router/tests/golden/slack-templated-{name}.json"),
                &body,
            );
            let error = slack(settings[1], &fill, None).unwrap_err();
            assert!(error.contains("can't evaluate field Nothing"), "{error}");
        }
    }

    #[test]
    fn names_in_links() {
        for (name, expect) in [("team-x", "team-x"), ("a.b+c", "a\\.b\\+c"), ("", "")] {
            assert_eq!(quoted(name), expect);
        }
    }
}
