//! Flags to settings that have been checked.

use std::{path::PathBuf, time::Duration};

use client::{Credentials, Login, SecretFrom, Url};
use daemon::{CommonFlags, FileFlags};
use regex::Regex;

use crate::{jolokia::Access, metrics::Profile};

/// The command line. The same keys may stand in a YAML file, see `--config.file`.
#[derive(Debug, clap::Parser)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) common: CommonFlags,
    #[command(flatten)]
    file: FileFlags,
    #[command(flatten)]
    pub(crate) jolokia: JolokiaFlags,
    #[command(flatten)]
    pub(crate) reading: ReadingFlags,
}

impl AsRef<CommonFlags> for Flags {
    fn as_ref(&self) -> &CommonFlags {
        &self.common
    }
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Jolokia")]
pub(crate) struct JolokiaFlags {
    /// Where the node's Jolokia agent answers, its context included
    #[arg(
        long = "jolokia.url",
        value_name = "URL",
        default_value = "http://127.0.0.1:8778/jolokia"
    )]
    url: String,
    /// User for basic authentication; the password is in --jolokia.password-file, or in the environment variable
    /// CASSANDRA_EXPORTER_JOLOKIA_PASSWORD
    #[arg(long = "jolokia.username", value_name = "USER")]
    username: Option<String>,
    /// File with the password; read with every scrape
    #[arg(long = "jolokia.password-file", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with a bearer token, in place of a user; read with every scrape. Or the environment variable
    /// CASSANDRA_EXPORTER_JOLOKIA_BEARER_TOKEN
    #[arg(long = "jolokia.bearer-token-file", value_name = "FILE")]
    bearer_token_file: Option<PathBuf>,
    /// PEM file with the authorities that sign the agent's certificate, in place of the system's; read anew when it changes
    #[arg(long = "jolokia.ca-file", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// PEM file with our certificate, for agents that want to see one; read anew when it changes
    #[arg(long = "jolokia.cert-file", value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// PEM file with its key
    #[arg(long = "jolokia.key-file", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The name that the agent's certificate must have, when it is not the one of the URL
    #[arg(long = "jolokia.server-name", value_name = "NAME")]
    server_name: Option<String>,
    /// Trust every certificate
    #[arg(long = "jolokia.insecure-skip-verify")]
    insecure_skip_verify: bool,
    /// Bytes of one answer; a larger one ends the scrape
    #[arg(
        long = "jolokia.max-answer-bytes",
        value_name = "BYTES",
        default_value_t = 32 << 20
    )]
    max_answer: usize,
    /// Beans that are read in one call: more take less of the node's time, until about 1,000, and longer answers
    #[arg(long = "jolokia.bulk", value_name = "BEANS", default_value_t = 1_000)]
    bulk: usize,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What is read")]
pub(crate) struct ReadingFlags {
    /// How much is read
    #[arg(long, value_name = "PROFILE", value_enum, default_value_t = Profile::Standard)]
    profile: Profile,
    /// Quantiles of latencies and sizes, of those that Cassandra knows: 0 (least), 0.5, 0.75, 0.95, 0.98, 0.99, 0.999, 1 (largest)
    #[arg(
        long,
        value_name = "QUANTILE,…",
        value_delimiter = ',',
        default_value = "0.5,0.95,0.99"
    )]
    quantiles: Vec<String>,
    /// How histograms of partitions' sizes are shown (--profile=full)
    #[arg(long, value_name = "KIND", value_enum, default_value_t = Histograms::Classic)]
    histograms: Histograms,
    /// Regular expression of keyspaces of which metrics of tables are read
    #[arg(long = "keyspaces.include", value_name = "REGEX")]
    keyspaces_include: Option<String>,
    /// Regular expression of keyspaces of which none are
    #[arg(long = "keyspaces.exclude", value_name = "REGEX")]
    keyspaces_exclude: Option<String>,
    /// Regular expression of tables, as keyspace.table, of which metrics are read
    #[arg(long = "tables.include", value_name = "REGEX")]
    tables_include: Option<String>,
    /// Regular expression of tables, as keyspace.table, of which none are
    #[arg(long = "tables.exclude", value_name = "REGEX")]
    tables_exclude: Option<String>,
    /// Read metrics of the tables of system keyspaces, too
    #[arg(long = "tables.system")]
    tables_system: bool,
    /// Tables of which metrics are read, at most; what is left out is counted
    #[arg(long = "tables.max", value_name = "N", default_value_t = 2_000)]
    tables_max: usize,
    /// Regular expression of metrics of tables, by our names: those that are read, whatever the profile
    #[arg(long = "metrics.include", value_name = "REGEX")]
    metrics_include: Option<String>,
    /// Regular expression of metrics of tables, by our names: those that are not read
    #[arg(long = "metrics.exclude", value_name = "REGEX")]
    metrics_exclude: Option<String>,
    /// How often names of beans are looked for anew; a new schema is noticed at once
    #[arg(
        long = "discovery.interval",
        value_name = "DURATION",
        default_value = "5m"
    )]
    discovery_interval: String,
}

