//! Commands beside the server, with amtool's words and flags.

mod alert;
mod check_config;
mod cluster;
mod config;
mod history;
mod matching;
mod notification;
mod output;
mod render;
mod server;
mod settings;
mod silence;
mod table;
mod template;
pub(crate) mod test_receiver;
mod time;
mod words;

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use jiff::Timestamp;

use self::{output::Output, server::CallError};
use crate::{
    config::{Config, ConfigError, Options, read as config_text},
    matcher::Mode,
};

/// Alertmanager's, which amtool takes too; those about matchers say how they are read.
const FEATURES: [&str; 7] = [
    "alert-names-in-metrics",
    "auto-gomemlimit",
    CLASSIC,
    "event-recorder",
    "group-key-in-metrics",
    "receiver-name-in-metrics",
    STRICT,
];

const CLASSIC: &str = "classic-mode";
const STRICT: &str = "utf8-strict-mode";

/// What amtool does, and more: alerts, silences, routes, templates, receivers.
#[derive(Debug, Parser)]
#[command(
    name = "alert-router",
    disable_version_flag = true,
    after_help = "Without a command alert-router serves; `alert-router --help` lists the flags for that.\nFlags that are the same each time may stand in $HOME/.config/amtool/config.yml or /etc/amtool/config.yml, a line each:\n  alertmanager.url: http://localhost:9093\n  author: me\nEvery switch has its opposite, such as --no-version-check."
)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Flags of every command")]
struct Flags {
    /// The server to speak to, such as http://localhost:9093; may have a user and a password.
    #[arg(long = "alertmanager.url", value_name = "URL", global = true)]
    url: Option<String>,
    /// How answers are shown.
    #[arg(
        short,
        long,
        value_name = "FORM",
        value_enum,
        default_value = "simple",
        global = true
    )]
    output: Output,
    /// How long a command may take.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = time::duration, global = true)]
    timeout: Duration,
    /// How times are shown, in Go's layout.
    #[arg(
        long = "date.format",
        value_name = "LAYOUT",
        default_value = "2006-01-02 15:04:05 MST",
        global = true
    )]
    date_format: String,
    /// How the server is spoken to: a file with Prometheus' http_config (basic_auth, authorization, tls_config, …).
    #[arg(long = "http.config.file", value_name = "FILE", global = true)]
    http_config: Option<PathBuf>,
    /// Take the server's certificate whoever made it.
    #[arg(long = "tls.insecure.skip.verify", global = true)]
    insecure: bool,
    /// Warn when the server is of another version.
    #[arg(long, default_value = "true", global = true)]
    version_check: bool,
    /// Features of Alertmanager, with commas between: classic-mode and utf8-strict-mode say how matchers are read.
    #[arg(
        long = "enable-feature",
        value_name = "FEATURES",
        default_value = "",
        hide_default_value = true,
        global = true
    )]
    features: String,
    /// ${NAME} in a configuration's values is the environment's, ${credential:NAME} that of systemd; for --config.file and
    /// check-config.
    #[arg(long = "config.expand-env", global = true)]
    expand_env: bool,
    /// Say what is asked of the server.
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Alerts: query them, add one.
    #[command(subcommand)]
    Alert(alert::Command),
    /// Say whether configuration files and their templates can be used.
    CheckConfig(check_config::Command),
    /// The server's state and peers.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// The configuration and its tree of routes.
    #[command(subcommand)]
    Config(config::Command),
    /// Who was told what, and when, and what became of it; newest first.
    History(history::Command),
    /// Show what a receiver's people would get, without sending it.
    Render(render::Command),
    /// Silences: query, add, update, expire, import and export them.
    #[command(subcommand)]
    Silence(silence::Command),
    /// Templates: render one.
    #[command(subcommand)]
    Template(template::Command),
    /// Send a test through every integration of a receiver, and say what came of it.
    TestReceiver(test_receiver::Command),
}

/// What commands work with.
struct Session<'a> {
    flags: Flags,
    environment: &'a dyn Fn(&str) -> Option<OsString>,
    now: Timestamp,
}

/// Whether a command line names one of these commands.
pub(crate) fn is_meant(arguments: &[OsString]) -> bool {
    // Most starts of the server have no words at all.
    arguments.len() > 1 && words::names_a_command(&Cli::command(), arguments)
}

