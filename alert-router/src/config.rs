//! The configuration file, in Alertmanager's format: its shape, and the checked values that the program works with.
//!
//! Every key of Alertmanager's is known; receivers that alert-router does not send to are named, so that nothing that a user wrote is
//! ignored in silence.

mod duration;
mod expand;
mod go_url;
mod heartbeat;
mod http;
mod inhibit;
mod intervals;
mod keys;
mod receiver;
mod route;
mod section;
mod settings;
mod show;
#[cfg(test)]
mod tests;
mod yaml;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use daemon::chain;
use serde_json::Value as Json;

use self::{
    expand::Sources,
    route::Known,
    section::{Reader, Record, Value},
    yaml::Mistake,
};
pub(crate) use self::{
    heartbeat::{Heartbeat, HeartbeatUrl},
    inhibit::InhibitRule,
    receiver::{Integration, Kind, Receiver, addresses},
    route::{GroupBy, Route},
    settings::{
        Authorization, BasicAuth, EmailSettings, HttpHeader, HttpSettings, JwtBearer, OAuth2,
        OAuth2Grant, PagerdutyImage, PagerdutyLink, PagerdutySettings, ProxySettings, SecretSource,
        SlackAction, SlackConfirm, SlackField, SlackMessage, SlackSettings, Threading, TlsSettings,
        TlsVersion, WebhookSettings,
    },
};
use crate::{matcher::Mode, repair::RepairCommands, template::Templates};

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
    pub(crate) heartbeats: Vec<Heartbeat>,
    /// Called while all is well here, so that somebody outside notices when it is not.
    pub(crate) heartbeat_url: Option<HeartbeatUrl>,
    /// With defaults and without secrets, for `/api/v2/status`; without what Alertmanager does not know, and without the defaults
    /// that amtool 0.25 does not know.
    pub(crate) shown: String,
    /// With every default of Alertmanager 0.34.
    #[cfg(test)]
    shown_whole: String,
    /// Of the file's bytes, for `alertmanager_config_hash`.
    pub(crate) hash: u64,
}

/// How a file is read; by default as Alertmanager does without flags.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Whether a receiver of a kind that is not sent is a mistake.
    pub(crate) strict_receivers: bool,
    /// Whether `${NAME}` and `${credential:NAME}` in values are put in.
    pub(crate) expand_env: bool,
    /// Where `${credential:NAME}` is.
    pub(crate) credentials_dir: Option<PathBuf>,
    /// How matchers are read.
    pub(crate) matchers: Mode,
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

impl Config {
    /// Reads a file, with the process' environment.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line where it is known.
    pub(crate) fn load_with(path: &Path, options: &Options) -> Result<Self, ConfigError> {
        let text = read(path).map_err(|error| ConfigError {
            path: path.to_owned(),
            line: None,
            reason: format!("cannot read the configuration: {error}"),
        })?;
        Self::parse_with(path, &text, options, &|name| env::var(name).ok())
    }

