//! A line of Traefik's log: JSON or text, of Traefik 3 (zerolog) and 2 (logrus).

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use serde::Deserialize;

/// What is asked of a line.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) level: Level,
    /// Where the configuration came from that it is about.
    pub(crate) provider: Option<String>,
    /// It is about a certificate that cannot be used.
    pub(crate) is_certificate: bool,
    /// What happened, and why.
    pub(crate) text: String,
    pub(crate) time: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Level {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    pub(crate) const ALL: [Self; 6] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warn,
        Self::Error,
        Self::Fatal,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    pub(crate) const fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::Fatal)
    }

    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "trace" | "TRC" => Self::Trace,
            "debug" | "DBG" => Self::Debug,
            "info" | "INF" => Self::Info,
            "warn" | "warning" | "WRN" => Self::Warn,
            "error" | "ERR" => Self::Error,
            "fatal" | "panic" | "FTL" | "PNC" => Self::Fatal,
            _ => return None,
        })
    }
}

impl Message {
    /// None when it is no line of Traefik's log.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?.trim();
        if line.starts_with('{') {
            return Self::json(line);
        }
        let line = plain(line);
        let (first, rest) = line.split_once(' ')?;
        if first.starts_with("time=") {
            return Self::logrus(&line);
        }
        let (level, rest) = rest.split_once(' ')?;
        let (level, time) = (Level::parse(level)?, first.parse().ok());
        // The message goes until the first word that is `name=`.
        let mut at = 0;
        let begins = loop {
            let tail = rest.get(at..)?;
            if tail.is_empty() || is_field(tail) {
                break at;
            }
            at += tail.find(' ').map_or(tail.len(), |it| it + 1);
        };
        let (text, tail) = rest.split_at_checked(begins)?;
        let fields = fields(tail);
        Some(Self::made(level, time, text.trim_end(), |name| {
            fields.get(name).cloned()
        }))
    }

    fn json(line: &str) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Line<'a> {
            #[serde(borrow)]
            level: Cow<'a, str>,
            provider_name: Option<String>,
            tls_store_name: Option<String>,
            error: Option<String>,
            message: Option<String>,
            msg: Option<String>,
            time: Option<Timestamp>,
        }
        let its: Line<'_> = serde_json::from_str(line).ok()?;
        let text = its.message.or(its.msg).unwrap_or_default();
        let level = Level::parse(&its.level)?;
        Some(Self::made(level, its.time, &text, |name| match name {
            "providerName" => its.provider_name.clone(),
            "tlsStoreName" => its.tls_store_name.clone(),
            _ => its.error.clone(),
        }))
    }

    fn logrus(line: &str) -> Option<Self> {
        let fields = fields(line);
        let level = Level::parse(fields.get("level")?)?;
        let time = fields.get("time").and_then(|it| it.parse().ok());
        let text = fields.get("msg").map_or("", String::as_str);
        Some(Self::made(level, time, text, |name| {
            fields.get(name).cloned()
        }))
    }

    fn made(
        level: Level,
        time: Option<Timestamp>,
        text: &str,
        field: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let text = match field("error") {
            Some(error) if text.is_empty() => error,
            Some(error) => format!("{text}: {error}"),
            None => text.to_owned(),
        };
        let provider = field("providerName").filter(|it| !it.is_empty());
        Self {
            level,
            is_certificate: provider.is_none()
                && (field("tlsStoreName").is_some()
                    || text.starts_with("Unable to parse certificate")),
            provider,
            text,
            time,
        }
    }
}

/// Without a terminal's colours.
fn plain(line: &str) -> Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return Cow::Borrowed(line);
    }
    let mut out = String::new();
    let mut pieces = line.split('\u{1b}');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.push_str(piece.split_once('m').map_or("", |it| it.1));
    }
    Cow::Owned(out)
}

/// Whether it begins with `name=`.
fn is_field(text: &str) -> bool {
    let name = text.split('=').next().unwrap_or_default();
    let is_name = name
        .chars()
        .all(|it| it.is_ascii_alphanumeric() || "._-".contains(it));
    !name.is_empty() && is_name && name.len() < text.len()
}

