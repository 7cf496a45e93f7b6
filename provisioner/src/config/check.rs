//! What a value must be. Problems never show a secret.

use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use daemon::Secret;
use serde_json::Value;

use super::{
    document::{Document, Problem},
    keys::{Holds, Key},
};

/// A larger file is no secret.
const MAX_SECRET: u64 = 64 << 10;

/// A checked value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    Text(Secret),
    List(Vec<String>),
    Texts(BTreeMap<String, String>),
    Objects(Vec<Values>),
    Named(BTreeMap<String, Values>),
}

/// Values by their keys.
pub(crate) type Values = BTreeMap<&'static str, Held>;

/// What looks at values, and collects what is wrong with them.
pub(super) struct Checker<'a> {
    pub(super) document: &'a Document,
    /// The folder that paths are relative to.
    pub(super) folder: &'a Path,
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    pub(super) problems: Vec<Problem>,
    /// Keys whose secrets stand in the text itself.
    pub(super) literal: Vec<String>,
}

impl Checker<'_> {
    /// The entries of an object whose path is `path`, empty for the outermost.
    pub(super) fn values<'v>(
        &mut self,
        path: &str,
        entries: impl Iterator<Item = (&'v String, &'v Value)>,
        keys: &'static [Key],
    ) -> Values {
        let mut values = Values::new();
        for (name, value) in entries {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let Some(key) = keys.iter().find(|it| it.name == name) else {
                self.problem(&path, unknown(&path, name, keys));
                continue;
            };
            match self.held(&path, key.holds, value) {
                Ok(held) => drop(values.insert(key.name, held)),
                Err(problem) => self.problem(&path, format!("{path}: {problem}")),
            }
        }
        values
    }

    fn problem(&mut self, path: &str, text: String) {
        self.problems.push((self.document.line(path), text));
    }

    fn held(&mut self, path: &str, holds: Holds, value: &Value) -> Result<Held, String> {
        match holds {
            Holds::Choices(choices) => {
                let each = |it: &Value| choice(it.as_str().unwrap_or_default(), choices);
                list(value)?
                    .iter()
                    .map(each)
                    .collect::<Result<_, _>>()
                    .map(Held::List)
            }
            Holds::Networks => {
                let each = |it: &Value| network(it.as_str().unwrap_or_default());
                list(value)?
                    .iter()
                    .map(each)
                    .collect::<Result<_, _>>()
                    .map(Held::List)
            }
            Holds::Services => {
                let each = |it: &Value| service(it.as_str().unwrap_or_default());
                list(value)?
                    .iter()
                    .map(each)
                    .collect::<Result<_, _>>()
                    .map(Held::List)
            }
            Holds::Texts => {
                let each = |(name, value): (&String, &Value)| match value.as_str() {
                    Some(text) if !name.is_empty() => Ok((name.clone(), text.to_owned())),
                    _ => Err(format!("{name:?}: expected a text, found {}", kind(value))),
                };
                object(value)?
                    .iter()
                    .map(each)
                    .collect::<Result<_, _>>()
                    .map(Held::Texts)
            }
            Holds::Ports(names) => {
                let each = |(name, value): (&String, &Value)| {
                    choice(name, names)?;
                    let port: Option<u16> = scalar(value).and_then(|it| it.parse().ok());
                    let port = port.filter(|it| *it > 0);
                    let port =
                        port.ok_or_else(|| format!("{name}: expected a port, 1 to 65535"))?;
                    Ok((name.clone(), port.to_string()))
                };
                object(value)?
                    .iter()
                    .map(each)
                    .collect::<Result<_, _>>()
                    .map(Held::Texts)
            }
            Holds::Objects(keys) => {
                let mut all = Vec::new();
                for (at, value) in list(value)?.iter().enumerate() {
                    all.push(self.object(&format!("{path}[{at}]"), value, keys)?);
                }
                Ok(Held::Objects(all))
            }
            Holds::Named(keys) => {
                let mut all = BTreeMap::new();
                for (name, value) in object(value)? {
                    let values = self.object(&format!("{path}.{name}"), value, keys)?;
                    all.insert(name.clone(), values);
                }
                Ok(Held::Named(all))
            }
            _ => self
                .text(path, holds, value)
                .map(|it| Held::Text(Secret::new(it))),
        }
    }

    fn object(
        &mut self,
        path: &str,
        value: &Value,
        keys: &'static [Key],
    ) -> Result<Values, String> {
        let Value::Object(entries) = value else {
            return Err(format!("expected objects, found {}", kind(value)));
        };
        let values = self.values(path, entries.iter(), keys);
        for key in keys {
            let is_there = entries.contains_key(key.name);
            if key.required == super::keys::Required::Always && !is_there {
                self.problem(path, format!("{path}: {} is missing", key.name));
            }
        }
        Ok(values)
    }

    fn text(&mut self, path: &str, holds: Holds, value: &Value) -> Result<String, String> {
        let text = match (holds, value) {
            (_, Value::String(text)) => text.clone(),
            (Holds::Number | Holds::Decimal, Value::Number(number)) => number.to_string(),
            (Holds::Switch, Value::Bool(on)) => on.to_string(),
            (Holds::Number | Holds::Decimal, _) => {
                return Err("expected a number, or a text of one".to_owned());
            }
            (Holds::Switch, _) => return Err("expected true or false".to_owned()),
            (_, other) => return Err(format!("expected a text, found {}", kind(other))),
        };
        // What is empty is not there, as in the guide's own example.
        if text.is_empty() {
            return Ok(text);
        }
        // Secrets are not alone in being named elsewhere.
        let is_secret = matches!(holds, Holds::Secret | Holds::SecretUrl);
        let text = if !is_secret && ["${env:", "${file:"].iter().any(|it| text.starts_with(it)) {
            self.resolve(&text)?.0
        } else {
            text
        };
        match holds {
            Holds::Choice(choices) => return choice(&text, choices),
            Holds::Path => return Ok(self.path(&text).display().to_string()),
            Holds::Secret | Holds::SecretUrl => {
                let (secret, is_literal) = self.resolve(&text)?;
                if holds == Holds::SecretUrl && !secret.is_empty() && !is_url(&secret) {
                    return Err("it is no URL of http or https".to_owned());
                }
                if is_literal {
                    self.literal.push(path.to_owned());
                }
                return Ok(secret);
            }
            Holds::Word if !is_word(&text) => {
                return Err(format!(
                    "{text:?} has characters other than letters, digits and hyphens, or more than 32, and it becomes a part of names"
                ));
            }
            Holds::Number if text.parse::<u32>().is_err() => {
                return Err(format!("{text:?} is no whole number"));
            }
            Holds::Decimal if !text.parse::<f64>().is_ok_and(f64::is_finite) => {
                return Err(format!("{text:?} is no number"));
            }
            Holds::Switch if !matches!(text.as_str(), "true" | "false") => {
                return Err(format!("{text:?} is neither true nor false"));
            }
            Holds::Duration if !is_quantity(&text, &["y", "w", "d", "h", "m", "s", "ms"]) => {
                return Err(format!("{text:?} is no time such as 90d or 12h"));
            }
            Holds::Size if !is_quantity(&text, &["EB", "PB", "TB", "GB", "MB", "KB", "B"]) => {
                return Err(format!("{text:?} is no size such as 40GB"));
            }
            Holds::Url if !is_url(&text) => {
                return Err(format!("{text:?} is no URL of http or https"));
            }
            Holds::Address => {
                let port = text.rsplit_once(':').filter(|it| !it.0.is_empty());
                let port: Option<u16> = port.and_then(|it| it.1.parse().ok());
                if port.is_none() {
                    return Err(format!("{text:?} is no host:port"));
                }
            }
            _ => {}
        }
        Ok(text)
    }

    /// A path of the user's, relative to the file that names it.
    fn path(&self, text: &str) -> PathBuf {
        match text.strip_prefix("~/") {
            Some(rest) => Path::new(&(self.environment)("HOME").unwrap_or_default()).join(rest),
            None => self.folder.join(text),
        }
    }

    /// `${env:NAME}` and `${file:PATH}` to what they name, and whether the text names nothing but is the secret.
    fn resolve(&self, text: &str) -> Result<(String, bool), String> {
        let Some(reference) = text.strip_prefix("${").and_then(|it| it.strip_suffix('}')) else {
            return Ok((text.to_owned(), true));
        };
        match reference.split_once(':') {
            Some(("env", name)) => {
                let value = (self.environment)(name);
                let value = value.ok_or_else(|| format!("the environment has no {name}"))?;
                Ok((value, false))
            }
            Some(("file", file)) => {
                let file = self.path(file);
                let cannot =
                    |it: &dyn std::fmt::Display| format!("cannot read {}: {it}", file.display());
                let size = fs::metadata(&file).map_err(|it| cannot(&it))?.len();
                if size > MAX_SECRET {
                    return Err(cannot(&"it is too large for a secret"));
                }
                let value = fs::read_to_string(&file).map_err(|it| cannot(&it))?;
                Ok((value.trim_end_matches(['\r', '\n']).to_owned(), false))
            }
            _ => Err("a reference is ${env:NAME} or ${file:PATH}".to_owned()),
        }
    }
}

