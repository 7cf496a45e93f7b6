//! The command line: Alertmanager's flags as they stand in people's units, and commands beside them.

use std::{
    ffi::{OsStr, OsString},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use daemon::CommonFlags;

use crate::{
    api::Bounds,
    config::Options,
    core::{Limits, silence::SilenceLimits, store::AlertLimits},
    matcher::Mode,
};

/// What to do.
pub(crate) enum Command {
    /// Serve; also when no command is named, as Alertmanager does.
    Run(Vec<OsString>),
    /// One of `cli`'s.
    Other(Vec<OsString>),
}

/// Commands: run (the default), and `cli`'s.
#[derive(Debug, Parser)]
#[command(
    after_help = "Commands:\n  run            serve; what the program does when no command is named\n  alert          query alerts, add one\n  check-config   say whether configuration files can be used\n  cluster        show the server's state\n  config         show the configuration, its routes, and where an alert goes\n  history        show who was told what\n  render         show what a receiver's people would get\n  silence        query, add, update, expire, import and export silences\n  template       show what a template makes of an alert\n  test-receiver  send a test through every integration of a receiver\n`alert-router COMMAND --help` says more."
)]
pub(crate) struct RunFlags {
    /// The configuration, in Alertmanager's format.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "alertmanager.yml"
    )]
    pub(crate) config: PathBuf,
    /// Folder for what must survive a restart.
    #[arg(long = "storage.path", value_name = "FOLDER", default_value = "data/")]
    pub(crate) storage: PathBuf,
    /// How long to keep silences that are over, and the history.
    #[arg(
        long = "data.retention",
        value_name = "DURATION",
        default_value = "120h",
        value_parser = duration
    )]
    pub(crate) retention: Duration,
    /// Accepted: what is to be kept is on disk at once.
    #[arg(
        long = "data.maintenance-interval",
        value_name = "DURATION",
        default_value = "15m",
        value_parser = duration
    )]
    _maintenance: Duration,
    /// Most silences, those that are over included; 0 for no limit but memory.
    #[arg(
        long = "silences.max-silences",
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    max_silences: i64,
    /// Most bytes of a silence; 0 for no limit but that of bodies.
    #[arg(
        long = "silences.max-silence-size-bytes",
        value_name = "BYTES",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    max_silence_size: i64,
    /// Accepted: changes of silences are in the history.
    #[arg(long = "log.silences", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    _log_silences: Option<bool>,
    /// Accepted: alerts that are over are let go at once.
    #[arg(
        long = "alerts.gc-interval",
        value_name = "DURATION",
        default_value = "30m",
        value_parser = duration
    )]
    _alert_gc: Duration,
    /// Most alerts of one name; 0 for no limit but that of all.
    #[arg(
        long = "alerts.per-alertname-limit",
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    per_alertname: i64,
    /// Most alerts that are held; further new ones are refused with 429.
    #[arg(long = "alerts.limit", value_name = "N", default_value_t = 500_000)]
    max_alerts: usize,
    /// Most groups; alerts of further ones are told of together, in one group for each route.
    #[arg(long = "groups.limit", value_name = "N", default_value_t = 200_000)]
    max_groups: usize,
    /// Accepted: groups that are empty are let go at once.
    #[arg(
        long = "dispatch.maintenance-interval",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration
    )]
    _dispatch_maintenance: Duration,
    /// How long after the start nobody is told anything, so that Prometheus can send its alerts again first.
    #[arg(
        long = "dispatch.start-delay",
        value_name = "DURATION",
        default_value = "0s",
        value_parser = duration
    )]
    pub(crate) start_delay: Duration,
    /// The longest pause between two tries of a notification.
    #[arg(
        long = "notifications.max-backoff",
        value_name = "DURATION",
        default_value = "1m",
        value_parser = duration
    )]
    pub(crate) max_backoff: Duration,
    /// The URL under which people reach this program, when it stands behind a proxy.
    #[arg(long = "web.external-url", value_name = "URL")]
    external_url: Option<String>,
    /// What stands before every path; by default the path of --web.external-url.
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    route_prefix: Option<String>,
    /// Most requests of GET at a time; 0 for the number of processors, or 8 when that is more.
    #[arg(
        long = "web.get-concurrency",
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    get_concurrency: i64,
    /// For a request; 0 for no bound but that of the server.
    #[arg(
        long = "web.timeout",
        value_name = "DURATION",
        default_value = "0s",
        value_parser = duration
    )]
    web_timeout: Duration,
    /// Features with a comma between them: classic-mode, utf8-strict-mode; others of Alertmanager's are accepted.
    #[arg(long = "enable-feature", value_name = "NAMES", default_value = "")]
    pub(crate) features: String,
    /// Integrations of kinds that are not sent are an error.
    #[arg(long = "strict-receivers")]
    pub(crate) strict_receivers: bool,
    /// ${NAME} in the configuration's values is the environment's, ${credential:NAME} that of systemd.
    #[arg(long = "config.expand-env")]
    pub(crate) expand_env: bool,
    /// Accepted: there is no collector of garbage.
    #[arg(
        long = "auto-gomemlimit.ratio",
        value_name = "RATIO",
        default_value_t = 0.9
    )]
    _memory: f64,
    /// For clustering; empty switches it off. A single instance needs no port for it.
    #[arg(
        long = "cluster.listen-address",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:9094"
    )]
    cluster_listen: String,
    /// The address that a single instance names itself with.
    #[arg(
        long = "cluster.advertise-address",
        value_name = "ADDRESS",
        default_value = ""
    )]
    cluster_advertise: String,
    /// The name that it names itself with.
    #[arg(long = "cluster.peer-name", value_name = "NAME", default_value = "")]
    cluster_name: String,
    /// Refused: alert-routers do not speak to each other yet.
    #[arg(long = "cluster.peer", value_name = "ADDRESS")]
    peers: Vec<String>,
    #[command(flatten)]
    _cluster: ClusterFlags,
    #[command(flatten)]
    pub(crate) common: CommonFlags,
}

