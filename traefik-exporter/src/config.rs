//! Flags to settings that have been checked.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use client::{Credentials, Login, SecretFrom, Url};
use daemon::{CommonFlags, FileFlags};

use crate::{access, api::Access, passthrough::Rules, probe};

/// The command line. The same keys may stand in a YAML file, see `--config.file`.
#[derive(Debug, clap::Parser)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) common: CommonFlags,
    #[command(flatten)]
    file: FileFlags,
    #[command(flatten)]
    pub(crate) traefik: TraefikFlags,
    #[command(flatten)]
    pub(crate) status: StatusFlags,
    #[command(flatten)]
    pub(crate) watch: WatchFlags,
    #[command(flatten)]
    pub(crate) passthrough: PassthroughFlags,
    #[command(flatten)]
    pub(crate) access_log: AccessLogFlags,
    #[command(flatten)]
    pub(crate) probe: ProbeFlags,
}

impl AsRef<CommonFlags> for Flags {
    fn as_ref(&self) -> &CommonFlags {
        &self.common
    }
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Traefik's API")]
pub(crate) struct TraefikFlags {
    /// Where Traefik's API answers, without /api; a path in it is Traefik's api.basePath
    #[arg(
        long = "traefik.url",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    url: String,
    /// The Host header, for an API whose router has a rule with Host
    #[arg(long = "traefik.host", value_name = "HOST")]
    host: Option<String>,
    /// User for basic authentication; the password is in --traefik.password-file, or in the environment variable
    /// TRAEFIK_EXPORTER_TRAEFIK_PASSWORD
    #[arg(long = "traefik.username", value_name = "USER")]
    username: Option<String>,
    /// File with the password; read with every scrape
    #[arg(long = "traefik.password-file", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with a bearer token, in place of a user; read with every scrape. Or the environment variable
    /// TRAEFIK_EXPORTER_TRAEFIK_BEARER_TOKEN
    #[arg(long = "traefik.bearer-token-file", value_name = "FILE")]
    bearer_token_file: Option<PathBuf>,
    /// PEM file with the authorities that sign the API's certificate, in place of the system's; read anew when it changes
    #[arg(long = "traefik.ca-file", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// PEM file with our certificate, for an API that wants to see one; read anew when it changes
    #[arg(long = "traefik.cert-file", value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// PEM file with its key
    #[arg(long = "traefik.key-file", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The name that the API's certificate must have, when it is not the one of the URL
    #[arg(long = "traefik.server-name", value_name = "NAME")]
    server_name: Option<String>,
    /// Trust every certificate
    #[arg(long = "traefik.insecure-skip-verify")]
    insecure_skip_verify: bool,
    /// Bytes of one answer; a larger one is not read to its end
    #[arg(
        long = "traefik.max-answer-bytes",
        value_name = "BYTES",
        default_value_t = 32 << 20
    )]
    max_answer: usize,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What is shown")]
pub(crate) struct StatusFlags {
    /// Routers with metrics of their own, at most; and so for services, servers, middlewares and certificates. The others are only
    /// counted
    #[arg(
        long = "status.max-objects",
        value_name = "N",
        default_value_t = 10_000
    )]
    max_objects: usize,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Rejected configuration")]
pub(crate) struct WatchFlags {
    /// Tell of configuration that Traefik rejected, by its log or by what it does not have
    #[arg(id = "collector.config-watch", long = "collector.config-watch")]
    is_on: bool,
    /// Traefik's log (log.filePath), in JSON or text, at level ERROR or lower; it may be rotated
    #[arg(
        id = "config-watch.log",
        long = "config-watch.log",
        value_name = "FILE"
    )]
    log: Option<PathBuf>,
    /// The file or folder of Traefik's file provider; repeatable
    #[arg(
        id = "config-watch.files",
        long = "config-watch.files",
        value_name = "PATH"
    )]
    files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Traefik's own metrics")]