/// How histograms are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Histograms {
    /// Buckets with bounds, each a series
    Classic,
    /// Native histograms, for a Prometheus that asks for them
    Native,
    /// Not at all
    Off,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) access: Access,
    pub(crate) bulk: usize,
    pub(crate) profile: Profile,
    pub(crate) quantiles: Vec<Quantile>,
    pub(crate) histograms: Histograms,
    pub(crate) keyspaces: Filter,
    pub(crate) tables: Filter,
    pub(crate) metrics: Filter,
    pub(crate) tables_system: bool,
    pub(crate) tables_max: usize,
    pub(crate) discovery_interval: Duration,
}

/// A quantile and the attribute that has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantile {
    pub(crate) of: f64,
    pub(crate) attribute: &'static str,
}

/// Those that Cassandra's timers and histograms have.
const QUANTILES: &[Quantile] = &[
    quantile(0.0, "Min"),
    quantile(0.5, "50thPercentile"),
    quantile(0.75, "75thPercentile"),
    quantile(0.95, "95thPercentile"),
    quantile(0.98, "98thPercentile"),
    quantile(0.99, "99thPercentile"),
    quantile(0.999, "999thPercentile"),
    quantile(1.0, "Max"),
];

const fn quantile(of: f64, attribute: &'static str) -> Quantile {
    Quantile { of, attribute }
}

/// Names that are let through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    include: Option<Regex>,
    exclude: Option<Regex>,
}

impl Filter {
    pub(crate) fn lets(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|it| it.is_match(name)) && !self.excludes(name)
    }

    /// Whether it is named by an include.
    pub(crate) fn includes(&self, name: &str) -> Option<bool> {
        self.include.as_ref().map(|it| it.is_match(name))
    }

    pub(crate) fn excludes(&self, name: &str) -> bool {
        self.exclude.as_ref().is_some_and(|it| it.is_match(name))
    }
}

/// A flag that cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(
        "--jolokia.url={0:?} is no http or https address, such as http://127.0.0.1:8778/jolokia"
    )]
    Url(String),
    #[error(
        "--jolokia.url must not hold a user or password: give --jolokia.username and --jolokia.password-file"
    )]
    UrlLogin,
    #[error("--jolokia.url={0:?} must not have a query or fragment: POST alone is used")]
    UrlQuery(String),
    #[error(
        "--jolokia.username needs --jolokia.password-file or CASSANDRA_EXPORTER_JOLOKIA_PASSWORD"
    )]
    NoPassword,
    #[error("a password needs --jolokia.username")]
    NoUser,
    #[error("--jolokia.username must not hold a colon: basic authentication has no way to say it")]
    UserColon,
    #[error("a password and a bearer token: give one of them")]
    TwoLogins,
    #[error("--jolokia.cert-file and --jolokia.key-file: give both or none")]
    HalfIdentity,
    #[error("{flag} must be between {least} and {most}")]
    Range {
        flag: &'static str,
        least: usize,
        most: usize,
    },
    #[error("--quantiles: {0:?} is none of 0, 0.5, 0.75, 0.95, 0.98, 0.99, 0.999, 1")]
    Quantile(String),
    #[error("{flag}={text:?} is no regular expression")]
    Regex {
        flag: &'static str,
        text: String,
        source: regex::Error,
    },
    #[error("--discovery.interval={0:?} is no duration of at least 10s, such as 5m")]
    Interval(String),
}