/// Runs a command; mistakes are one message, and 1, as amtool has it.
pub(crate) fn run(
    arguments: Vec<OsString>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> ExitCode {
    let cli = match read(arguments, environment) {
        Ok(cli) => cli,
        Err(Mistake::Said(error)) => {
            say(&error);
            return ExitCode::FAILURE;
        }
        Err(Mistake::Usage(error)) => {
            // Nothing can be done about a closed standard error.
            drop(error.print());
            return if error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let session = Session {
        flags: cli.flags,
        environment,
        now: Timestamp::now(),
    };
    match session.run(&cli.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

enum Mistake {
    Usage(clap::Error),
    Said(String),
}

fn read(
    arguments: Vec<OsString>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Cli, Mistake> {
    let settings = settings::read(environment).map_err(Mistake::Said)?;
    let root = Cli::command();
    let words = words::complete(&root, arguments, &settings);
    let mut root = words.off.iter().fold(root, |root, name| off(root, name));
    let matches = root.try_get_matches_from_mut(words.arguments);
    let cli = matches
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| Mistake::Usage(error.format(&mut root)))?;
    let mut features = cli.flags.features.split(',').filter(|it| !it.is_empty());
    if let Some(unknown) = features.find(|it| !FEATURES.contains(it)) {
        return Err(Mistake::Said(format!(
            "unknown option '{unknown}' for --enable-feature; known are: {}",
            FEATURES.join(", ")
        )));
    }
    if cli.flags.has(CLASSIC) && cli.flags.has(STRICT) {
        return Err(Mistake::Said(
            "cannot have both classic and UTF-8 modes enabled; leave one out of --enable-feature"
                .to_owned(),
        ));
    }
    Ok(cli)
}

/// A switch that is off unless it is given.
fn off(command: clap::Command, name: &str) -> clap::Command {
    command
        .mut_args(|arg| {
            if arg.get_long() == Some(name) {
                arg.default_value("false")
            } else {
                arg
            }
        })
        .mut_subcommands(|it| off(it, name))
}

impl Flags {
    fn has(&self, feature: &str) -> bool {
        self.features.split(',').any(|it| it == feature)
    }

    fn matchers(&self) -> Mode {
        if self.has(CLASSIC) {
            Mode::Classic
        } else if self.has(STRICT) {
            Mode::Utf8Strict
        } else {
            Mode::Fallback
        }
    }
}

impl Session<'_> {
    /// Reads a configuration as the server would with these flags.
    fn load(&self, path: &Path) -> Result<Config, String> {
        let text = config_text(path).map_err(|error| {
            format!("{}: cannot read the configuration: {error}", path.display())
        })?;
        self.parse(path, &text).map_err(|error| error.to_string())
    }

    /// Reads the text of one.
    fn parse(&self, path: &Path, text: &str) -> Result<Config, ConfigError> {
        let value = |name: &str| (self.environment)(name);
        let options = Options {
            strict_receivers: false,
            expand_env: self.flags.expand_env,
            credentials_dir: value("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            matchers: self.flags.matchers(),
        };
        Config::parse_with(path, text, &options, &|name| {
            value(name)?.into_string().ok()
        })
    }

    /// Whether all is as it should be.
    fn run(&self, command: &Command) -> Result<bool, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
        runtime.block_on(async {
            let answer = self.answer(command);
            // Each of its integrations has this time.
            if matches!(command, Command::TestReceiver(_)) {
                return answer.await;
            }
            let answer = tokio::time::timeout(self.flags.timeout, answer).await;
            answer.unwrap_or_else(|_| {
                Err(CallError::Late(self.flags.timeout.as_secs_f64()).to_string())
            })
        })
    }

    async fn answer(&self, command: &Command) -> Result<bool, String> {
        match command {
            Command::Config(command) => return command.run(self).await,
            Command::TestReceiver(command) => return command.run(self).await,
            Command::Alert(command) => command.run(self).await,
            Command::CheckConfig(command) => command.run(self),
            Command::Cluster(command) => command.run(self).await,
            Command::History(command) => command.run(self).await,
            Command::Render(command) => command.run(self),
            Command::Silence(command) => command.run(self).await,
            Command::Template(command) => command.run(self),
        }?;
        Ok(true)
    }

    /// The name of who runs this, as the system knows it.
    fn user(&self) -> String {
        let id = fs::metadata("/proc/self").map(|it| it.uid().to_string());
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let is_it = fields
                .nth(1)
                .is_some_and(|it| id.as_ref().is_ok_and(|id| id == it));
            is_it.then(|| name.to_owned())
        });
        name.unwrap_or_else(|| {
            let name = (self.environment)("USER");
            name.map(|it| it.to_string_lossy().into_owned())
                .unwrap_or_default()
        })
    }
}

fn say(text: &str) {
    // Nothing can be done about a closed standard error.
    drop(writeln!(io::stderr(), "alert-router: {text}"));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }
}
