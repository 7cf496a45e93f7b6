//! A message as Slack's incoming webhooks and its API take it (<https://api.slack.com/messaging/webhooks>,
//! <https://api.slack.com/methods/chat.postMessage>), and what Slack says to it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Failure,
    http::{Answer, quoted},
    message::{Item, Message},
    templated::{self, Draft, apology},
};
use crate::{
    config::SlackSettings,
    core::{Memory, Notification, Retry, Status},
};

/// Alertmanager's word for the first notification of a group.
const FIRST: &str = "first notification";
const API: &str = "https://slack.com/api/";

/// Characters of an attachment's text; Slack folds longer ones and cuts at some thousands.
const MAX_TEXT: usize = 2500;

/// The message of a group that can be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Earlier {
    pub(super) channel: String,
    pub(super) ts: String,
}

impl Earlier {
    /// What was remembered of the group, unless it begins anew.
    pub(super) fn of(settings: &SlackSettings, told: &Notification) -> Option<Self> {
        if !settings.update_message || told.reason == FIRST {
            return None;
        }
        let get = |name| told.memory.get(name).filter(|it| !it.is_empty()).cloned();
        Some(Self {
            channel: get("channel")?,
            ts: get("ts")?,
        })
    }

    pub(super) fn memory(self) -> Memory {
        [("channel", self.channel), ("ts", self.ts)]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }
}

/// The body of the call, and the template of the user that failed.
pub(super) fn compose(
    settings: &SlackSettings,
    draft: &Draft<'_>,
    earlier: Option<&Earlier>,
) -> (String, Option<String>) {
    let fill = draft.fill();
    let templates = &draft.config.templates;
    let is_users = settings.message.is_some() || templates.has_own("slack.default.");
    let complaint = if is_users {
        match templated::slack(settings, &fill, earlier) {
            Ok(body) => return (body, None),
            Err(error) => Some(error),
        }
    } else {
        None
    };
    let text = |it: &str| fill.text(it);
    let message = draft.message();
    let body = render(&message, settings, &text, earlier, complaint.as_deref());
    (body, complaint)
}

/// Where messages are edited: beside the place where they are posted.
pub(super) fn update_url(settings: &SlackSettings) -> String {
    let beside = settings.app_url.strip_suffix("chat.postMessage");
    format!("{}chat.update", beside.unwrap_or(API))
}

/// Our own message. Whom it is for is a template; one that fails stands as it is.
fn render(
    message: &Message,
    settings: &SlackSettings,
    fill: &dyn Fn(&str) -> Result<String, String>,
    earlier: Option<&Earlier>,
    complaint: Option<&str>,
) -> String {
    let title = escape(&message.title);
    let mut attachments: Vec<Value> = digest(message).into_iter().collect();
    attachments.extend(message.items.iter().map(attachment));
    if message.more > 0 {
        let text = format!("and {} more alerts", message.more);
        attachments.push(json!({"color": color(message.status, &message.severity), "fallback": text, "text": text}));
    }
    let mut text = format!("*{title}*");
    if let Some(complaint) = complaint {
        text.push('\n');
        text.push_str(&escape(&apology(complaint)));
    }
    let mut body = json!({"text": text, "attachments": attachments});
    let mut put = |key: &str, value: String| {
        if let Some(body) = body.as_object_mut() {
            body.insert(key.to_owned(), Value::String(value));
        }
    };
    for (key, value) in [
        ("channel", &settings.channel),
        ("username", &settings.username),
        ("icon_emoji", &settings.icon_emoji),
        ("icon_url", &settings.icon_url),
    ] {
        if let Some(value) = value {
            put(key, fill(value).unwrap_or_else(|_failing| value.clone()));
        }
    }
    if let Some(earlier) = earlier {
        put("channel", earlier.channel.clone());
        put("ts", earlier.ts.clone());
    }
    body.to_string()
}

/// What Slack says of a message that it may have taken; what it can be edited by, when Slack gives that.
///
/// Its API answers with JSON, its webhooks with `ok`; what stands in for Slack may say nothing.
pub(super) fn check(answer: &Answer) -> Result<Option<Earlier>, Refusal> {
    answer.judge().map_err(Refusal::other)?;
    let text = answer.body.trim();
    let said: Option<Said> = serde_json::from_str(text).ok();
    let Some(said) = said else {
        if answer.is_json {
            // Half of an answer, or a proxy's: nobody knows.
            let error = format!("cannot read the answer of Slack: {}", quoted(text));
            return Err(Refusal::other(Failure::again(error)));
        }
        if text.is_empty() || text == "ok" {
            return Ok(None);
        }
        let error = format!("Slack refuses the message: {}", quoted(text));
        return Err(Refusal::other(Failure {
            reason: "clientError",
            ..Failure::last(error)
        }));
    };
    if said.ok {
        let earlier = Earlier {
            channel: said.channel,
            ts: said.ts,
        };
        let complete = !earlier.channel.is_empty() && !earlier.ts.is_empty();
        return Ok(complete.then_some(earlier));
    }
    let error = if said.error.is_empty() {
        "no reason".to_owned()
    } else {
        quoted(&said.error)
    };
    let (reason, retry) = match error.as_str() {
        "rate_limited" | "ratelimited" => ("rateLimited", answer.again()),
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org" => ("serverError", answer.again()),
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired"
        | "no_permission" | "missing_scope" => ("authError", Retry::No),
        _ => ("clientError", Retry::No),
    };
    let gone = matches!(
        error.as_str(),
        "message_not_found" | "cant_update_message" | "edit_window_closed" | "channel_not_found"
    );
    Err(Refusal {
        failure: Failure {
            reason,
            retry,
            ..Failure::again(format!("Slack refuses the message: {error}"))
        },
        gone,
    })
}