/// What is said of a key that there is not.
pub(super) fn unknown(path: &str, name: &str, keys: &[Key]) -> String {
    match near(name, keys.iter().map(|it| it.name)) {
        Some(near) => format!("unknown key {path}; did you mean {near}?"),
        None => {
            let known: Vec<_> = keys.iter().map(|it| it.name).collect();
            format!("unknown key {path}; known are {}", known.join(", "))
        }
    }
}

/// The one of some names that was meant, maybe.
pub(crate) fn near<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.map(|it| (strsim::damerau_levenshtein(name, it), it));
    let (distance, found) = near.min()?;
    (distance <= 2.max(found.len() / 4)).then_some(found)
}

fn choice(text: &str, choices: &[&str]) -> Result<String, String> {
    if choices.contains(&text) {
        return Ok(text.to_owned());
    }
    let meant = near(text, choices.iter().copied());
    let meant = meant.map_or_else(String::new, |it| format!("; did you mean {it}?"));
    Err(format!("{text:?} is none of {}{meant}", choices.join(", ")))
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    let list = value.as_array();
    list.ok_or_else(|| format!("expected a list, found {}", kind(value)))
}

fn object(value: &Value) -> Result<&serde_json::Map<String, Value>, String> {
    let object = value.as_object();
    object.ok_or_else(|| format!("expected an object, found {}", kind(value)))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The name of a service, as systemd takes it.
fn service(text: &str) -> Result<String, String> {
    let is_fine = |it: u8| it.is_ascii_alphanumeric() || b":-_.@".contains(&it);
    let name = text.strip_suffix(".service").unwrap_or_default();
    if name.is_empty() || !text.bytes().all(is_fine) {
        return Err(format!(
            "expected services of systemd, such as prometheus-node-exporter.service, found {text:?}"
        ));
    }
    Ok(text.to_owned())
}

/// An address with the length of its network; one without is the address alone.
fn network(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is no network such as 203.0.113.0/24");
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().map_err(|_error| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length: u8 = match length {
        "" => most,
        some => some.parse().map_err(|_error| wrong())?,
    };
    if length > most {
        return Err(wrong());
    }
    Ok(format!("{address}/{length}"))
}

/// Whether a text can be a part of names.
pub(crate) fn is_word(text: &str) -> bool {
    let is_fine = |it: u8| it.is_ascii_alphanumeric() || it == b'-';
    text.len() <= 32 && text.bytes().all(is_fine)
}

/// Numbers each with one of these units.
fn is_quantity(text: &str, units: &[&str]) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(unit);
        if number.parse::<u32>().is_err() || !units.contains(&unit) {
            return false;
        }
        rest = tail;
    }
    true
}

fn is_url(text: &str) -> bool {
    client::Url::parse(text)
        .is_ok_and(|it| matches!(it.scheme(), "http" | "https") && it.has_host())
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
