//! Command lines as Prometheus' own programs have them, each flag also as an environment variable.

mod file;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{CommandFactory, FromArgMatches};

pub use file::{FileFlags, FlagsError, parse_with_file};

use crate::{Program, log};

/// The flags that every program has.
#[derive(Debug, Clone, clap::Args)]
pub struct CommonFlags {
    /// The web server's.
    #[command(flatten)]
    pub web: WebFlags,
    /// The log's.
    #[command(flatten)]
    pub log: log::LogFlags,
}

/// The flags of the web server; names and meanings as in Prometheus' exporter-toolkit.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Web")]
pub struct WebFlags {
    /// Addresses on which to answer, `host:port`; `:port` means every interface. Repeatable.
    #[arg(long = "web.listen-address", value_name = "ADDRESS")]
    pub listen: Vec<String>,
    /// Use the sockets that systemd passes in place of listening.
    #[arg(long = "web.systemd-socket")]
    pub systemd_socket: bool,
    /// File with TLS, basic authentication and headers, in the format of Prometheus' exporters; re-read when it changes.
    #[arg(id = "web.config.file", long = "web.config.file", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Path under which the metrics are.
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics"
    )]
    pub telemetry_path: String,
    /// Leave out the metrics of the program about itself (`process_*`, `promhttp_*`).
    #[arg(long = "web.disable-exporter-metrics")]
    pub disable_exporter_metrics: bool,
    /// How many scrapes are answered at a time; 0 means no bound.
    #[arg(long = "web.max-requests", value_name = "N", default_value_t = 40)]
    pub max_requests: usize,
}

/// The command of a program: its flags with its own defaults, versions and environment variables.
#[must_use]
pub fn command<Flags: CommandFactory>(program: &Program) -> clap::Command {
    let version = format!("{} (revision {})", program.version, Program::REVISION);
    let command = Flags::command()
        .name(program.name)
        .version(version)
        .about(program.about);
    with_environment(command, &variable(program.name)).mut_args(|arg| {
        if arg.get_id() == "listen" {
            arg.default_value(program.listen)
        } else {
            arg
        }
    })
}

/// Reads a command line.
///
/// # Errors
/// clap's error, which knows what to print (help and version included) and the exit code.
pub fn parse<Flags: CommandFactory + FromArgMatches>(
    program: &Program,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Flags, clap::Error> {
    let mut command = command::<Flags>(program);
    let matches = command.try_get_matches_from_mut(arguments)?;
    Flags::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Gives every flag of a command and its subcommands the environment variable `PROGRAM_FLAG_NAME`.
fn with_environment(command: clap::Command, prefix: &str) -> clap::Command {
    command
        .mut_args(|arg| match arg.get_long() {
            Some(long) if arg.get_env().is_none() && long != "help" && long != "version" => {
                let name = format!("{prefix}_{}", variable(long));
                arg.env(name).hide_env_values(true)
            }
            _ => arg,
        })
        .mut_subcommands(|sub| with_environment(sub, prefix))
}

/// A duration as Go's `time.ParseDuration` takes it, without fractions: `500ms`, `5s`, `1m30s`, `0`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut total, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|it: char| it.is_ascii_digit());
        let (unit, tail) = tail.split_at(end.unwrap_or(tail.len()));
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        let part = Duration::from_millis(number.checked_mul(milliseconds)?);
        total = total.checked_add(part)?;
        rest = tail;
    }
    Some(total)
}

/// `web.listen-address` to `WEB_LISTEN_ADDRESS`.
fn variable(name: &str) -> String {
    name.chars()
        .map(|it| {
            if it.is_ascii_alphanumeric() {
                it.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CommonFlags, command, duration, parse};
    use crate::Program;

    const PROGRAM: Program = Program {
        name: "test-exporter",
        namespace: "test_exporter",
        about: "A test.",
        listen: ":9999",
        version: "1.2.3",
    };

    #[derive(Debug, clap::Parser)]
    struct Flags {
        #[command(flatten)]
        common: CommonFlags,
    }

    fn read(arguments: &[&str]) -> Result<Flags, clap::Error> {
        let arguments = [&["test-exporter"], arguments].concat();
        parse::<Flags>(&PROGRAM, arguments.into_iter().map(Into::into))
    }

    #[test]
    fn defaults_and_spellings() {
        let flags = read(&[]).unwrap();
        assert_eq!(flags.common.web.listen, [":9999"]);
        assert_eq!(flags.common.web.max_requests, 40);
        let flags = read(&[
            "--web.listen-address=:1",
            "--web.listen-address",
            "127.0.0.1:2",
            "--log.level=debug",
        ])
        .unwrap();
        assert_eq!(flags.common.web.listen, [":1", "127.0.0.1:2"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (arguments, expect) in [
            (&["--web.listen-adress=:1"][..], "'--web.listen-address'"),
            (
                &["--web.max-requests=many"],
                "invalid value 'many' for '--web.max-requests",
            ),
            (
                &["--log.level=loud"],
                "invalid value 'loud' for '--log.level",
            ),
        ] {
            let error = read(arguments).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(expect), "{error}");
        }
    }

    #[test]
    fn durations() {
        for (text, expect) in [
            ("1s", Some(1_000)),
            ("1m30s", Some(90_000)),
            ("250ms", Some(250)),
            ("0", Some(0)),
            ("", None),
            ("1", None),
            ("s", None),
            ("1d", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(
                duration(text),
                expect.map(Duration::from_millis),
                "{text:?}"
            );
        }
    }

    #[test]
    fn every_flag_has_a_variable() {
        let command = command::<Flags>(&PROGRAM);
        let names: Vec<_> = command
            .get_arguments()
            .filter_map(|it| it.get_env())
            .collect();
        assert!(
            names.contains(&"TEST_EXPORTER_WEB_LISTEN_ADDRESS".as_ref()),
            "{names:?}"
        );
        assert!(
            names.contains(&"TEST_EXPORTER_LOG_FORMAT".as_ref()),
            "{names:?}"
        );
    }
}
