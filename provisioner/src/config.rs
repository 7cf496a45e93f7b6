//! `config.json`: the keys of the operational guide, read strictly. Every problem is named at once, each with its line.

use std::{
    collections::BTreeMap,
    fmt, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use daemon::Secret;
use serde_json::Value;

use crate::output;

/// A larger file is no configuration.
const MAX_SIZE: u64 = 1 << 20;

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    /// A number, or a text of one.
    Number,
    Url,
    Path,
    Secret,
    /// A secret that is a URL.
    SecretUrl,
}

/// Every key, sorted.
const KEYS: &[(&str, Holds)] = &[
    ("alert_email", Holds::Text),
    ("aws_key_name", Holds::Text),
    ("aws_readonly_key", Holds::Secret),
    ("aws_readonly_secret", Holds::Secret),
    ("cassandra_ebs_volume_size", Holds::Number),
    ("cassandra_instance_count", Holds::Number),
    ("cassandra_instance_type", Holds::Text),
    ("docker_password", Holds::Secret),
    ("docker_user", Holds::Text),
    ("environment", Holds::Text),
    ("grafana_password", Holds::Secret),
    ("name", Holds::Text),
    ("prefix", Holds::Text),
    ("private_key_file", Holds::Path),
    ("runbook_base_url", Holds::Url),
    ("scalar_autoscaling_group_desire", Holds::Number),
    ("scalar_ebs_volume_size", Holds::Number),
    ("scalar_instance_type", Holds::Text),
    ("site_url", Holds::Text),
    ("slack_webhook_url", Holds::SecretUrl),
    ("smtp_auth_password", Holds::Secret),
    ("smtp_auth_username", Holds::Text),
    ("smtp_from", Holds::Text),
    ("smtp_require_tls", Holds::Text),
    ("smtp_smarthost", Holds::Text),
    ("tag", Holds::Text),
];

/// A configuration without a mistake.
#[derive(Debug, Default)]
pub(crate) struct Config {
    values: BTreeMap<&'static str, Secret>,
}

/// Every problem of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n  "))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a file. A secret that others on the machine can read is warned of.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let one = |problem: String| ConfigError(vec![format!("{}: {problem}", path.display())]);
        let meta = fs::metadata(path).map_err(|error| one(format!("cannot read it: {error}")))?;
        if meta.len() > MAX_SIZE {
            return Err(one("it has more than 1 MiB".to_owned()));
        }
        let text =
            fs::read_to_string(path).map_err(|error| one(format!("cannot read it: {error}")))?;
        let (config, literal) = Self::parse(path, &text, &|name| std::env::var(name).ok())?;
        if !literal.is_empty() && meta.permissions().mode() & 0o077 != 0 {
            output::warn(format!(
                "{}: {} stand in a file that others can read: chmod 600 it, or write \"${{env:NAME}}\" or \"${{file:PATH}}\" in their place",
                path.display(),
                literal.join(", ")
            ));
        }
        Ok(config)
    }

    /// Reads a text; gives the keys whose secrets stand in it, too.
    fn parse(
        path: &Path,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<&'static str>), ConfigError> {
        let at =
            |line: usize, problem: String| format!("{}, line {line}: {problem}", path.display());
        let document: Value = serde_json::from_str(text).map_err(|error| {
            let reason = error.to_string();
            let reason = reason
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned();
            ConfigError(vec![at(error.line(), format!("it is no JSON: {reason}"))])
        })?;
        let Value::Object(document) = document else {
            return Err(ConfigError(vec![at(
                1,
                "it must be an object of keys and values".to_owned(),
            )]));
        };
        let lines = key_lines(text);
        let mut problems = Vec::new();
        for (at_key, (key, line)) in lines.iter().enumerate() {
            if lines.iter().take(at_key).any(|(other, _)| other == key) {
                problems.push((*line, format!("{key} is given twice")));
            }
        }
        let mut values = BTreeMap::new();
        let mut literal = Vec::new();
        for (key, value) in document {
            let line = lines
                .iter()
                .find(|(name, _)| *name == key)
                .map_or(1, |(_, line)| *line);
            let Some((name, holds)) = KEYS.iter().find(|(name, _)| *name == key) else {
                problems.push((line, unknown(&key)));
                continue;
            };
            match check(name, *holds, &value, path, environment) {
                Ok((text, is_literal)) => {
                    if is_literal {
                        literal.push(*name);
                    }
                    values.insert(*name, Secret::new(text));
                }
                Err(problem) => problems.push((line, format!("{name}: {problem}"))),
            }
        }
        if problems.is_empty() {
            return Ok((Self { values }, literal));
        }
        problems.sort();
        Err(ConfigError(
            problems
                .into_iter()
                .map(|(line, problem)| at(line, problem))
                .collect(),
        ))
    }

    /// The value of a key that is no secret.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.values
            .get(key)
            .map(Secret::expose)
            .filter(|it| !it.is_empty())
    }

    /// The value of a key that is one.
    pub(crate) fn secret(&self, key: &str) -> Option<&Secret> {
        self.values.get(key).filter(|it| !it.expose().is_empty())
    }
}