    /// Reads a text as without flags and environment.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::parse_with(path, text, &Options::default(), &|_| None)
    }

    /// Reads a text with an environment; `path` is for messages, and for files that it names relative to itself.
    pub(crate) fn parse_with(
        path: &Path,
        text: &str,
        options: &Options,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::check(text, folder, options, environment).map_err(|mistake| ConfigError {
            path: path.to_owned(),
            line: mistake.line,
            reason: mistake.reason,
        })
    }

    fn check(
        text: &str,
        folder: &Path,
        options: &Options,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Mistake> {
        let mode = options.matchers;
        let mut file = sections(text, options, environment)?;
        let mut global = match file.take("global") {
            Value::Record(global) => global,
            _ => Record::new(&keys::GLOBAL),
        };
        if global.record("http_config").is_none() {
            global.set("http_config", Value::Record(Record::new(&keys::HTTP)));
        }
        if let Some(http) = global.record_mut("http_config") {
            http::join(http, folder);
        }
        let mut names: Vec<String> = Vec::new();
        for receiver in file.records_mut("receivers") {
            let name = receiver.text("name").to_owned();
            if names.contains(&name) {
                let reason =
                    format!("receivers: the name {name:?} is given twice; names must be unique");
                return Err(receiver.wrong("name", reason));
            }
            names.push(name);
            receiver::join(receiver, folder);
            receiver::inherit(receiver, &mut global, folder)?;
        }
        let resolve_timeout = global.span("resolve_timeout").unwrap_or_default();
        file.set("global", Value::Record(global));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let strict = options.strict_receivers;
        let receivers = file.records("receivers").iter();
        let receivers: Result<Vec<_>, _> =
            receivers.map(|it| receiver::receiver(it, strict)).collect();
        let receivers = receivers?;
        receiver::check_fallbacks(&receivers, file.records("receivers"))?;
        let intervals = intervals::all(&file)?;
        let known = Known {
            receivers: &names,
            intervals: &intervals,
            mode,
        };
        let root = file.record("route");
        let root =
            root.ok_or_else(|| "route is missing: add a route with a receiver".to_owned())?;
        let route = Arc::new(route::route(root, &known)?);
        let inhibit_rules = file.records("inhibit_rules").iter();
        let inhibit_rules: Result<_, Mistake> = inhibit_rules
            .map(|it| inhibit::rule(it, mode).map(Arc::new))
            .collect();
        let inhibit_rules = inhibit_rules?;
        let patterns = file.texts("templates").iter();
        let patterns: Vec<String> = patterns.map(|it| http::joined(folder, it)).collect();
        let paths: Vec<PathBuf> = patterns.iter().map(PathBuf::from).collect();
        let templates = Templates::load(&paths)
            .map_err(|error| file.wrong("templates", chain(&error).to_string()))?;
        file.set("templates", Value::Texts(patterns));
        let repair_commands = RepairCommands::new(file.pairs("repair_commands"));
        let repair_commands =
            repair_commands.map_err(|reason| file.wrong("repair_commands", reason))?;
        Ok(Self {
            resolve_timeout,
            route,
            receivers,
            inhibit_rules,
            templates,
            repair_commands,
            heartbeats: heartbeat::all(file.records("heartbeats"), &names)?,
            heartbeat_url: file
                .record("heartbeat_url")
                .map(|it| heartbeat::url(it, folder))
                .transpose()?,
            #[cfg(test)]
            shown_whole: show::section(&file, show::Defaults::All),
            shown: show::section(&file, show::Defaults::Older),
            hash: text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            }),
        })
    }

    pub(crate) fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|it| it.name == name)
    }
}