/// Why Slack does not take a message.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) failure: Failure,
    /// There is no message left to edit: a new one will do.
    pub(super) gone: bool,
}

impl Refusal {
    const fn other(failure: Failure) -> Self {
        Self {
            failure,
            gone: false,
        }
    }
}

#[derive(Deserialize)]
struct Said {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    ts: String,
}

/// All alerts by their kinds, when they are many.
fn digest(message: &Message) -> Option<Value> {
    if message.digest.is_empty() {
        return None;
    }
    let (mut text, mut more) = (String::new(), message.more_kinds);
    for kind in &message.digest {
        let places = if kind.places.is_empty() {
            String::new()
        } else {
            format!(": {}", escape(&kind.places))
        };
        let line = format!("{} × *{}*{places}\n", kind.count, escape(&kind.head));
        if text.chars().count() + line.chars().count() < MAX_TEXT {
            text.push_str(&line);
        } else {
            more += 1;
        }
    }
    if more > 0 {
        text.push_str(&format!("and {more} more kinds of alerts\n"));
    }
    if let Some(url) = &message.all {
        text.push_str(&format!("<{}|All alerts>", url.replace('&', "&amp;")));
    }
    Some(json!({
        "color": color(message.status, &message.severity),
        "fallback": escape(&message.title),
        "text": text.trim_end(),
        "mrkdwn_in": ["text"],
    }))
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
    if !item.value.is_empty() {
        fields.push(json!({"title": "Value", "value": escape(&item.value), "short": true}));
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

    use super::{Answer, check, render, update_url};
    use crate::{
        config::SlackSettings,
        core::Retry,
        receivers::message::{
            Message,
            tests::{ROUTER, commands, notifications},
        },
    };

    #[test]
    fn goldens() {
        let settings = SlackSettings {
            channel: Some("#ops".to_owned()),
            ..SlackSettings::default()
        };
        for (name, told) in notifications() {
            let message = Message::new(&told, &commands(), ROUTER);
            let body = render(&message, &settings, &|it| Ok(it.to_owned()), None, None);
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
        let html = "<html>proxy</html>";
        for (is_json, answer, expect) in [
            (false, "ok", Ok(None)),
            (false, "", Ok(None)),
            (true, r#"{"ok":true}"#, Ok(None)),
            (
                true,
                r#"{"ok":true,"channel":"C1","ts":"1.2"}"#,
                Ok(Some(("C1", "1.2"))),
            ),
            (
                true,
                r#"{"ok":false,"error":"channel_not_found"}"#,
                Err(("channel_not_found", "clientError", Retry::No, true)),
            ),
            (
                true,
                r#"{"ok":false,"error":"rate_limited"}"#,
                Err(("rate_limited", "rateLimited", Retry::Backoff, false)),
            ),
            (
                true,
                r#"{"ok":false,"error":"internal_error"}"#,
                Err(("internal_error", "serverError", Retry::Backoff, false)),
            ),
            (
                true,
                r#"{"ok":false,"error":"invalid_auth"}"#,
                Err(("invalid_auth", "authError", Retry::No, false)),
            ),
            (
                false,
                r#"{"ok":false}"#,
                Err(("no reason", "clientError", Retry::No, false)),
            ),
            (
                false,
                "no_service",
                Err(("no_service", "clientError", Retry::No, false)),
            ),
            (true, html, Err(("proxy", "other", Retry::Backoff, false))),
        ] {
            let found = check(&Answer::example(200, is_json, answer));
            match (found, expect) {
                (Ok(found), Ok(expect)) => {
                    let found = found.map(|it| (it.channel, it.ts));
                    let expect = expect.map(|it| (it.0.to_owned(), it.1.to_owned()));
                    assert_eq!(found, expect, "{answer}");
                }
                (Err(found), Err((part, reason, retry, gone))) => {
                    let failure = &found.failure;
                    assert!(failure.error.contains(part), "{}", failure.error);
                    let found = (failure.reason, failure.retry, found.gone);
                    assert_eq!(found, (reason, retry, gone), "{answer}");
                }
                (found, _) => panic!("{answer}: {found:?}"),
            }
        }
    }

    #[test]
    fn where_messages_are_edited() {
        for (app_url, expect) in [
            ("http://x/api/chat.postMessage", "http://x/api/chat.update"),
            ("", "https://slack.com/api/chat.update"),
            ("https://elsewhere/", "https://slack.com/api/chat.update"),
        ] {
            let settings = SlackSettings {
                app_url: app_url.to_owned(),
                ..SlackSettings::default()
            };
            assert_eq!(update_url(&settings), expect);
        }
    }
}