/// `name=value other="a \"quoted\" value"`; of those of one name the first.
fn fields(text: &str) -> BTreeMap<&str, String> {
    let mut all = BTreeMap::new();
    let mut rest = text;
    while let Some((name, tail)) = rest.split_once('=') {
        let name = name.rsplit(' ').next().unwrap_or(name);
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, tail) = tail.split_once(' ').unwrap_or((tail, ""));
                (value.to_owned(), tail)
            }
        };
        all.entry(name).or_insert(value);
        rest = tail;
    }
    all
}

/// Until the quote that ends it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => match characters.next() {
                Some((_, 'n' | 'r')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, other)) => value.push(other),
                None => {}
            },
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::{Level, Message};

    fn parse(line: &str) -> Option<Message> {
        Message::parse(line.as_bytes())
    }

    /// As Traefik 3.7, 3.3 and 2.11 write one failure, in JSON and text.
    #[test]
    fn a_rejected_file() {
        for line in [
            r#"{"level":"error","providerName":"file","error":"a.yml: field not found, node: \"x\"","time":"2026-11-26T15:22:36Z","message":"Error occurred during watcher callback"}"#,
            r#"2026-11-26T15:22:36Z ERR Error occurred during watcher callback error="a.yml: field not found, node: \"x\"" providerName=file"#,
            "\u{1b}[90m2026-11-26T15:22:36Z\u{1b}[0m \u{1b}[1m\u{1b}[31mERR\u{1b}[0m\u{1b}[0m Error occurred during watcher callback \u{1b}[36merror=\u{1b}[0m\"a.yml: field not found, node: \\\"x\\\"\" \u{1b}[36mproviderName=\u{1b}[0mfile",
            r#"time="2026-11-26T15:22:36Z" level=error msg="Error occurred during watcher callback: a.yml: field not found, node: \"x\"" providerName=file"#,
            r#"{"level":"error","msg":"Error occurred during watcher callback: a.yml: field not found, node: \"x\"","providerName":"file","time":"2026-11-26T15:22:36Z"}"#,
        ] {
            let message = parse(line).unwrap();
            assert_eq!(message.level, Level::Error);
            assert_eq!(message.provider.as_deref(), Some("file"), "{line}");
            assert_eq!(
                message.text,
                "Error occurred during watcher callback: a.yml: field not found, node: \"x\"",
                "{line}"
            );
            assert_eq!(message.time.unwrap().as_second(), 1_795_706_556);
        }
    }

    #[test]
    fn other_lines() {
        let message =
            parse(r#"2026-11-26T15:22:36Z ERR error="a=b c" entryPointName=web"#).unwrap();
        assert_eq!((message.text.as_str(), message.provider), ("a=b c", None));
        let message = parse(r#"2026-11-26T15:22:36Z WRN 1=1 holds, they say"#).unwrap();
        assert_eq!((message.level, message.text.as_str()), (Level::Warn, ""));
        let message = parse("2026-11-26T15:22:36Z INF I have to go...").unwrap();
        assert_eq!(message.text, "I have to go...");
        let message =
            parse(r#"{"level":"error","tlsStoreName":"default","error":"no key","message":"Unable to append"}"#).unwrap();
        assert!(message.is_certificate);
        assert_eq!(
            (message.text.as_str(), message.time),
            ("Unable to append: no key", None)
        );
        let message = parse(
            r#"{"level":"error","error":"why","message":"Unable to parse certificate -----BEGIN CERTI[...]"}"#,
        );
        assert!(message.unwrap().is_certificate);
        for nothing in [
            "",
            "{",
            "{}",
            "[]",
            "hello",
            "a b",
            "a b c",
            "{\"level\":7}",
            "{\"level\":\"loud\"}",
            "time=",
            "time=\"",
            "time=x level=",
            "\u{1b}",
            "2026-11-26T15:22:36Z XXX a",
        ] {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
        assert_eq!(Message::parse(b"\xff"), None);
    }
}