pub(crate) struct PassthroughFlags {
    /// Pass Traefik's own metrics through our port. Scrape them there or from Traefik, never both: what was removed is told once
    #[arg(id = "collector.passthrough", long = "collector.passthrough")]
    is_on: bool,
    /// Where Traefik has them; /metrics on the host of --traefik.url by default. The login is sent to that host alone
    #[arg(long = "passthrough.url", value_name = "URL")]
    passthrough_url: Option<String>,
    /// Path under which they are on our port
    #[arg(
        long = "passthrough.path",
        value_name = "PATH",
        default_value = "/traefik/metrics"
    )]
    path: String,
    /// Regular expression of metrics that are passed
    #[arg(long = "passthrough.metrics.include", value_name = "REGEX")]
    include: Option<String>,
    /// Regular expression of metrics that are not
    #[arg(long = "passthrough.metrics.exclude", value_name = "REGEX")]
    exclude: Option<String>,
    /// A label and a regular expression that its values must match to be passed, where a metric has the label; repeatable
    #[arg(long = "passthrough.labels.only", value_name = "LABEL=REGEX")]
    only: Vec<String>,
    /// Labels that are summed over
    #[arg(
        long = "passthrough.labels.drop",
        value_name = "LABEL,…",
        value_delimiter = ','
    )]
    drop: Vec<String>,
    /// Show codes as 2xx, 3xx, 4xx, 5xx
    #[arg(long = "passthrough.code-classes")]
    code_classes: bool,
    /// Series of an answer that are passed, at most; what is left out is counted
    #[arg(
        long = "passthrough.max-series",
        value_name = "N",
        default_value_t = 200_000
    )]
    max_series: usize,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Access log")]
pub(crate) struct AccessLogFlags {
    /// Count requests in Traefik's access log, by router and server
    #[arg(id = "collector.access-log", long = "collector.access-log")]
    is_on: bool,
    /// Traefik's access log (accessLog.filePath), in JSON; it may be rotated
    #[arg(id = "access-log.file", long = "access-log.file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// File that keeps how far the log was read, over restarts of ours; its folder must be one that we may write to
    #[arg(
        id = "access-log.checkpoint",
        long = "access-log.checkpoint",
        value_name = "FILE"
    )]
    checkpoint: Option<PathBuf>,
    /// Upper bounds of buckets of durations, in seconds
    #[arg(
        id = "access-log.buckets",
        long = "access-log.buckets",
        value_name = "SECONDS,…",
        value_delimiter = ',',
        default_value = "0.005,0.01,0.025,0.05,0.1,0.3,0.5,1.2,2.5,5,10"
    )]
    buckets: Vec<f64>,
    /// Native histograms in place of buckets, for a Prometheus that asks for them
    #[arg(
        id = "access-log.native-histograms",
        long = "access-log.native-histograms"
    )]
    is_native: bool,
    /// Routers that are told apart, at most, and servers; the others are counted as one
    #[arg(
        id = "access-log.max",
        long = "access-log.max",
        value_name = "N",
        default_value_t = 1_000
    )]
    max: usize,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Probing")]
