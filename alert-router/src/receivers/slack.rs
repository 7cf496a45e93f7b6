//! A message as Slack's incoming webhook takes it (<https://api.slack.com/messaging/webhooks>).

use serde_json::{Value, json};

use super::message::{Item, Message};
use crate::{config::SlackSettings, core::Status};

/// Characters of an attachment's text; Slack folds longer ones and cuts at some thousands.
const MAX_TEXT: usize = 2500;

/// The body of the call. Whom it is for is a template; one that fails stands as it is.
pub(super) fn render(
    message: &Message,
    settings: &SlackSettings,
    fill: &dyn Fn(&str) -> Result<String, String>,
) -> String {
    let title = escape(&message.title);
    let mut attachments: Vec<Value> = message.items.iter().map(attachment).collect();
    if message.more > 0 {
        let text = format!("and {} more alerts", message.more);
        attachments.push(json!({"color": color(message.status, &message.severity), "fallback": text, "text": text}));
    }
    let mut body = json!({"text": format!("*{title}*"), "attachments": attachments});
    for (key, value) in [
        ("channel", &settings.channel),
        ("username", &settings.username),
        ("icon_emoji", &settings.icon_emoji),
        ("icon_url", &settings.icon_url),
    ] {
        if let (Some(value), Some(body)) = (value, body.as_object_mut()) {
            let filled = fill(value).unwrap_or_else(|_failing| value.clone());
            body.insert(key.to_owned(), Value::String(filled));
        }
    }
    body.to_string()
}

/// Slack answers `ok`; other words come with 200 from its older interfaces. What stands in for Slack may say nothing.
pub(super) fn check(answer: &str) -> Result<(), String> {
    let answer = answer.trim();
    let json: Option<Value> = serde_json::from_str(answer).ok();
    match json
        .as_ref()
        .and_then(|it| it.get("ok"))
        .and_then(Value::as_bool)
    {
        Some(false) => {
            let error = json
                .as_ref()
                .and_then(|it| it.get("error"))
                .and_then(Value::as_str)
                .unwrap_or("no reason");
            Err(format!(
                "Slack refuses the message: {}",
                error.chars().take(100).collect::<String>()
            ))
        }
        Some(true) | None => Ok(()),
    }
}

fn attachment(item: &Item) -> Value {
    let mut text = String::new();
    let mut add = |line: String| {
        if text.chars().count() + line.chars().count() < MAX_TEXT {
            text.push_str(&line);
            text.push('\n');
        }
    };
    let state = match item.status {
        Status::Firing => "firing",
        Status::Resolved => "resolved",
    };
    let name = if item.name.is_empty() {
        "Alert"
    } else {
        &item.name
    };
    let severity = if item.severity.is_empty() {
        String::new()
    } else {
        format!(" · {}", escape(&item.severity))
    };
    add(format!("*{}* · {state}{severity}", escape(name)));
    if !item.summary.is_empty() {
        add(escape(&item.summary));
    }
    if !item.description.is_empty() && item.description != item.summary {
        add(escape(&item.description));
    }
    let links: Vec<_> = item
        .links
        .iter()
        .map(|(text, url)| format!("<{}|{text}>", url.replace('&', "&amp;")))
        .collect();
    if !links.is_empty() {
        add(links.join(" · "));
    }
    if let Some(command) = &item.command {
        add(format!("Repair:\n```{}```", escape(command)));
    }
    let place: Vec<_> = item
        .place
        .iter()
        .map(|(name, value)| format!("{name}: {}", escape(value)))
        .collect();
    let mut fields = Vec::new();
    if !place.is_empty() {
        fields.push(json!({"title": "Where", "value": place.join("\n"), "short": true}));
    }
    let since = if item.until.is_empty() {
        item.since.clone()
    } else {
        format!("{}\nuntil {}", item.since, item.until)
    };
    fields.push(json!({"title": "Since", "value": since, "short": true}));
    json!({
        "color": color(item.status, &item.severity),
        "fallback": escape(&format!("{name}: {}", item.summary)),
        "text": text.trim_end(),
        "fields": fields,
        "mrkdwn_in": ["text", "fields"],
    })
}

const fn color(status: Status, severity: &str) -> &'static str {
    match (status, severity.as_bytes()) {
        (Status::Resolved, _) => "#2eb67d",
        (Status::Firing, b"info") => "#36c5f0",
        (Status::Firing, b"warning") => "#ecb22e",
        (Status::Firing, _) => "#e01e5a",
    }
}

/// Slack's three characters (<https://api.slack.com/reference/surfaces/formatting>, "Escaping text"), and the backtick, which
/// would open or close a block of code.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' => out.push('\''),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{check, render};
    use crate::{
        config::{HttpSettings, SecretSource, SlackSettings},
        receivers::message::{
            Message,
            tests::{commands, notifications},
        },
    };

    #[test]
    fn goldens() {
        let settings = SlackSettings {
            url: SecretSource::Inline(daemon::Secret::new("http://x/".to_owned())),
            channel: Some("#ops".to_owned()),
            username: None,
            icon_emoji: None,
            icon_url: None,
            message: None,
            http: HttpSettings::default(),
        };
        for (name, told) in notifications() {
            let body = render(&Message::new(&told, &commands()), &settings, &|it| {
                Ok(it.to_owned())
            });
            let body: Value = serde_json::from_str(&body).unwrap();
            let text = serde_json::to_string_pretty(&body).unwrap() + "\n";
            assert!(text.len() < 40_000, "{name} has {} bytes", text.len());
            if name == "hostile" {
                assert!(
                    !text.contains("<!")
                        && !text.contains("<https://evil")
                        && !text.contains("```"),
                    "{text}"
                );
            }
            testkit::golden::check(
                format!("alert-router/tests/golden/slack-{name}.json"),
                &text,
            );
        }
    }

    #[test]
    fn answers() {
        for (answer, expect) in [
            ("ok", Ok(())),
            ("", Ok(())),
            ("{\"ok\":true}", Ok(())),
            (
                "{\"ok\":false,\"error\":\"channel_not_found\"}",
                Err("Slack refuses the message: channel_not_found"),
            ),
            (
                "{\"ok\":false}",
                Err("Slack refuses the message: no reason"),
            ),
        ] {
            assert_eq!(
                check(answer).as_ref().map_err(String::as_str),
                expect.as_ref().map_err(|it| *it),
                "{answer}"
            );
        }
    }
}