/// The sections of a text, each by itself as it should be.
fn sections(
    text: &str,
    options: &Options,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Record, Mistake> {
    let sources = Sources {
        environment,
        credentials: options.credentials_dir.as_deref(),
    };
    let expand = |text: &str| expand::expand(text, &sources);
    let fill: Option<yaml::Fill<'_>> = options.expand_env.then_some(&expand);
    match yaml::parse(text, fill)? {
        // An empty document is an empty configuration, whose errors are about what is missing.
        None => Ok(Record::new(&keys::FILE)),
        Some(node) if node.is_null() => Ok(Record::new(&keys::FILE)),
        Some(node) => Reader::new(options.matchers).section(&keys::FILE, &node),
    }
}

/// What a text means as YAML, as Alertmanager takes texts of a `payload:` and of `details:` after their templates; None when it is
/// no YAML.
pub(crate) fn yaml_value(text: &str) -> Option<Json> {
    let node = yaml::parse(text, None).ok()?;
    match node {
        None => Some(Json::Null),
        Some(node) => {
            let value = Reader::new(Mode::Fallback).any(&node).ok()?;
            Some(value.json())
        }
    }
}

/// Prometheus' durations, such as `1d12h`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let nanoseconds = duration::prometheus(text)?;
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
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
mod mistakes {
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
                "r.yml, line 1: receivers: the name \"a\" is given twice; names must be unique",
            ),
            (
                "receivers: [{name: ''}]\nroute: {receiver: a}\n",
                "r.yml, line 1: receivers: a receiver without a name",
            ),
            (
                "route:\n  group_by: [x]\n",
                "r.yml, line 2: route: the first route needs a receiver",
            ),
            (
                &with("  matchers: [a=b]\n"),
                "r.yml, line 4: route: the first route takes every alert: it must have no matchers",
            ),
            (
                &with("  continue: true\n"),
                "r.yml, line 4: route: the first route must not have continue",
            ),
            (
                &with("  group_by: [a, a]\n"),
                "r.yml, line 4: route.group_by: \"a\" is given twice",
            ),
            (
                &with("  group_by: ['...', a]\n"),
                "r.yml, line 4: route.group_by: '...' must stand alone",
            ),
            (
                &with("  group_interval: 0s\n"),
                "r.yml, line 4: route.group_interval must be longer than zero",
            ),
            (
                &with("  repeat_interval: 0s\n"),
                "r.yml, line 4: route.repeat_interval must be longer than zero",
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
                "r.yml, line 4: unknown key zzz; known here: receiver, group_by, match, match_re, matchers, mute_time_intervals, active_time_intervals, continue, routes, group_wait, group_interval, repeat_interval, labels, digest",
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
                "r.yml, line 4: matchers: bad matcher format: a; write name=\"value\", with =, !=, =~ or !~ between",
            ),
            (
                &with("  routes: [{match_re: {a: '('}}]\n"),
                "r.yml, line 4: match_re.a: \"(\" is no regular expression: unclosed group",
            ),
            (
                &with("inhibit_rules:\n- source_matchers: [a]\n"),
                "r.yml, line 5: source_matchers: bad matcher format: a; write name=\"value\", with =, !=, =~ or !~ between",
            ),
            (
                &with("inhibit_rules:\n- source_match: {a: b}\n  equals: [c]\n"),
                "r.yml, line 6: unknown key equals; did you mean equal?",
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
                "receivers: [{name: a, slack_configs: [{channel: x}]}]\nroute: {receiver: a}",
                "r.yml, line 1: receiver \"a\": slack_configs needs api_url, api_url_file, app_token or app_token_file, or global.slack_api_url",
            ),
            (
                "receivers: [{name: a, slack_configs: [{api_url: 'ftp://x/secret'}]}]\nroute: {receiver: a}",
                "r.yml, line 1: api_url: this is no URL: it must start with http:// or https://",
            ),
            (
                "receivers: [{name: a, slack_configs: [{api_url: 'http://x', api_url_file: y}]}]\nroute: {receiver: a}",
                "r.yml, line 1: slack_configs: api_url and api_url_file exclude each other",
            ),
            (
                "receivers: [{name: a, webhook_configs: [{send_resolved: true}]}]\nroute: {receiver: a}",
                "r.yml, line 1: webhook_configs needs url or url_file",
            ),
            (
                "receivers: [{name: a, email_configs: [{to: x@y}]}]\nroute: {receiver: a}",
                "r.yml, line 1: receiver \"a\": email_configs needs smarthost, or global.smtp_smarthost",
            ),
            (
                "global: {smtp_smarthost: 'h:25'}\nreceivers: [{name: a, email_configs: [{to: x@y}]}]\nroute: {receiver: a}",
                "r.yml, line 2: receiver \"a\": email_configs needs from, or global.smtp_from",
            ),
            (
                "global: {smtp_smarthost: h, smtp_from: a@b}\nreceivers: [{name: a, email_configs: [{to: x@y}]}]\nroute: {receiver: a}",
                "r.yml, line 1: smtp_smarthost: \"h\" is not of the form host:port",
            ),
            (
                "global: {smtp_smarthost: 'h:25', smtp_from: a@b}\nreceivers: [{name: a, email_configs: [{to: nobody}]}]\nroute: {receiver: a}",
                "r.yml, line 2: receiver \"a\": email_configs.to: \"nobody\" is no address such as ops@example.com",
            ),
            (
                "global: {smtp_smarthost: 'h:25', smtp_from: a@b}\nreceivers: [{name: a, email_configs: [{to: x@y, headers: {Subject: 1, subject: 2}}]}]\nroute: {receiver: a}",
                "r.yml, line 2: email_configs.headers: Subject is given twice",
            ),
            (
                &with("repair_commands: {'a b': x}\n"),
                "r.yml, line 4: repair_commands: the name \"a b\" must be of letters, digits, '.', '_' and '-'",
            ),
            (
                &with("repair_commands: {a: 'x {'}\n"),
                "r.yml, line 4: repair_commands.a: a brace is not closed",
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
