//! `config.json`: the keys of the operational guide and those that the rest needs, read strictly. Every problem is named at once, each with
//! its line.

mod ask;
mod check;
mod document;
mod edit;
mod keys;
mod schema;

use std::{collections::BTreeMap, fmt, fs, os::unix::fs::PermissionsExt as _, path::Path};

use daemon::Secret;
use serde_json::{Value, json};

#[cfg(test)]
pub(crate) use self::keys::LISTENERS;
use self::{
    check::{Checker, Held, Values},
    document::{Document, Problem},
    keys::{Holds, KEYS, Key, Required},
};
pub(crate) use self::{
    check::{is_word, near},
    edit::set_number,
    keys::LEVELS,
    schema::print_schema,
};
use crate::{network::Role, output};

/// A larger file is no configuration.
const MAX_SIZE: u64 = 1 << 20;
/// How the file of an environment is called.
pub(crate) const FILE: &str = "config.json";

/// A configuration whose values are what they should be.
#[derive(Debug, Default)]
pub(crate) struct Config {
    values: Values,
}

/// The values of one of the objects that a key holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object<'a>(&'a Values);

/// Where the machines of a network come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Made by Terraform.
    Aws,
    /// There are some.
    Hosts,
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

impl ConfigError {
    fn new(path: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort();
        let at = |(line, problem): Problem| match line {
            0 => format!("{}: {problem}", path.display()),
            line => format!("{}, line {line}: {problem}", path.display()),
        };
        Self(problems.into_iter().map(at).collect())
    }

    /// These and those of another file.
    pub(crate) fn and(mut self, other: &impl fmt::Display) -> Self {
        self.0.push(other.to_string());
        self
    }
}

