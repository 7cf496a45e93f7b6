//! A message as it came, and as a person reads it.

use mail_parser::MessageParser;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Characters that are kept of any text.
const MAX_TEXT: usize = 200_000;

/// By which way it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Channel {
    Slack,
    Email,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Counted from 1 in the order of arrival.
    pub(crate) id: u64,
    /// When it came, RFC 3339.
    pub(crate) time: String,
    pub(crate) channel: Channel,
    /// `firing` or `resolved`; empty when the message does not say.
    pub(crate) status: String,
    /// The names of its alerts.
    pub(crate) alerts: Vec<String>,
    pub(crate) title: String,
    /// All of it as plain text.
    pub(crate) text: String,
    /// The HTML part of a mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) html: Option<String>,
    /// Whom a mail is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) to: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attachments: Vec<Attachment>,
}

/// A part of a message of Slack, beside a bar of its colour. The texts are in Slack's mark-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) color: String,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Message {
    /// None when there is nothing to show.
    pub(crate) fn from_slack(payload: &Value) -> Option<Self> {
        let text =
            |value: &Value, key: &str| cut(value.get(key).and_then(Value::as_str).unwrap_or(""));
        let list = |value: &Value, key: &str| {
            value
                .get(key)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let title = text(payload, "text");
        let attachments: Vec<Attachment> = list(payload, "attachments")
            .iter()
            .take(100)
            .map(|it| Attachment {
                color: text(it, "color"),
                title: text(it, "title"),
                text: text(it, "text"),
                fields: list(it, "fields")
                    .iter()
                    .take(50)
                    .map(|field| (text(field, "title"), text(field, "value")))
                    .collect(),
            })
            .collect();
        if title.is_empty() && attachments.is_empty() {
            return None;
        }
        let plain_title = plain(&title);
        let mut lines = vec![plain_title.clone()];
        for attachment in &attachments {
            lines.extend(
                [&attachment.title, &attachment.text]
                    .into_iter()
                    .filter(|it| !it.is_empty())
                    .map(|it| plain(it)),
            );
            lines.extend(
                attachment
                    .fields
                    .iter()
                    .map(|(name, value)| format!("{}: {}", plain(name), plain(value))),
            );
        }
        Some(Self::new(
            Channel::Slack,
            plain_title,
            lines.join("\n"),
            None,
            Vec::new(),
            attachments,
        ))
    }

    /// A mail as it came over SMTP.
    pub(crate) fn from_mail(bytes: &[u8], to: Vec<String>) -> Self {
        let parsed = MessageParser::default().parse(bytes);
        let (title, text, html) = match &parsed {
            None => (
                String::new(),
                String::from_utf8_lossy(bytes).into_owned(),
                None,
            ),
            Some(mail) => (
                mail.subject().unwrap_or("").to_owned(),
                mail.body_text(0).unwrap_or_default().into_owned(),
                mail.html_bodies()
                    .next()
                    .and_then(|_| mail.body_html(0))
                    .map(std::borrow::Cow::into_owned),
            ),
        };
        Self::new(
            Channel::Email,
            cut(&title),
            cut(&text),
            html.map(|it| cut(&it)),
            to,
            Vec::new(),
        )
    }

    fn new(
        channel: Channel,
        title: String,
        text: String,
        html: Option<String>,
        to: Vec<String>,
        attachments: Vec<Attachment>,
    ) -> Self {
        let status = if title.starts_with("[FIRING") {
            "firing"
        } else if title.starts_with("[RESOLVED") {
            "resolved"
        } else {
            ""
        };
        let names = title.split_once("] ").map_or("", |it| it.1);
        let names = names.split(" on ").next().unwrap_or("");
        let alerts = if status.is_empty() {
            Vec::new()
        } else {
            names.split(", ").map(str::to_owned).collect()
        };
        Self {
            id: 0,
            time: String::new(),
            channel,
            status: status.to_owned(),
            alerts,
            title,
            text,
            html,
            to,
            attachments,
        }
    }
}

/// Lines of mails end in CR LF; people and JSON want LF.
fn cut(text: &str) -> String {
    text.chars()
        .filter(|it| *it != '\r')
        .take(MAX_TEXT)
        .collect()
}

/// Slack's mark-up without its marks: `*bold*`, `<url|text>`, code, and the three escapes.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let Some((link, after)) = after.split_once('>') else {
            rest = after;
            break;
        };
        match link.split_once('|') {
            Some((url, text)) => out.push_str(&format!("{text}: {url}")),
            None => out.push_str(link),
        }
        rest = after;
    }
    out.push_str(rest);
    out.replace("```", "")
        .replace('*', "")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Message;

    #[test]
    fn slack() {
        let message = Message::from_slack(&json!({
            "text": "*[FIRING:1] AgentDown, B on node &lt;1&gt;*",
            "attachments": [{"color": "#f00", "text": "a\n<http://x/?a=1&amp;b|Runbook>\n```do it```", "fields": [{"title": "Where", "value": "x"}]}],
        }))
        .unwrap();
        assert_eq!(message.status, "firing");
        assert_eq!(message.alerts, ["AgentDown", "B"]);
        assert_eq!(
            message.text,
            "[FIRING:1] AgentDown, B on node <1>\na\nRunbook: http://x/?a=1&b\ndo it\nWhere: x"
        );
        assert_eq!(Message::from_slack(&json!({})), None);
        assert_eq!(
            Message::from_slack(&json!({"text": 5, "attachments": {}})),
            None
        );
        assert_eq!(
            Message::from_slack(&json!({"text": "hi"})).unwrap().status,
            ""
        );
    }

    #[test]
    fn mail() {
        let mail = "Subject: =?utf-8?Q?[RESOLVED]_Agent_=C3=A9?=\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain part\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html part</p>\r\n--b--\r\n";
        let message = Message::from_mail(mail.as_bytes(), vec!["a@b".to_owned()]);
        assert_eq!(message.title, "[RESOLVED] Agent é");
        assert_eq!(
            (message.status.as_str(), message.text.trim()),
            ("resolved", "plain part")
        );
        assert_eq!(message.html.unwrap().trim(), "<p>html part</p>");
        let rubbish = Message::from_mail(b"\xff\xfe no mail", vec![]);
        assert_eq!(rubbish.status, "");
    }
}