/// Flags of Alertmanager's clustering, which one instance has no use for; accepted, as they stand in people's units.
#[derive(Debug, clap::Args)]
struct ClusterFlags {
    #[arg(long = "cluster.peer-timeout", default_value = "15s", value_parser = duration, hide = true)]
    _peer_timeout: Duration,
    #[arg(long = "cluster.peers-resolve-timeout", default_value = "15s", value_parser = duration, hide = true)]
    _resolve_timeout: Duration,
    #[arg(long = "cluster.gossip-interval", default_value = "200ms", value_parser = duration, hide = true)]
    _gossip: Duration,
    #[arg(long = "cluster.pushpull-interval", default_value = "1m", value_parser = duration, hide = true)]
    _push_pull: Duration,
    #[arg(long = "cluster.tcp-timeout", default_value = "10s", value_parser = duration, hide = true)]
    _tcp: Duration,
    #[arg(long = "cluster.probe-timeout", default_value = "500ms", value_parser = duration, hide = true)]
    _probe_timeout: Duration,
    #[arg(long = "cluster.probe-interval", default_value = "1s", value_parser = duration, hide = true)]
    _probe: Duration,
    #[arg(long = "cluster.settle-timeout", default_value = "1m", value_parser = duration, hide = true)]
    _settle: Duration,
    #[arg(long = "cluster.reconnect-interval", default_value = "10s", value_parser = duration, hide = true)]
    _reconnect: Duration,
    #[arg(long = "cluster.reconnect-timeout", default_value = "6h", value_parser = duration, hide = true)]
    _reconnect_timeout: Duration,
    #[arg(long = "cluster.tls-config", default_value = "", hide = true)]
    _tls: String,
    #[arg(
        long = "cluster.allow-insecure-public-advertise-address-discovery",
        hide = true
    )]
    _insecure: bool,
    #[arg(long = "cluster.label", default_value = "", hide = true)]
    _label: String,
}

/// Go's durations, as Alertmanager's flags have them: `120h`, `1h30m`, `1.5s`, and Prometheus' days.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration such as 30s, 5m or 120h");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.');
        let (number, tail) = rest.split_at(end.ok_or_else(wrong)?);
        let end = tail
            .find(|it: char| it.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "y" => 31_536_000.0,
            _ => return Err(wrong()),
        };
        total += number.parse::<f64>().map_err(|_error| wrong())? * seconds;
        rest = tail;
    }
    if text.is_empty() {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(total).map_err(|_error| wrong())
}

/// A number that is no limit when it is zero or less.
fn limit(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

impl AsRef<CommonFlags> for RunFlags {
    fn as_ref(&self) -> &CommonFlags {
        &self.common
    }
}

/// A flag that cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlagError {
    #[error(
        "--cluster.peer is not supported yet: alert-routers do not speak to each other; take the flag out"
    )]
    Peers,
    #[error("--enable-feature: there is no feature {0:?}; known: classic-mode, utf8-strict-mode")]
    Feature(String),
    #[error("--enable-feature: classic-mode and utf8-strict-mode exclude each other")]
    Modes,
    #[error("--web.external-url={0:?} is no URL of http or https")]
    ExternalUrl(String),
}

/// Which command a command line means.
pub(crate) fn command(mut arguments: Vec<OsString>) -> Command {
    match arguments
        .get(1)
        .map(OsString::as_os_str)
        .and_then(OsStr::to_str)
    {
        Some("run") => {
            arguments.remove(1);
            Command::Run(arguments)
        }
        _ if crate::cli::is_meant(&arguments) => Command::Other(arguments),
        _ => Command::Run(arguments),
    }
}

impl RunFlags {
    pub(crate) const fn refuse_peers(&self) -> Result<(), FlagError> {
        if self.peers.is_empty() {
            Ok(())
        } else {
            Err(FlagError::Peers)
        }
    }