pub(crate) struct ProbeFlags {
    /// Ask routers through Traefik's entry points, as clients do, and gRPC servers for their health; in rounds, apart from scrapes
    #[arg(id = "collector.probe", long = "collector.probe")]
    is_on: bool,
    /// Regular expression of routers that may be asked, by their names with the provider
    #[arg(
        id = "probe.routers",
        long = "probe.routers",
        value_name = "REGEX",
        default_value = ".*"
    )]
    routers: String,
    /// Regular expression of services that speak gRPC, where Traefik does not know: those with a gRPC health check or with servers of h2c://
    /// need no mention, those of TCP do
    #[arg(
        id = "probe.grpc-services",
        long = "probe.grpc-services",
        value_name = "REGEX"
    )]
    grpc_services: Option<String>,
    /// What gRPC servers are asked for (grpc.health.v1); empty for all that they do
    #[arg(
        id = "probe.grpc-service",
        long = "probe.grpc-service",
        value_name = "NAME",
        default_value = ""
    )]
    grpc_service: String,
    /// Regular expression of gRPC servers that may be asked by themselves, by their addresses as Traefik has them
    #[arg(
        id = "probe.servers",
        long = "probe.servers",
        value_name = "REGEX",
        default_value = ".*"
    )]
    servers: String,
    /// Where an entry point is reached, when it is not its own address; repeatable. One that listens on all addresses is reached on the
    /// host of --traefik.url
    #[arg(
        id = "probe.entry-point",
        long = "probe.entry-point",
        value_name = "NAME=HOST:PORT"
    )]
    points: Vec<String>,
    /// From one round to the next
    #[arg(
        id = "probe.interval",
        long = "probe.interval",
        value_name = "DURATION",
        default_value = "30s"
    )]
    interval: String,
    /// For one answer
    #[arg(
        id = "probe.timeout",
        long = "probe.timeout",
        value_name = "DURATION",
        default_value = "5s"
    )]
    timeout: String,
    /// Questions at a time
    #[arg(
        id = "probe.max-concurrent",
        long = "probe.max-concurrent",
        value_name = "N",
        default_value_t = 4
    )]
    concurrency: usize,
    /// Routers that are asked, and servers, at most of each; each host and entry point of a router is one
    #[arg(
        id = "probe.max-targets",
        long = "probe.max-targets",
        value_name = "N",
        default_value_t = 100
    )]
    max_targets: usize,
    /// PEM file with the authorities that clients trust, in place of the system's; read with every round
    #[arg(id = "probe.ca-file", long = "probe.ca-file", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) access: Access,
    pub(crate) max_objects: usize,
    pub(crate) watch: Watch,
    pub(crate) passthrough: Option<Passing>,
    pub(crate) access_log: Option<access::Setup>,
    pub(crate) probe: Option<probe::Setup>,
}

/// How Traefik's own metrics are passed.
#[derive(Debug, Clone)]
pub(crate) struct Passing {
    pub(crate) access: Access,
    pub(crate) path: String,
    pub(crate) rules: Rules,
}

/// What is looked at for configuration that was rejected.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    pub(crate) log: Option<PathBuf>,
    pub(crate) files: Vec<PathBuf>,
}

/// A flag that cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("--traefik.url={0:?} is no http or https address, such as http://127.0.0.1:8080")]
    Url(String),
    #[error(
        "--traefik.url must not hold a user or password: give --traefik.username and --traefik.password-file"
    )]
    UrlLogin,
    #[error("--traefik.url={0:?} must not have a query or fragment")]
    UrlQuery(String),
    #[error("--traefik.host={0:?} is no value of a Host header")]
    Host(String),
    #[error(
        "--traefik.username needs --traefik.password-file or TRAEFIK_EXPORTER_TRAEFIK_PASSWORD"
    )]
    NoPassword,
    #[error("a password needs --traefik.username")]
    NoUser,
    #[error("--traefik.username must not hold a colon: basic authentication has no way to say it")]
    UserColon,
    #[error("a password and a bearer token: give one of them")]
    TwoLogins,
    #[error("--traefik.cert-file and --traefik.key-file: give both or none")]
    HalfIdentity,
    #[error("--collector.config-watch needs --config-watch.log or --config-watch.files")]
    NothingToWatch,
    #[error(
        "--config-watch.log and --config-watch.files are for --collector.config-watch: give it, too"
    )]
    NotWatching,
    #[error("--collector.access-log and --access-log.file: give both or none")]
    AccessLog,
    #[error("--access-log.buckets must be 1 to 100 numbers, each greater than the one before")]
    Buckets,
    #[error("--passthrough.path={0:?} must start with / and be longer than that")]
    Path(String),
    #[error("{flag}={text:?} is no regular expression")]
    Regex {
        flag: &'static str,
        text: String,
        source: regex::Error,
    },
    #[error(
        "--passthrough.labels.only={0:?} is no label with a regular expression, such as method=GET|POST"
    )]
    Only(String),
    #[error(
        "--probe.entry-point={0:?} is no name with host and port, such as websecure=10.0.0.5:443"
    )]
    EntryPoint(String),
    #[error("{flag}={text:?} is no time between {least}s and {most}s, such as 500ms, 5s or 1m30s")]
    Span {
        flag: &'static str,
        text: String,
        least: u64,
        most: u64,
    },
    #[error("{flag} must be between {least} and {most}")]
    Range {
        flag: &'static str,
        least: usize,
        most: usize,
    },
}