/// Environment variables for secrets, so that they need not stand in a file.
pub(crate) const PASSWORD: &str = "CASSANDRA_EXPORTER_JOLOKIA_PASSWORD";
pub(crate) const BEARER_TOKEN: &str = "CASSANDRA_EXPORTER_JOLOKIA_BEARER_TOKEN";

impl Settings {
    /// Checks flags. `variable` reads the environment.
    pub(crate) fn new(
        jolokia: JolokiaFlags,
        reading: ReadingFlags,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let secret = |file: Option<PathBuf>, name: &str| match file {
            Some(file) => Some(SecretFrom::File(file)),
            None => variable(name)
                .filter(|it| !it.is_empty())
                .map(SecretFrom::Value),
        };
        let password = secret(jolokia.password_file, PASSWORD);
        let token = secret(jolokia.bearer_token_file, BEARER_TOKEN);
        let login = match (jolokia.username, password, token) {
            (_, Some(_), Some(_)) | (Some(_), None, Some(_)) => {
                return Err(ConfigError::TwoLogins);
            }
            (None, None, Some(token)) => Login::Bearer(token),
            (Some(user), _, None) if user.contains(':') => return Err(ConfigError::UserColon),
            (Some(user), Some(password), None) => Login::Basic(user, password),
            (Some(_), None, None) => return Err(ConfigError::NoPassword),
            (None, Some(_), None) => return Err(ConfigError::NoUser),
            (None, None, None) => Login::None,
        };
        if jolokia.cert_file.is_some() != jolokia.key_file.is_some() {
            return Err(ConfigError::HalfIdentity);
        }
        let access = Access {
            url: url(&jolokia.url)?,
            credentials: Credentials {
                login,
                ca_file: jolokia.ca_file,
                cert_file: jolokia.cert_file,
                key_file: jolokia.key_file,
                server_name: jolokia.server_name,
                insecure_skip_verify: jolokia.insecure_skip_verify,
            },
            max_answer: within(
                "--jolokia.max-answer-bytes",
                jolokia.max_answer,
                1 << 16,
                1 << 30,
            )?,
        };
        let filter = |include: (&'static str, Option<String>),
                      exclude: (&'static str, Option<String>)| {
            Ok(Filter {
                include: regex(include)?,
                exclude: regex(exclude)?,
            })
        };
        let interval = daemon::flags::duration(&reading.discovery_interval)
            .filter(|it| *it >= Duration::from_secs(10));
        Ok(Self {
            access,
            bulk: within("--jolokia.bulk", jolokia.bulk, 10, 10_000)?,
            profile: reading.profile,
            quantiles: quantiles(&reading.quantiles)?,
            histograms: reading.histograms,
            keyspaces: filter(
                ("--keyspaces.include", reading.keyspaces_include),
                ("--keyspaces.exclude", reading.keyspaces_exclude),
            )?,
            tables: filter(
                ("--tables.include", reading.tables_include),
                ("--tables.exclude", reading.tables_exclude),
            )?,
            metrics: filter(
                ("--metrics.include", reading.metrics_include),
                ("--metrics.exclude", reading.metrics_exclude),
            )?,
            tables_system: reading.tables_system,
            tables_max: within("--tables.max", reading.tables_max, 0, 100_000)?,
            discovery_interval: interval
                .ok_or(ConfigError::Interval(reading.discovery_interval))?,
        })
    }
}

fn url(text: &str) -> Result<Url, ConfigError> {
    let wrong = || ConfigError::Url(text.to_owned());
    // What cannot be read may hold a password: it is not shown then.
    let Ok(mut url) = Url::parse(text) else {
        return Err(if text.contains('@') {
            ConfigError::UrlLogin
        } else {
            wrong()
        });
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ConfigError::UrlLogin);
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError::UrlQuery(text.to_owned()));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn within(
    flag: &'static str,
    number: usize,
    least: usize,
    most: usize,
) -> Result<usize, ConfigError> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(ConfigError::Range { flag, least, most })
}