fn unknown(key: &str) -> String {
    let near = KEYS
        .iter()
        .map(|(name, _)| (strsim::damerau_levenshtein(key, name), *name))
        .min();
    match near {
        Some((distance, name)) if distance <= 2.max(name.len() / 4) => {
            format!("unknown key {key}; did you mean {name}?")
        }
        _ => {
            let known: Vec<_> = KEYS.iter().map(|it| it.0).collect();
            format!("unknown key {key}; known are {}", known.join(", "))
        }
    }
}

/// The text of a value, and whether it is a secret that stands in the file itself. Problems do not show the value.
fn check(
    name: &str,
    holds: Holds,
    value: &Value,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, bool), String> {
    let text = match (holds, value) {
        (Holds::Number, Value::Number(number)) => number.to_string(),
        (_, Value::String(text)) => text.clone(),
        (_, Value::Bool(on)) if name == "smtp_require_tls" => on.to_string(),
        (Holds::Number, _) => return Err("expected a number, or a text of one".to_owned()),
        (_, other) => return Err(format!("expected a text, found {}", kind(other))),
    };
    match holds {
        Holds::Number if text.parse::<u32>().is_err() => {
            Err(format!("{text:?} is no whole number"))
        }
        Holds::Url if !is_url(&text) => Err(format!("{text:?} is no URL of http or https")),
        Holds::Path => {
            let home = environment("HOME").unwrap_or_default();
            Ok((
                text.strip_prefix("~/")
                    .map_or(text.clone(), |rest| format!("{home}/{rest}")),
                false,
            ))
        }
        Holds::Secret | Holds::SecretUrl => {
            let (text, is_literal) = resolve(&text, path, environment)?;
            if holds == Holds::SecretUrl && !text.is_empty() && !is_url(&text) {
                return Err("it is no URL of http or https".to_owned());
            }
            let is_literal = is_literal && !text.is_empty();
            Ok((text, is_literal))
        }
        Holds::Text | Holds::Number | Holds::Url => Ok((text, false)),
    }
}

