//! The configuration file, in Alertmanager's format: its shape, and the checked values that the program works with.
//!
//! What Alertmanager has and alert-router has not yet is refused by name: nothing that a user wrote is ignored in silence.

mod duration;
mod inhibit;
mod receiver;
mod route;
mod yaml;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use daemon::chain;
use serde::Deserialize;

pub(crate) use self::{
    duration::Span,
    inhibit::InhibitRule,
    receiver::{
        EmailSettings, HttpSettings, Integration, Kind, Receiver, SecretSource, SlackMessage,
        SlackSettings, TlsSettings, WebhookSettings, addresses,
    },
    route::Route,
    yaml::NotYet,
};
use self::{inhibit::InhibitFile, receiver::ReceiverFile, route::RouteFile};
use crate::{repair::RepairCommands, template::Templates};

/// A larger file is no configuration.
const MAX_SIZE: u64 = 4 << 20;

/// A configuration that can be worked with.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) resolve_timeout: Duration,
    pub(crate) route: Arc<Route>,
    /// In the order of the file.
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) inhibit_rules: Vec<Arc<InhibitRule>>,
    pub(crate) templates: Templates,
    pub(crate) repair_commands: RepairCommands,
    /// The file without its secrets, for `/api/v2/status`.
    pub(crate) shown: String,
    /// Of the file's bytes, for `alertmanager_config_hash`.
    pub(crate) hash: u64,
}

/// Where and why a configuration is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {reason}", path.display(), line.map_or_else(String::new, |it| format!(", line {it}")))]
pub(crate) struct ConfigError {
    pub(crate) path: PathBuf,
    /// Counted from 1, when it is known.
    pub(crate) line: Option<u64>,
    /// Names the key, and how to mend it.
    pub(crate) reason: String,
}

/// The shape of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    global: Global,
    route: Option<RouteFile>,
    #[serde(default)]
    receivers: Vec<ReceiverFile>,
    #[serde(default)]
    repair_commands: BTreeMap<String, String>,
    #[serde(default)]
    inhibit_rules: Vec<InhibitFile>,
    /// Patterns of files, from the configuration's folder.
    #[serde(default)]
    templates: Vec<PathBuf>,
    #[expect(dead_code, reason = "refused when given")]
    time_intervals: Option<NotYet>,
    #[expect(dead_code, reason = "refused when given")]
    mute_time_intervals: Option<NotYet>,
    #[expect(dead_code, reason = "refused when given")]
    tracing: Option<NotYet>,
}

/// What receivers take when they do not say it themselves.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Global {
    resolve_timeout: Option<Span>,
    smtp_from: Option<String>,
    smtp_hello: Option<String>,
    smtp_smarthost: Option<String>,
    smtp_auth_username: Option<String>,
    smtp_auth_password: Option<daemon::Secret>,
    smtp_auth_password_file: Option<PathBuf>,
    #[expect(dead_code, reason = "refused when given")]
    smtp_auth_secret: Option<NotYet>,
    #[expect(dead_code, reason = "refused when given")]
    smtp_auth_secret_file: Option<NotYet>,
    #[expect(dead_code, reason = "refused when given")]
    smtp_auth_identity: Option<NotYet>,
    smtp_require_tls: Option<bool>,
    smtp_tls_config: Option<receiver::TlsFile>,
    slack_api_url: Option<daemon::Secret>,
    slack_api_url_file: Option<PathBuf>,
    http_config: Option<receiver::HttpFile>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line where the reader of YAML knows it.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path).map_err(|error| ConfigError {
            path: path.to_owned(),
            line: None,
            reason: format!("cannot read the configuration: {error}"),
        })?;
        Self::parse(path, &text)
    }

    /// Reads a text; `path` is for messages, and for files that it names relative to itself.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let file: File = yaml::parse(text).map_err(|(line, reason)| ConfigError {
            path: path.to_owned(),
            line,
            reason,
        })?;
        let checked = Self::check(file, path.parent().unwrap_or(Path::new("")), text);
        checked.map_err(|reason| ConfigError {
            path: path.to_owned(),
            line: yaml::line_of(text, &reason),
            reason,
        })
    }

    fn check(file: File, folder: &Path, text: &str) -> Result<Self, String> {
        let mut receivers: Vec<Receiver> = Vec::new();
        for shape in file.receivers {
            if receivers.iter().any(|it| it.name == shape.name) {
                return Err(format!(
                    "receivers: the name {:?} is given twice; names must be unique",
                    shape.name
                ));
            }
            receivers.push(shape.check(&file.global, folder)?);
        }
        let route = file
            .route
            .ok_or("route is missing: add a route with a receiver")?;
        let inhibit_rules = file.inhibit_rules.into_iter();
        let inhibit_rules: Result<_, String> =
            inhibit_rules.map(|it| it.check().map(Arc::new)).collect();
        let patterns: Vec<_> = file.templates.iter().map(|it| folder.join(it)).collect();
        let templates = Templates::load(&patterns).map_err(|error| chain(&error).to_string())?;
        let names: Vec<&str> = receivers.iter().map(|it| it.name.as_str()).collect();
        let route = route.check(&names)?;
        Ok(Self {
            resolve_timeout: file
                .global
                .resolve_timeout
                .map_or(Duration::from_secs(300), |it| it.0),
            route: Arc::new(route),
            receivers,
            inhibit_rules: inhibit_rules?,
            templates,
            repair_commands: RepairCommands::new(file.repair_commands)?,
            shown: yaml::without_secrets(text),
            hash: text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            }),
        })
    }

    pub(crate) fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|it| it.name == name)
    }
}