    /// How the configuration is read.
    pub(crate) fn options(&self) -> Result<Options, FlagError> {
        const KNOWN: [&str; 9] = [
            "classic-mode",
            "utf8-strict-mode",
            "receiver-name-in-metrics",
            "alert-names-in-metrics",
            "group-key-in-metrics",
            "auto-gomemlimit",
            "auto-gomaxprocs",
            "event-recorder",
            "",
        ];
        let features = self.features.split(',').map(str::trim);
        let mut matchers = Mode::default();
        for feature in features {
            match feature {
                "classic-mode" => matchers = Mode::Classic,
                "utf8-strict-mode" => matchers = Mode::Utf8Strict,
                other if KNOWN.contains(&other) => {}
                other => return Err(FlagError::Feature(other.to_owned())),
            }
        }
        if self.features.contains("classic-mode") && self.features.contains("utf8-strict-mode") {
            return Err(FlagError::Modes);
        }
        Ok(Options {
            strict_receivers: self.strict_receivers,
            expand_env: self.expand_env,
            credentials_dir: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            matchers,
        })
    }

    /// How much is held.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            alerts: AlertLimits {
                all: self.max_alerts,
                of_name: limit(self.per_alertname),
            },
            silences: SilenceLimits {
                count: limit(self.max_silences),
                size: limit(self.max_silence_size),
            },
            groups: self.max_groups,
        }
    }

    /// How much is asked at a time, and for how long.
    pub(crate) fn bounds(&self) -> Bounds {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let gets = match limit(self.get_concurrency) {
            0 => processors.max(8),
            some => some,
        };
        Bounds::new(
            gets,
            (!self.web_timeout.is_zero()).then_some(self.web_timeout),
        )
    }

    /// The name of a member of a cluster of one; empty when clustering is switched off.
    pub(crate) fn peer(&self) -> String {
        match (self.cluster_listen.as_str(), self.cluster_name.as_str()) {
            ("", _) => String::new(),
            (_, "") => "alert-router".to_owned(),
            (_, name) => name.to_owned(),
        }
    }

    /// Its address there: what is advertised, what is listened on, or, as a single one listens on nothing, where it serves.
    pub(crate) fn peer_address(&self, serving: SocketAddr) -> String {
        let listen: Option<SocketAddr> = self.cluster_listen.parse().ok();
        match (self.cluster_advertise.as_str(), listen) {
            ("", Some(listen)) if !listen.ip().is_unspecified() => listen.to_string(),
            ("", _) => serving.to_string(),
            (advertised, _) => advertised.to_owned(),
        }
    }

    /// Without a slash at the end; empty when nobody said.
    pub(crate) fn external_url(&self) -> String {
        self.external_url
            .as_deref()
            .unwrap_or("")
            .trim_end_matches('/')
            .to_owned()
    }

    /// `/alerts`, or nothing.
    pub(crate) fn prefix(&self) -> Result<String, FlagError> {
        let path = match (&self.route_prefix, &self.external_url) {
            (Some(prefix), _) => prefix.clone(),
            (None, None) => String::new(),
            (None, Some(url)) => client::Url::parse(url)
                .ok()
                .filter(|it| matches!(it.scheme(), "http" | "https"))
                .map(|it| it.path().to_owned())
                .ok_or_else(|| FlagError::ExternalUrl(url.clone()))?,
        };
        let path = path.trim_matches('/');
        Ok(if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, RunFlags, command};
    use crate::PROGRAM;

    fn read(arguments: &[&str]) -> Result<RunFlags, String> {
        let arguments = [&["alert-router"], arguments]
            .concat()
            .into_iter()
            .map(Into::into)
            .collect();
        match command(arguments) {
            Command::Run(arguments) => {
                daemon::flags::parse(&PROGRAM, arguments).map_err(|it| it.to_string())
            }
            Command::Other(arguments) => Err(format!("{arguments:?}")),
        }
    }

    #[test]
    fn commands_and_prefixes() {
        for (arguments, expect) in [
            (&[][..], Ok("")),
            (&["run", "--config.file=x.yml"], Ok("")),
            (
                &["--config.file", "x.yml", "--web.external-url=http://a/b/"],
                Ok("/b"),
            ),
            (
                &["--web.external-url=http://a/b", "--web.route-prefix=/"],
                Ok(""),
            ),
            (&["--web.route-prefix=c/d"], Ok("/c/d")),
            (
                &[
                    "--storage.path=x",
                    "--data.retention=5h",
                    "--cluster.listen-address=",
                ],
                Ok(""),
            ),
            (
                &["check-config", "a.yml", "b.yml"],
                Err("[\"alert-router\", \"check-config\", \"a.yml\", \"b.yml\"]"),
            ),
            (
                &["--config.fil=x"],
                Err("error: unexpected argument '--config.fil'"),
            ),
        ] {
            let found = read(arguments).map(|it| it.prefix().unwrap());
            match expect {
                Ok(expect) => assert_eq!(found.as_deref(), Ok(expect), "{arguments:?}"),
                Err(expect) => assert!(found.clone().unwrap_err().starts_with(expect), "{found:?}"),
            }
        }
        assert!(
            read(&["--cluster.peer=a:1"])
                .unwrap()
                .refuse_peers()
                .is_err()
        );
        assert!(read(&["--web.external-url=a"]).unwrap().prefix().is_err());
    }
}