impl Config {
    /// Reads a file, of which nothing needs to be there. A secret that others on the machine can read is warned of.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let (config, _document) = Self::read(path)?;
        Ok(config)
    }

    /// Reads the file of an environment: what is missing is asked for on a terminal, and what does not fit together is a problem, too.
    pub(crate) fn load_environment(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join(FILE);
        let (mut config, document) = Self::read(&path)?;
        let mut missing = config.missing();
        if ask::can_ask() {
            missing.retain(|key| !ask::ask(key, &mut config.values));
        }
        let missing = missing.into_iter().map(|key| {
            let about = key.about.trim_end_matches('.');
            (0, format!("{} is missing: {about}", key.name))
        });
        let mut problems: Vec<Problem> = missing.collect();
        for (key, problem) in config.contradictions() {
            let line = if config.values.contains_key(key) {
                document.line(key)
            } else {
                0
            };
            problems.push((line, format!("{key}: {problem}")));
        }
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::new(&path, problems))
        }
    }

    fn read(path: &Path) -> Result<(Self, Document), ConfigError> {
        let one = |problem: String| ConfigError::new(path, vec![(0, problem)]);
        let cannot = |error: std::io::Error| one(format!("cannot read it: {error}"));
        let meta = fs::metadata(path).map_err(cannot)?;
        if meta.len() > MAX_SIZE {
            return Err(one("it has more than 1 MiB".to_owned()));
        }
        let text = fs::read_to_string(path).map_err(cannot)?;
        let (config, document, literal) =
            Self::parse(path, &text, &|name| std::env::var(name).ok())?;
        if !literal.is_empty() && meta.permissions().mode() & 0o077 != 0 {
            output::warn(format!(
                "{}: {} stand in a file that others can read: chmod 600 it, or write \"${{env:NAME}}\" or \"${{file:PATH}}\" in their place",
                path.display(),
                literal.join(", ")
            ));
        }
        Ok((config, document))
    }

    /// Reads a text; gives the keys whose secrets stand in it, too.
    fn parse(
        path: &Path,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Document, Vec<String>), ConfigError> {
        let document = Document::parse(text).map_err(|it| ConfigError::new(path, vec![it]))?;
        let mut checker = Checker {
            document: &document,
            folder: path.parent().unwrap_or(Path::new("")),
            environment,
            problems: document.doubles(),
            literal: Vec::new(),
        };
        let entries = document.entries.iter().map(|it| (&it.0, &it.1));
        let values = checker.values("", entries, KEYS);
        if !checker.problems.is_empty() {
            return Err(ConfigError::new(path, checker.problems));
        }
        let literal = checker.literal;
        Ok((Self { values }, document, literal))
    }

    /// Keys that must be there and are not.
    fn missing(&self) -> Vec<&'static Key> {
        let is_aws = self.target() == Target::Aws;
        let keys = KEYS.iter().filter(|key| match key.required {
            Required::Never => false,
            Required::Always => true,
            Required::OnAws => is_aws,
        });
        keys.filter(|key| !self.has(key.name)).collect()
    }

    /// Keys that do not go with others, and why.
    fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for (key, needs) in [
            ("alert_email", "smtp_smarthost"),
            ("alert_email", "smtp_from"),
            ("aws_readonly_key", "aws_readonly_secret"),
            ("aws_readonly_secret", "aws_readonly_key"),
            ("cassandra_password", "cassandra_user"),
            ("cassandra_user", "cassandra_password"),
            ("smtp_auth_password", "smtp_auth_username"),
            ("smtp_auth_username", "smtp_auth_password"),
            ("smtp_smarthost", "alert_email"),
        ] {
            if self.has(key) && !self.has(needs) {
                found.push((key, format!("it needs {needs}")));
            }
        }
        found.extend(self.images_without());
        let is_theirs = self.installs(Role::ScalarDl) && !self.installs(Role::Cassandra);
        if is_theirs && self.keeps_ledger_in_cassandra() && !self.has("cassandra_user") {
            found.push((
                "services",
                "ledgers without a Cassandra that is installed from here need cassandra_user and cassandra_password, whom they are to the one that there is"
                    .to_owned(),
            ));
        }
        let are_told = ["slack_webhook_url", "alert_email", "pagerduty_routing_key"];
        let are_told = are_told.iter().any(|it| self.has(it));
        let has_alerts = !self.leaves_out("prometheus") && !self.leaves_out("alert-router");
        if has_alerts && !are_told && !self.is_on("no_notifications", false) {
            found.push((
                "no_notifications",
                "nobody would be told of alerts: give slack_webhook_url, alert_email or pagerduty_routing_key, or set this to true"
                    .to_owned(),
            ));
        }
        if self.has("traefik_certificate_file") != self.has("traefik_key_file") {
            found.push((
                "traefik_key_file",
                "give traefik_certificate_file and traefik_key_file, or none".to_owned(),
            ));
        }
        for (key, least, most) in [
            ("cassandra_instance_count", 1, 1000),
            ("scalar_autoscaling_group_desire", 1, 1000),
            ("monitor_instance_count", 1, 2),
            ("traefik_instance_count", 1, 100),
        ] {
            if self
                .number(key)
                .is_some_and(|it| !(least..=most).contains(&it))
            {
                found.push((key, format!("it must be between {least} and {most}")));
            }
        }
        for (at, one) in self.objects("remote_write").iter().enumerate() {
            let has = |key| one.contains_key(key);
            if has("username") != has("password") {
                found.push((
                    "remote_write",
                    format!("[{at}]: give username and password, or none"),
                ));
            }
            if has("username") && has("bearer_token") {
                found.push((
                    "remote_write",
                    format!("[{at}]: a user and a token: give one of them"),
                ));
            }
        }
        found
    }

    /// Whether it is Cassandra that keeps the ledger.
    pub(crate) fn keeps_ledger_in_cassandra(&self) -> bool {
        let mut own = self.texts("scalar_properties");
        own.all(|(name, value)| name != "scalar.db.storage" || value == "cassandra")
    }

    /// What a ledger's image lacks, where machines are not made in the cloud and so the keys are not required anyway.
    fn images_without(&self) -> Option<(&'static str, String)> {
        let is_given = self.has("scalar_image_archive");
        if self.target() == Target::Aws || !self.installs(Role::ScalarDl) || is_given {
            return None;
        }
        let keys = ["tag", "docker_user", "docker_password"];
        let missing: Vec<_> = keys.into_iter().filter(|it| !self.has(it)).collect();
        (!missing.is_empty()).then(|| {
            let needed = missing.join(", ");
            (
                "services",
                format!("a ledger's image needs {needed}; or give scalar_image_archive, a file that has it"),
            )
        })
    }

    /// Where the machines come from.
    pub(crate) fn target(&self) -> Target {
        match self.text("target") {
            Some("hosts") => Target::Hosts,
            _ => Target::Aws,
        }
    }

    fn has(&self, key: &str) -> bool {
        match self.values.get(key) {
            None => false,
            Some(Held::Text(text)) => !text.expose().is_empty(),
            Some(_) => true,
        }
    }

    /// The value of a key that is no secret.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.secret(key).map(Secret::expose)
    }

    /// The value of a key that is one.
    pub(crate) fn secret(&self, key: &str) -> Option<&Secret> {
        secret(&self.values, key)
    }

    /// The number that a key holds.
    pub(crate) fn number(&self, key: &str) -> Option<u32> {
        self.text(key).and_then(|it| it.parse().ok())
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, key: &str, default: bool) -> bool {
        self.text(key).map_or(default, |it| it == "true")
    }

    /// The texts that a key holds by names of the user's own, sorted by name.
    pub(crate) fn texts(&self, key: &str) -> impl Iterator<Item = (&str, &str)> {
        let texts = match self.values.get(key) {
            Some(Held::Texts(texts)) => Some(texts),
            _ => None,
        };
        let texts = texts.into_iter().flatten();
        texts.map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The list that a key holds.
    pub(crate) fn list(&self, key: &str) -> &[String] {
        match self.values.get(key) {
            Some(Held::List(list)) => list,
            _ => &[],
        }
    }

    /// Whether the nodes of a role get the service that they are for, and not only what monitors it.
    pub(crate) fn installs(&self, role: Role) -> bool {
        if self.has("services") {
            self.list("services").iter().any(|it| it == role.word())
        } else {
            self.target() == Target::Aws
        }
    }

    /// Whether the network does without a resource.
    pub(crate) fn leaves_out(&self, resource: &str) -> bool {
        self.list("leave_out").iter().any(|it| it == resource)
    }

    /// What a key that is no secret holds, as JSON; None when it is one, or is not there.
    pub(crate) fn plain(&self, name: &str) -> Option<Value> {
        let key = KEYS.iter().find(|it| it.name == name)?;
        if matches!(key.holds, Holds::Secret | Holds::SecretUrl) || !self.has(name) {
            return None;
        }
        match self.values.get(key.name)? {
            Held::Text(text) => Some(json!(text.expose())),
            Held::List(list) => Some(json!(list)),
            Held::Texts(texts) => Some(json!(texts)),
            // They may hold secrets.
            Held::Objects(_) | Held::Named(_) => None,
        }
    }

    /// What stands in each key, for people: of a secret only that there is one.
    pub(crate) fn shown(&self) -> BTreeMap<&'static str, String> {
        let keys = KEYS.iter().filter(|it| self.has(it.name));
        let shown = keys.filter_map(|key| {
            let text = match (self.values.get(key.name)?, key.holds) {
                (_, Holds::Secret | Holds::SecretUrl) => "<secret>".to_owned(),
                (Held::Text(text), _) => text.expose().to_owned(),
                (Held::List(list), _) => list.join(", "),
                (Held::Texts(texts), _) => {
                    let pairs: Vec<_> = texts
                        .iter()
                        .map(|it| format!("{}={}", it.0, it.1))
                        .collect();
                    pairs.join(", ")
                }
                (Held::Objects(all), _) => format!("{} of them", all.len()),
                (Held::Named(all), _) => all.keys().cloned().collect::<Vec<_>>().join(", "),
            };
            Some((key.name, text))
        });
        shown.collect()
    }

    /// Whether a key holds what it holds in another configuration.
    pub(crate) fn holds_the_same(&self, key: &str, other: &Self) -> bool {
        self.values.get(key) == other.values.get(key)
    }

    /// The port that a program was given, when it was.
    pub(crate) fn port(&self, program: &str) -> Option<u16> {
        match self.values.get("ports") {
            Some(Held::Texts(ports)) => ports.get(program)?.parse().ok(),
            _ => None,
        }
    }

    /// The objects that a key holds by names of the user's own.
    pub(crate) fn named(&self, key: &str) -> impl Iterator<Item = (&str, Object<'_>)> {
        let all = match self.values.get(key) {
            Some(Held::Named(all)) => Some(all),
            _ => None,
        };
        let all = all.into_iter().flatten();
        all.map(|(name, values)| (name.as_str(), Object(values)))
    }

    /// The objects of the list that a key holds.
    pub(crate) fn each(&self, key: &str) -> impl Iterator<Item = Object<'_>> {
        self.objects(key).iter().map(Object)
    }

    fn objects(&self, key: &str) -> &[Values] {
        match self.values.get(key) {
            Some(Held::Objects(all)) => all,
            _ => &[],
        }
    }
}