/// `${env:NAME}` and `${file:PATH}` to what they name.
fn resolve(
    text: &str,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, bool), String> {
    let Some(reference) = text.strip_prefix("${").and_then(|it| it.strip_suffix('}')) else {
        return Ok((text.to_owned(), true));
    };
    match reference.split_once(':') {
        Some(("env", name)) => {
            let value =
                environment(name).ok_or_else(|| format!("the environment has no {name}"))?;
            Ok((value, false))
        }
        Some(("file", file)) => {
            let file = path
                .parent()
                .unwrap_or(Path::new(""))
                .join(PathBuf::from(file));
            let value = fs::read_to_string(&file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            Ok((value.trim_end_matches(['\r', '\n']).to_owned(), false))
        }
        _ => Err("a reference is ${env:NAME} or ${file:PATH}".to_owned()),
    }
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

/// The keys of the outermost object with their lines, counted from 1, in the order of a text that is known to be JSON.
fn key_lines(text: &str) -> Vec<(String, usize)> {
    let mut keys = Vec::new();
    let (mut depth, mut line) = (0_usize, 1);
    let mut expects_key = false;
    let mut characters = text.char_indices();
    while let Some((start, character)) = characters.next() {
        match character {
            '\n' => line += 1,
            '{' | '[' => {
                depth += 1;
                expects_key = depth == 1;
            }
            '}' | ']' => depth = depth.saturating_sub(1),
            ',' => expects_key = depth == 1,
            '"' => {
                let mut end = start;
                while let Some((at, inside)) = characters.next() {
                    match inside {
                        '\\' => drop(characters.next()),
                        '"' => {
                            end = at;
                            break;
                        }
                        _ => {}
                    }
                }
                if expects_key {
                    let quoted = text.get(start..=end).unwrap_or("\"\"");
                    keys.push((serde_json::from_str(quoted).unwrap_or_default(), line));
                    expects_key = false;
                }
            }
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Config, KEYS};

    fn parse(text: &str) -> Result<(Config, Vec<&'static str>), String> {
        let environment = |name: &str| match name {
            "HOME" => Some("/home/u".to_owned()),
            "SECRET" => Some("hunter2".to_owned()),
            _ => None,
        };
        Config::parse(Path::new("config.json"), text, &environment).map_err(|it| it.to_string())
    }

    #[test]
    fn sorted_and_unique() {
        assert!(KEYS.is_sorted_by(|a, b| a.0 < b.0));
    }

    /// The example of the operational guide.
    #[test]
    fn example() {
        let text = r#"{
  "name": "Deployment Name",
  "prefix": "short-name",
  "environment": "sandbox",
  "tag": "<docker-tag>",
  "aws_key_name": "<key_name>",
  "scalar_instance_type": "t2.large",
  "scalar_ebs_volume_size": "50",
  "scalar_autoscaling_group_desire": 3,
  "cassandra_instance_type": "t3.xlarge",
  "cassandra_ebs_volume_size": "1000",
  "cassandra_instance_count": "3",
  "docker_user": "docker_hub_username",
  "docker_password": "docker_hub_password",
  "private_key_file": "~/.ssh/private.pem",
  "slack_webhook_url": "${env:SECRET}"
}"#;
        let error = parse(text).unwrap_err();
        assert_eq!(
            error,
            "config.json, line 16: slack_webhook_url: it is no URL of http or https"
        );
        let (config, literal) =
            parse(&text.replace("${env:SECRET}", "https://hooks.example/x")).unwrap();
        assert_eq!(config.text("scalar_autoscaling_group_desire"), Some("3"));
        assert_eq!(
            config.text("private_key_file"),
            Some("/home/u/.ssh/private.pem")
        );
        assert_eq!(literal, ["docker_password", "slack_webhook_url"]);
        assert!(!format!("{config:?}").contains("hooks.example"));
    }

    #[test]
    fn every_problem_at_once() {
        for (text, expect) in [
            (
                "",
                "config.json, line 1: it is no JSON: EOF while parsing a value",
            ),
            (
                "{\n  \"name\": \"x\",\n}",
                "config.json, line 3: it is no JSON: trailing comma",
            ),
            (
                "[]",
                "config.json, line 1: it must be an object of keys and values",
            ),
            (
                "{\n\"nam\": \"x\",\n\"tag\": 5,\n\"cassandra_instance_count\": \"three\",\n\"prefix\": [\"{\", \"name\"]\n}",
                "config.json, line 2: unknown key nam; did you mean name?\n  config.json, line 3: tag: expected a text, found a number\n  config.json, line 4: cassandra_instance_count: \"three\" is no whole number\n  config.json, line 5: prefix: expected a text, found a list",
            ),
            (
                "{\"name\": \"x\",\n \"name\": \"y\"}",
                "config.json, line 2: name is given twice",
            ),
            (
                "{\"docker_password\": \"${env:NOPE}\"}",
                "config.json, line 1: docker_password: the environment has no NOPE",
            ),
            (
                "{\"docker_password\": \"${vault:x}\"}",
                "config.json, line 1: docker_password: a reference is ${env:NAME} or ${file:PATH}",
            ),
            (
                "{\"runbook_base_url\": \"ftp://x\"}",
                "config.json, line 1: runbook_base_url: \"ftp://x\" is no URL of http or https",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), expect, "{text}");
        }
        assert!(
            parse("{\"zzzzzzzzzz\": 1}")
                .unwrap_err()
                .contains("unknown key zzzzzzzzzz; known are alert_email, ")
        );
    }

    #[test]
    fn references() {
        let (config, literal) = parse("{\"docker_password\": \"${env:SECRET}\"}").unwrap();
        assert_eq!(
            config.secret("docker_password").unwrap().expose(),
            "hunter2"
        );
        assert!(literal.is_empty());
    }
}
