//! Messages that users wrote themselves: Alertmanager's shapes, filled by their templates.

use jiff::Timestamp;
use serde::Serialize;

use super::{Context, webhook::common};
use crate::{
    config::{SlackMessage, SlackSettings},
    core::{Notification, Status},
    template::{Data, DataAlert, Templates},
};

/// Slack's bound for titles, in characters (its legacy attachments).
const MAX_TITLE: usize = 1024;

/// What templates are given.
pub(super) fn data(told: &Notification, context: &Context) -> Data {
    let alerts = told.alerts.iter().map(|(fingerprint, alert, status)| {
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
    let firing = told.alerts.iter().any(|it| it.2 == Status::Firing);
    let status = if firing {
        Status::Firing
    } else {
        Status::Resolved
    };
    Data {
        receiver: quoted(&told.integration.receiver),
        status: status.as_str().to_owned(),
        alerts: alerts.collect(),
        notification_reason: String::new(),
        group_labels: told.group_labels.clone(),
        common_labels: common(told.alerts.iter().map(|it| &it.1.labels)),
        common_annotations: common(told.alerts.iter().map(|it| &it.1.annotations)),
        route_labels: crate::alert::Pairs::new(),
        external_url: context.external_url.clone(),
    }
}

/// Go's `regexp.QuoteMeta`: a receiver's name stands in a link that filters by an expression.
fn quoted(text: &str) -> String {
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
    title: String,
    value: String,
    short: bool,
}

#[derive(Serialize)]
struct Action {
    #[serde(rename = "type")]
    kind: String,
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
    templates: &Templates,
    data: &Data,
    now: Timestamp,
) -> Result<String, String> {
    let none = SlackMessage::default();
    let message = settings.message.as_deref().unwrap_or(&none);
    let text = |text: &str| templates.text(text, data, now);
    let or_default = |value: &Option<String>, name: &str| match value {
        Some(value) => text(value),
        None if name.is_empty() => Ok(String::new()),
        None => text(&format!("{{{{ template \"slack.default.{name}\" . }}}}")),
    };
    let mut title = or_default(&message.title, "title")?;
    if title.chars().count() > MAX_TITLE {
        title = title.chars().take(MAX_TITLE - 1).collect::<String>() + "…";
    }
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
    let request = Request {
        channel: or_default(&settings.channel, "")?,
        username: or_default(&settings.username, "username")?,
        icon_emoji: or_default(&settings.icon_emoji, "iconemoji")?,
        icon_url: or_default(&settings.icon_url, "iconurl")?,
        link_names: message.link_names,
        text: or_default(&message.message_text, "")?,
        attachments: [attachment],
    };
    serde_json::to_string(&request).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{data, quoted, slack};
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
            let data = data(&told, &context);
            let body = slack(settings[0], &config.templates, &data, now).unwrap();
            testkit::golden::check(
                format!("alert-router/tests/golden/slack-templated-{name}.json"),
                &(body + "\n"),
            );
            let error = slack(settings[1], &config.templates, &data, now).unwrap_err();
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