pub(crate) fn read(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    fs::File::open(path)?
        .take(MAX_SIZE + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|it| it > MAX_SIZE) {
        return Err(io::Error::other("it has more than 4 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Config;

    fn check(text: &str, expect: &str) {
        let found = Config::parse(Path::new("r.yml"), text);
        assert_eq!(found.unwrap_err().to_string(), expect, "{text}");
    }

    #[test]
    fn mistakes() {
        let with = |rest: &str| format!("receivers: [{{name: a}}]\nroute:\n  receiver: a\n{rest}");
        for (text, expect) in [
            ("", "r.yml: route is missing: add a route with a receiver"),
            (
                "route:\n  receiver: a\n",
                "r.yml, line 2: route: the receiver \"a\" is not defined; add it to receivers",
            ),
            (
                "receivers: [{name: a}, {name: a}]\nroute: {receiver: a}\n",
                "r.yml: receivers: the name \"a\" is given twice; names must be unique",
            ),
            (
                "receivers: [{name: ''}]\nroute: {receiver: a}\n",
                "r.yml: receivers: a receiver without a name",
            ),
            (
                "route:\n  group_by: [x]\n",
                "r.yml: route: the first route needs a receiver",
            ),
            (
                &with("  matchers: [a=b]\n"),
                "r.yml: route: the first route takes every alert: it must have no matchers",
            ),
            (
                &with("  continue: true\n"),
                "r.yml: route: the first route must not have continue",
            ),
            (
                &with("  group_by: [a, a]\n"),
                "r.yml: route.group_by: \"a\" is given twice",
            ),
            (
                &with("  group_by: ['...', a]\n"),
                "r.yml: route.group_by: '...' must stand alone",
            ),
            (
                &with("  group_interval: 0s\n"),
                "r.yml: route.group_interval must be longer than zero",
            ),
            (
                &with("  repeat_interval: 0s\n"),
                "r.yml: route.repeat_interval must be longer than zero",
            ),
            (
                &with("  group_wait: 5\n"),
                "r.yml, line 4: group_wait: \"5\" is no duration such as 30s, 5m, 1h30m or 1d",
            ),
            (
                &with("  group_wait: 1h1d\n"),
                "r.yml, line 4: group_wait: \"1h1d\" is no duration such as 30s, 5m, 1h30m or 1d",
            ),
            (
                &with("  group_wiat: 5s\n"),
                "r.yml, line 4: unknown key group_wiat; did you mean group_wait?",
            ),
            (
                &with("  zzz: 5s\n"),
                "r.yml, line 4: unknown key zzz; known here: receiver, matchers, match, match_re, group_by, group_wait, group_interval, repeat_interval, continue, routes, mute_time_intervals, active_time_intervals",
            ),
            (
                &with("  routes: 5\n"),
                "r.yml, line 4: routes: expected a list",
            ),
            (
                &with("  continue: maybe\n"),
                "r.yml, line 4: continue: expected true or false",
            ),
            (
                &with("  routes: [{receiver: b}]\n"),
                "r.yml, line 4: route: the receiver \"b\" is not defined; add it to receivers",
            ),
            (
                &with("  routes: [{matchers: [a]}]\n"),
                "r.yml: route.matchers: bad matcher format: a; write name=\"value\", with =, !=, =~ or !~ between",
            ),
            (
                &with("  routes: [{match_re: {a: '('}}]\n"),
                "r.yml: route.matchers: bad matcher a=~\"(\": \"(\" is no regular expression: unclosed group",
            ),
            (
                &with("inhibit_rules:\n- source_matchers: [a]\n"),
                "r.yml: inhibit_rules.source_matchers: bad matcher format: a; write name=\"value\", with =, !=, =~ or !~ between",
            ),
            (
                &with("inhibit_rules:\n- source_match: {a: b}\n  equals: [c]\n"),
                "r.yml, line 6: unknown key equals; did you mean equal?",
            ),
            (
                &with("time_intervals:\n- name: x\n"),
                "r.yml, line 5: time_intervals is Alertmanager's, and alert-router does not support it yet: take it out",
            ),
            (
                &with("  receiver: a\n"),
                "r.yml, line 4: receiver is given twice",
            ),
            (
                &with("receivers: []\n"),
                "r.yml, line 4: receivers is given twice",
            ),
            (
                "receivers: [{name: a, pagerduty_configs: [{routing_key: x}]}]\nroute: {receiver: a}",
                "r.yml, line 1: pagerduty_configs is Alertmanager's, and alert-router does not support it yet: take it out",
            ),
            (
                "receivers: [{name: a, slack_configs: [{channel: x}]}]\nroute: {receiver: a}",
                "r.yml: receiver \"a\": slack_configs needs api_url or api_url_file, or global.slack_api_url",
            ),
            (
                "receivers: [{name: a, slack_configs: [{api_url: 'ftp://x/secret'}]}]\nroute: {receiver: a}",
                "r.yml: receiver \"a\": slack_configs.api_url is no URL that starts with http:// or https://",
            ),
            (
                "receivers: [{name: a, slack_configs: [{api_url: 'http://x', api_url_file: y}]}]\nroute: {receiver: a}",
                "r.yml: receiver \"a\": slack_configs: api_url and api_url_file exclude each other",
            ),
            (
                "receivers: [{name: a, webhook_configs: [{send_resolved: true}]}]\nroute: {receiver: a}",
                "r.yml: receiver \"a\": webhook_configs needs url or url_file",
            ),
            (
                "receivers: [{name: a, email_configs: [{to: x@y}]}]\nroute: {receiver: a}",
                "r.yml: receiver \"a\": email_configs needs smarthost, or global.smtp_smarthost",
            ),
            (
                "global: {smtp_smarthost: 'h:25'}\nreceivers: [{name: a, email_configs: [{to: x@y}]}]\nroute: {receiver: a}",
                "r.yml: receiver \"a\": email_configs needs from, or global.smtp_from",
            ),
            (
                "global: {smtp_smarthost: h, smtp_from: a@b}\nreceivers: [{name: a, email_configs: [{to: x@y}]}]\nroute: {receiver: a}",
                "r.yml: receiver \"a\": smarthost \"h\" is not of the form host:port",
            ),
            (
                "global: {smtp_smarthost: 'h:25', smtp_from: a@b}\nreceivers: [{name: a, email_configs: [{to: nobody}]}]\nroute: {receiver: a}",
                "r.yml: receiver \"a\": email_configs.to: \"nobody\" is no address such as ops@example.com",
            ),
            (
                "global: {smtp_smarthost: 'h:25', smtp_from: a@b}\nreceivers: [{name: a, email_configs: [{to: x@y, headers: {Subject: 1, subject: 2}}]}]\nroute: {receiver: a}",
                "r.yml: receiver \"a\": email_configs.headers: Subject is given twice",
            ),
            (
                &with("repair_commands: {'a b': x}\n"),
                "r.yml: repair_commands: the name \"a b\" must be of letters, digits, '.', '_' and '-'",
            ),
            (
                &with("repair_commands: {a: 'x {'}\n"),
                "r.yml: repair_commands.a: a brace is not closed",
            ),
            ("a: [", "r.yml, line 1: "),
        ] {
            if expect.ends_with("line 1: ") {
                let found = Config::parse(Path::new("r.yml"), text)
                    .unwrap_err()
                    .to_string();
                assert!(found.starts_with(expect), "{found}");
            } else {
                check(text, expect);
            }
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = "global:\n  smtp_smarthost: 'h:25'\n  smtp_from: a@b\n  smtp_auth_username: u\n  smtp_auth_password: hunter2\n  slack_api_url: https://hooks.example/T/hunter2\nreceivers:\n- name: a\n  slack_configs: [{channel: '#x'}]\n  webhook_configs: [{url: 'http://x/hunter2'}]\n  email_configs: [{to: x@y, auth_password: hunter2}]\nroute: {receiver: a}\n";
        let config = Config::parse(Path::new("r.yml"), text).unwrap();
        let seen = format!("{config:?}{}", config.shown);
        assert!(!seen.contains("hunter2"), "{seen}");
        assert!(config.shown.contains("<secret>"), "{}", config.shown);
        assert!(
            config.shown.contains("smtp_auth_username: u"),
            "{}",
            config.shown
        );
        // Nor does a mistake beside a secret show it.
        let error = Config::parse(
            Path::new("r.yml"),
            &text.replace("smtp_auth_password", "smtp_auth_pasword"),
        );
        let error = format!("{0} {0:?}", error.unwrap_err());
        assert!(!error.contains("hunter2"), "{error}");
        let error =
            Config::parse(Path::new("r.yml"), "global: {smtp_require_tls: hunter2}").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