impl<'a> Object<'a> {
    /// As [`Config::text`].
    pub(crate) fn text(self, key: &str) -> Option<&'a str> {
        self.secret(key).map(Secret::expose)
    }

    /// As [`Config::secret`].
    pub(crate) fn secret(self, key: &str) -> Option<&'a Secret> {
        secret(self.0, key)
    }
}

fn secret<'a>(values: &'a Values, key: &str) -> Option<&'a Secret> {
    match values.get(key) {
        Some(Held::Text(text)) if !text.expose().is_empty() => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Config, Role, Target};

    fn parse(text: &str) -> Result<(Config, Vec<String>), String> {
        let environment = |name: &str| match name {
            "HOME" => Some("/home/u".to_owned()),
            "SECRET" => Some("hunter2".to_owned()),
            _ => None,
        };
        let parsed = Config::parse(Path::new("config.json"), text, &environment);
        let parsed = parsed.map(|(config, _document, literal)| (config, literal));
        parsed.map_err(|it| it.to_string())
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
                "{\"remote_write\": [{\"url\": \"http://x\"},\n {\"usr\": \"u\"}, 7]}",
                "config.json, line 1: remote_write: expected objects, found a number\n  config.json, line 2: remote_write[1]: url is missing\n  config.json, line 2: unknown key remote_write[1].usr; did you mean url?",
            ),
            (
                "{\"level\": \"hihg\", \"leave_out\": [\"graphana\"]}",
                "config.json, line 1: leave_out: \"graphana\" is none of alert-router, bastion, grafana, prometheus, traefik; did you mean grafana?\n  config.json, line 1: level: \"hihg\" is none of entry, medium, high, high-nvme; did you mean high?",
            ),
            (
                "{\"allowed_cidrs\": [\"10.0.0.0/33\"], \"retention\": \"90\",\n\"retention_size\": \"4GB1\", \"prefix\": \"a b\", \"smtp_smarthost\": \"mail\",\n\"ports\": {\"grafana\": 0}, \"tags\": {\"a\": 1}, \"no_notifications\": \"yes\"}",
                "config.json, line 1: allowed_cidrs: \"10.0.0.0/33\" is no network such as 203.0.113.0/24\n  config.json, line 1: retention: \"90\" is no time such as 90d or 12h\n  config.json, line 2: prefix: \"a b\" has characters other than letters, digits and hyphens, or more than 32, and it becomes a part of names\n  config.json, line 2: retention_size: \"4GB1\" is no size such as 40GB\n  config.json, line 2: smtp_smarthost: \"mail\" is no host:port\n  config.json, line 3: no_notifications: \"yes\" is neither true nor false\n  config.json, line 3: ports: grafana: expected a port, 1 to 65535\n  config.json, line 3: tags: \"a\": expected a text, found a number",
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
                .contains("unknown key zzzzzzzzzz; known are $schema, alert_email, ")
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

    #[test]
    fn services() {
        let check = |text: &str| {
            let (config, _) = parse(text).unwrap();
            let roles = [Role::Cassandra, Role::ScalarDl, Role::Traefik].into_iter();
            let installed = roles.filter(|it| config.installs(*it));
            installed.map(Role::word).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(check("{}"), "cassandra scalardl traefik");
        assert_eq!(check("{\"target\": \"hosts\"}"), "");
        assert_eq!(
            check("{\"target\": \"hosts\", \"services\": [\"scalardl\"]}"),
            "scalardl"
        );
        assert_eq!(check("{\"services\": []}"), "");
    }

    #[test]
    fn what_is_missing_and_what_does_not_fit() {
        let check = |text: &str| {
            let (config, _) = parse(text).unwrap();
            let missing: Vec<_> = config.missing().iter().map(|it| it.name).collect();
            let found = config.contradictions().into_iter();
            let found: Vec<_> = found.map(|(key, why)| format!("{key}: {why}")).collect();
            (missing.join(" "), found.join("\n"))
        };
        let (missing, found) = check("{\"no_notifications\": true}");
        assert_eq!(
            missing,
            "aws_key_name docker_password docker_user environment name prefix private_key_file tag"
        );
        assert_eq!(found, "");
        let hosts =
            "\"target\": \"hosts\", \"name\": \"n\", \"prefix\": \"p\", \"environment\": \"e\"";
        assert_eq!(
            check(&format!("{{{hosts}, \"leave_out\": [\"prometheus\"]}}")),
            (String::new(), String::new())
        );
        let (_, found) = check(&format!(
            "{{{hosts}, \"smtp_smarthost\": \"m:25\", \"cassandra_instance_count\": 0, \"remote_write\": [{{\"url\": \"http://x\", \"username\": \"u\"}}]}}"
        ));
        assert_eq!(
            found,
            "smtp_smarthost: it needs alert_email\n\
             no_notifications: nobody would be told of alerts: give slack_webhook_url, alert_email or pagerduty_routing_key, or set this to true\n\
             cassandra_instance_count: it must be between 1 and 1000\n\
             remote_write: [0]: give username and password, or none"
        );
        let (config, _) = parse(&format!("{{{hosts}}}")).unwrap();
        assert_eq!(config.target(), Target::Hosts);
    }

    /// What a ledger on machines that there are cannot do without is one sentence for the image, and one for Cassandra.
    #[test]
    fn what_ledgers_need() {
        let check = |keys: &str, expect: &[&str]| {
            let text = format!(
                r#"{{"target": "hosts", "no_notifications": true, "services": ["scalardl"]{keys}}}"#
            );
            let (config, _) = parse(&text).unwrap();
            let found = config.contradictions();
            assert_eq!(found.len(), expect.len(), "{found:?}");
            for ((_, why), expect) in found.iter().zip(expect) {
                assert!(why.contains(expect), "{why}");
            }
        };
        let image = "a ledger's image needs tag, docker_user, docker_password; or give scalar_image_archive";
        let whom = "need cassandra_user and cassandra_password";
        check("", &[image, whom]);
        let user = r#", "cassandra_user": "u", "cassandra_password": "p""#;
        check(user, &[image]);
        check(
            &format!(r#"{user}, "tag": "1", "docker_user": "u""#),
            &["a ledger's image needs docker_password;"],
        );
        let archive = r#", "scalar_image_archive": "a.tar""#;
        check(&format!("{user}{archive}"), &[]);
        let jdbc = r#", "scalar_properties": {"scalar.db.storage": "jdbc"}"#;
        check(&format!("{archive}{jdbc}"), &[]);
        check(
            &format!(r#"{archive}, "cassandra_user": "u""#),
            &["it needs cassandra_password"],
        );
    }
}