/// Environment variables for secrets, so that they need not stand in a file.
pub(crate) const PASSWORD: &str = "TRAEFIK_EXPORTER_TRAEFIK_PASSWORD";
pub(crate) const BEARER_TOKEN: &str = "TRAEFIK_EXPORTER_TRAEFIK_BEARER_TOKEN";

impl Settings {
    /// Checks flags. `variable` reads the environment.
    pub(crate) fn new(
        traefik: TraefikFlags,
        status: &StatusFlags,
        watch: WatchFlags,
        passthrough: PassthroughFlags,
        access_log: AccessLogFlags,
        probe: ProbeFlags,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let secret = |file: Option<PathBuf>, name: &str| match file {
            Some(file) => Some(SecretFrom::File(file)),
            None => variable(name)
                .filter(|it| !it.is_empty())
                .map(SecretFrom::Value),
        };
        let password = secret(traefik.password_file, PASSWORD);
        let token = secret(traefik.bearer_token_file, BEARER_TOKEN);
        let login = match (traefik.username, password, token) {
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
        if traefik.cert_file.is_some() != traefik.key_file.is_some() {
            return Err(ConfigError::HalfIdentity);
        }
        let host = traefik.host.map(|text| {
            client::header::HeaderValue::from_str(&text).map_err(|_error| ConfigError::Host(text))
        });
        let access = Access {
            url: url(&traefik.url)?,
            host: host.transpose()?,
            credentials: Credentials {
                login,
                ca_file: traefik.ca_file,
                cert_file: traefik.cert_file,
                key_file: traefik.key_file,
                server_name: traefik.server_name,
                insecure_skip_verify: traefik.insecure_skip_verify,
            },
            max_answer: within(
                "--traefik.max-answer-bytes",
                traefik.max_answer,
                1 << 16,
                1 << 30,
            )?,
        };
        match (watch.is_on, watch.log.is_some() || !watch.files.is_empty()) {
            (true, false) => return Err(ConfigError::NothingToWatch),
            (false, true) => return Err(ConfigError::NotWatching),
            _ => {}
        }
        Ok(Self {
            access_log: counting(access_log)?,
            passthrough: passthrough
                .is_on
                .then(|| passing(&access, passthrough))
                .transpose()?,
            probe: probe.is_on.then(|| probing(&access, probe)).transpose()?,
            access,
            watch: Watch {
                log: watch.log,
                files: watch.files,
            },
            max_objects: within("--status.max-objects", status.max_objects, 0, 1_000_000)?,
        })
    }
}

fn counting(flags: AccessLogFlags) -> Result<Option<access::Setup>, ConfigError> {
    let log = match (flags.is_on, flags.file) {
        (true, Some(log)) => log,
        (false, None) => return Ok(None),
        _ => return Err(ConfigError::AccessLog),
    };
    let buckets = flags.buckets;
    let is_sorted = buckets.is_sorted_by(|a, b| a < b) && buckets.iter().all(|it| it.is_finite());
    if !is_sorted || buckets.is_empty() || buckets.len() > 100 {
        return Err(ConfigError::Buckets);
    }
    Ok(Some(access::Setup {
        log,
        checkpoint: flags.checkpoint,
        buckets: if flags.is_native { Vec::new() } else { buckets },
        max: within("--access-log.max", flags.max, 1, 100_000)?,
    }))
}

fn probing(access: &Access, flags: ProbeFlags) -> Result<probe::Setup, ConfigError> {
    let points = flags.points.into_iter().map(|text| {
        let pair = text
            .split_once('=')
            .filter(|(name, address)| {
                let port = address.rsplit_once(':').filter(|it| !it.0.is_empty());
                !name.is_empty() && port.is_some_and(|it| it.1.parse::<u16>().is_ok())
            })
            .map(|(name, address)| (name.to_owned(), address.to_owned()));
        pair.ok_or(ConfigError::EntryPoint(text))
    });
    let text = |flag, text: String| text_regex(flag, text);
    let settings = probe::Setup {
        rules: probe::Rules {
            routers: text("--probe.routers", flags.routers)?,
            grpc_services: flags
                .grpc_services
                .map(|it| text("--probe.grpc-services", it))
                .transpose()?,
            servers: text("--probe.servers", flags.servers)?,
            points: points.collect::<Result<_, _>>()?,
            host: access.url.host_str().unwrap_or("127.0.0.1").to_owned(),
            max: within("--probe.max-targets", flags.max_targets, 1, 10_000)?,
        },
        access: access.clone(),
        interval: span("--probe.interval", flags.interval, 1..=86_400)?,
        timeout: span("--probe.timeout", flags.timeout, 0..=60)?,
        concurrency: within("--probe.max-concurrent", flags.concurrency, 1, 100)?,
        grpc_service: flags.grpc_service,
        ca_file: flags.ca_file,
    };
    Ok(settings)
}

/// A time of so many seconds, and more than none.
fn span(
    flag: &'static str,
    text: String,
    seconds: RangeInclusive<u64>,
) -> Result<Duration, ConfigError> {
    let (least, most) = seconds.into_inner();
    let is_within = |it: &Duration| {
        !it.is_zero() && (Duration::from_secs(least)..=Duration::from_secs(most)).contains(it)
    };
    let span = daemon::flags::duration(&text).filter(is_within);
    span.ok_or(ConfigError::Span {
        flag,
        text,
        least,
        most,
    })
}

fn passing(access: &Access, flags: PassthroughFlags) -> Result<Passing, ConfigError> {
    if !flags.path.starts_with('/') || flags.path.len() < 2 {
        return Err(ConfigError::Path(flags.path));
    }
    let mut access = access.clone();
    match &flags.passthrough_url {
        None => access.url.set_path("/metrics"),
        Some(text) => {
            let url = url(text)?;
            if url.origin() != access.url.origin() {
                access.credentials.login = Login::None;
            }
            access.url = url;
        }
    }
    let only = flags.only.into_iter().map(|text| {
        let pair = text
            .split_once('=')
            .map(|it| (it.0.to_owned(), it.1.to_owned()));
        let (label, values) = pair
            .filter(|it| !it.0.is_empty())
            .ok_or(ConfigError::Only(text))?;
        Ok((label, regex("--passthrough.labels.only", values)?))
    });
    let one = |flag, text: Option<String>| text.map(|it| regex(flag, it)).transpose();
    Ok(Passing {
        access,
        path: flags.path,
        rules: Rules {
            include: one("--passthrough.metrics.include", flags.include)?,
            exclude: one("--passthrough.metrics.exclude", flags.exclude)?,
            only: only.collect::<Result<_, ConfigError>>()?,
            drop: flags.drop.into_iter().filter(|it| !it.is_empty()).collect(),
            code_classes: flags.code_classes,
            max_series: within("--passthrough.max-series", flags.max_series, 1, 10_000_000)?,
        },
    })
}

/// The same, of texts.
fn text_regex(flag: &'static str, text: String) -> Result<regex::Regex, ConfigError> {
    regex::Regex::new(&format!("^(?:{text})$")).map_err(|source| ConfigError::Regex {
        flag,
        text,
        source,
    })
}

/// Anchored, as Prometheus' own are.
fn regex(flag: &'static str, text: String) -> Result<regex::bytes::Regex, ConfigError> {
    regex::bytes::Regex::new(&format!("^(?:{text})$")).map_err(|source| ConfigError::Regex {
        flag,
        text,
        source,
    })
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
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
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

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser as _;

    use super::{Flags, Settings};

    pub(crate) fn settings(arguments: &[&str]) -> Result<Settings, String> {
        with_variables(arguments, &[])
    }

    fn with_variables(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let arguments = [&["traefik-exporter"], arguments].concat();
        let flags = Flags::try_parse_from(arguments).map_err(|it| it.to_string())?;
        let variable = |name: &str| {
            let found = variables.iter().find(|it| it.0 == name);
            found.map(|it| it.1.to_owned())
        };
        Settings::new(
            flags.traefik,
            &flags.status,
            flags.watch,
            flags.passthrough,
            flags.access_log,
            flags.probe,
            variable,
        )
        .map_err(|it| it.to_string())
    }

    #[test]
    fn paths_of_the_api() {
        for (url, expect) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("http://x/", "http://x/"),
            ("https://x:1/base/path/", "https://x:1/base/path"),
        ] {
            let settings = settings(&[&format!("--traefik.url={url}")]).unwrap();
            assert_eq!(settings.access.url.as_str(), expect);
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let variables = [(super::PASSWORD, "hunter2")];
        let settings = with_variables(&["--traefik.username=u"], &variables);
        assert!(!format!("{settings:?}").contains("hunter2"));
        let error = self::settings(&["--traefik.url=http://u:hunter2@x:y/"]).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn mistakes_are_named() {
        for (arguments, expect) in [
            (&["--traefik.url=127.0.0.1"][..], "no http or https address"),
            (&["--traefik.url=ftp://x"], "no http or https address"),
            (&["--traefik.url=http://u:p@x"], "must not hold a user"),
            (&["--traefik.url=http://x/j?a=b"], "query or fragment"),
            (&["--traefik.host=a\nb"], "no value of a Host header"),
            (&["--traefik.username=u"], "needs --traefik.password-file"),
            (&["--traefik.password-file=f"], "needs --traefik.username"),
            (
                &["--traefik.username=u:v", "--traefik.password-file=f"],
                "colon",
            ),
            (
                &[
                    "--traefik.username=u",
                    "--traefik.password-file=f",
                    "--traefik.bearer-token-file=f",
                ],
                "one of them",
            ),
            (&["--traefik.cert-file=f"], "both or none"),
            (&["--collector.config-watch"], "needs --config-watch.log or"),
            (&["--config-watch.log=f"], "give it, too"),
            (&["--collector.access-log"], "--access-log.file: give both"),
            (
                &[
                    "--collector.access-log",
                    "--access-log.file=f",
                    "--access-log.buckets=2,1",
                ],
                "each greater",
            ),
            (
                &["--collector.passthrough", "--passthrough.path=x"],
                "must start with /",
            ),
            (
                &["--collector.passthrough", "--passthrough.metrics.include=("],
                "is no regular",
            ),
            (
                &["--collector.passthrough", "--passthrough.labels.only=x"],
                "is no label with",
            ),
            (
                &["--collector.probe", "--probe.routers=("],
                "--probe.routers=\"(\" is no regular",
            ),
            (
                &["--collector.probe", "--probe.entry-point=web"],
                "no name with host and port",
            ),
            (
                &["--collector.probe", "--probe.entry-point=web=x:y"],
                "no name with host and port",
            ),
            (
                &["--collector.probe", "--probe.interval=5"],
                "--probe.interval=\"5\" is no time between 1s and 86400s",
            ),
            (
                &["--collector.probe", "--probe.timeout=0"],
                "is no time between 0s and 60s",
            ),
            (
                &["--collector.probe", "--probe.max-concurrent=0"],
                "must be between 1 and 100",
            ),
            (
                &["--traefik.max-answer-bytes=1"],
                "--traefik.max-answer-bytes must be between 65536",
            ),
        ] {
            let error = settings(arguments).unwrap_err();
            assert!(error.contains(expect), "{arguments:?}: {error}");
        }
    }
}