fn quantiles(texts: &[String]) -> Result<Vec<Quantile>, ConfigError> {
    let mut all = Vec::new();
    for text in texts.iter().map(|it| it.trim()).filter(|it| !it.is_empty()) {
        let number = text.parse::<f64>().ok();
        let found = QUANTILES.iter().find(|it| Some(it.of) == number);
        let found = found.ok_or_else(|| ConfigError::Quantile(text.to_owned()))?;
        if !all.contains(found) {
            all.push(*found);
        }
    }
    all.sort_by(|a, b| a.of.total_cmp(&b.of));
    Ok(all)
}

/// Anchored, as Prometheus' own are.
fn regex((flag, text): (&'static str, Option<String>)) -> Result<Option<Regex>, ConfigError> {
    let Some(text) = text.filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    match Regex::new(&format!("^(?:{text})$")) {
        Ok(regex) => Ok(Some(regex)),
        Err(source) => Err(ConfigError::Regex { flag, text, source }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser as _;

    use super::{Flags, Settings};

    pub(crate) fn settings(arguments: &[&str]) -> Result<Settings, String> {
        with_variables(arguments, &[])
    }

    fn with_variables(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let arguments = [&["cassandra-exporter"], arguments].concat();
        let flags = Flags::try_parse_from(arguments).map_err(|it| it.to_string())?;
        let variable = |name: &str| {
            let found = variables.iter().find(|it| it.0 == name);
            found.map(|it| it.1.to_owned())
        };
        Settings::new(flags.jolokia, flags.reading, variable).map_err(|it| it.to_string())
    }

    #[test]
    fn defaults() {
        let settings = settings(&[]).unwrap();
        assert_eq!(
            settings.access.url.as_str(),
            "http://127.0.0.1:8778/jolokia/"
        );
        let quantiles: Vec<_> = settings.quantiles.iter().map(|it| it.of).collect();
        assert_eq!(quantiles, [0.5, 0.95, 0.99]);
        assert!(settings.keyspaces.lets("anything"));
    }

    #[test]
    fn filters_are_anchored() {
        let settings = settings(&[
            "--keyspaces.include=a|b",
            "--keyspaces.exclude=b",
            "--tables.exclude=a\\.old.*",
        ])
        .unwrap();
        for (name, expect) in [("a", true), ("b", false), ("ab", false), ("xa", false)] {
            assert_eq!(settings.keyspaces.lets(name), expect, "{name}");
        }
        assert!(!settings.tables.lets("a.old_1"));
        assert!(settings.tables.lets("b.a.old"));
    }

    #[test]
    fn secrets_do_not_print() {
        let settings = with_variables(&["--jolokia.username=u"], &[(super::PASSWORD, "hunter2")]);
        assert!(!format!("{settings:?}").contains("hunter2"));
        let error = self::settings(&["--jolokia.url=http://u:hunter2@x:y/"]).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn mistakes_are_named() {
        for (arguments, expect) in [
            (&["--jolokia.url=127.0.0.1"][..], "no http or https address"),
            (&["--jolokia.url=ftp://x"], "no http or https address"),
            (&["--jolokia.url=http://u:p@x"], "must not hold a user"),
            (&["--jolokia.url=http://x/j?a=b"], "query or fragment"),
            (&["--jolokia.username=u"], "needs --jolokia.password-file"),
            (&["--jolokia.password-file=f"], "needs --jolokia.username"),
            (
                &["--jolokia.username=u:v", "--jolokia.password-file=f"],
                "colon",
            ),
            (
                &[
                    "--jolokia.username=u",
                    "--jolokia.password-file=f",
                    "--jolokia.bearer-token-file=f",
                ],
                "one of them",
            ),
            (&["--jolokia.cert-file=f"], "both or none"),
            (&["--jolokia.bulk=1"], "--jolokia.bulk must be between 10"),
            (&["--quantiles=0.9"], "\"0.9\" is none of"),
            (&["--quantiles=half"], "\"half\" is none of"),
            (
                &["--tables.include=("],
                "--tables.include=\"(\" is no regular",
            ),
            (&["--discovery.interval=1s"], "at least 10s"),
            (&["--discovery.interval=soon"], "at least 10s"),
            (
                &["--profile=most"],
                "possible values: minimal, standard, full",
            ),
        ] {
            let error = settings(arguments).unwrap_err();
            assert!(error.contains(expect), "{arguments:?}: {error}");
        }
    }
}
