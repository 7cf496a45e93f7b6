//! YAML to shapes, and what is said of it to people: lines, keys, "did you mean", no secrets.

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error};
use serde_json::Value;

/// A key that Alertmanager has and alert-router refuses.
#[derive(Debug)]
pub(crate) struct NotYet;

const NOT_YET: &str = "is Alertmanager's, and alert-router does not support it yet: take it out";

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(NOT_YET))
    }
}

/// Reads a document; what is wrong with it comes with its line.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, (Option<u64>, String)> {
    // An empty document is an empty configuration, whose errors are about what is missing.
    let text = if text
        .lines()
        .all(|it| it.trim().is_empty() || it.trim().starts_with('#'))
    {
        "{}"
    } else {
        text
    };
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map(|it| (it.line(), it.column()));
        let message = error.without_snippet().to_string();
        let message = message
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned();
        let key = place.and_then(|(line, column)| key_at(text, line, column));
        (place.map(|it| it.0), explain(&message, key.as_deref()))
    })
}

/// The key at or before a place.
fn key_at(text: &str, line: u64, column: u64) -> Option<String> {
    let number = usize::try_from(line).ok()?.checked_sub(1)?;
    let line = text.lines().nth(number)?;
    let column = usize::try_from(column).ok()?;
    let before: String = line.chars().take(column.saturating_sub(1)).collect();
    if before.trim_matches([' ', '-']).is_empty() {
        // A value on a line of its own, or a list: its key ends a line above it.
        let above: Vec<&str> = text.lines().take(number).collect();
        let key = above
            .iter()
            .rev()
            .find_map(|it| it.trim_end().strip_suffix(':'))?;
        return Some(key.trim().trim_start_matches("- ").to_owned());
    }
    let is_key = |it: char| it.is_ascii_alphanumeric() || it == '_';
    // The last `word:` that starts at or before the place.
    let mut found = None;
    for (colon, _) in line.match_indices(':') {
        let before: Vec<char> = line.get(..colon)?.chars().collect();
        let start = before
            .iter()
            .rposition(|it| !is_key(*it))
            .map_or(0, |it| it + 1);
        let word: String = before.get(start..)?.iter().collect();
        if !word.is_empty() && start < column {
            found = Some(word);
        }
    }
    found
}

fn explain(message: &str, key: Option<&str>) -> String {
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let (field, rest) = rest.split_once('`').unwrap_or((rest, ""));
        let known = rest
            .split_once("expected one of ")
            .or_else(|| rest.split_once("expected "))
            .map_or("", |it| it.1);
        let known: Vec<&str> = known.split(", ").map(|it| it.trim_matches('`')).collect();
        return match closest(field, &known) {
            Some(near) => format!("unknown key {field}; did you mean {near}?"),
            None => format!("unknown key {field}; known here: {}", known.join(", ")),
        };
    }
    if let Some(rest) = message.strip_prefix("duplicate mapping key: ") {
        return format!(
            "{} is given twice",
            rest.split(',').next().unwrap_or_default()
        );
    }
    let message = match message {
        "expected mapping start" => "expected keys and values",
        "expected sequence start" => "expected a list",
        it if it.contains("bool") => "expected true or false",
        it => it,
    };
    match (message == NOT_YET, key) {
        (true, Some(key)) => format!("{key} {NOT_YET}"),
        (_, Some(key)) => format!("{key}: {message}"),
        (_, None) => message.to_owned(),
    }
}

/// What was probably meant.
fn closest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known
        .iter()
        .map(|it| (strsim::damerau_levenshtein(word, it), *it));
    near.filter(|(distance, it)| *distance <= 2.max(it.len() / 4))
        .min()
        .map(|(_, it)| it)
}

/// The line on which a message's first quoted name stands, when it stands on one line only.
pub(super) fn line_of(text: &str, message: &str) -> Option<u64> {
    if !message.contains("is not defined") {
        return None;
    }
    let name = message.split('"').nth(1)?;
    let mut lines = (1_u64..).zip(text.lines()).filter(|(_, line)| {
        let mut rest = *line;
        while let Some((_, after)) = rest.split_once("receiver:") {
            let value = after.trim_start().trim_start_matches(['"', '\'']);
            if value.strip_prefix(name).is_some_and(|it| {
                !it.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            }) {
                return true;
            }
            rest = after;
        }
        false
    });
    let first = lines.next()?.0;
    lines.next().is_none().then_some(first)
}

/// The document with `<secret>` in the place of every value that is one.
pub(super) fn without_secrets(text: &str) -> String {
    let Ok(mut value) = serde_saphyr::from_str::<Value>(text) else {
        return String::new();
    };
    hide(&mut value);
    serde_saphyr::to_string(&value).unwrap_or_default()
}

fn hide(value: &mut Value) {
    const SECRETS: [&str; 15] = [
        "api_url",
        "url",
        "slack_api_url",
        "password",
        "auth_password",
        "smtp_auth_password",
        "auth_secret",
        "smtp_auth_secret",
        "credentials",
        "bearer_token",
        "client_secret",
        "app_token",
        "bot_token",
        "key",
        "proxy_url",
    ];
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if SECRETS.contains(&key.as_str()) && !value.is_object() && !value.is_array() {
                    *value = Value::String("<secret>".to_owned());
                } else {
                    hide(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(hide),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
