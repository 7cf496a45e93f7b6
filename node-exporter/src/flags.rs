//! The command line: what every program has, where the host's files are, and a switch for every collector beside its own flags.

use std::{path::PathBuf, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches};
use daemon::CommonFlags;

use crate::collectors::ALL;

/// The command line, read.
#[derive(Debug)]
pub(crate) struct Flags {
    pub(crate) common: CommonFlags,
    pub(crate) paths: Paths,
    /// What collectors look their own flags up in.
    pub(crate) matches: ArgMatches,
}

/// Where the host's files are, seen from here; other roots are for containers and tests.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Paths")]
pub(crate) struct Paths {
    /// Where procfs is mounted.
    #[arg(long = "path.procfs", value_name = "PATH", default_value = "/proc")]
    pub(crate) procfs: PathBuf,
    /// Where sysfs is mounted.
    #[arg(long = "path.sysfs", value_name = "PATH", default_value = "/sys")]
    pub(crate) sysfs: PathBuf,
    /// Where the host's root file system is mounted.
    #[arg(long = "path.rootfs", value_name = "PATH", default_value = "/")]
    pub(crate) rootfs: PathBuf,
    /// Where udev keeps its data.
    #[arg(
        long = "path.udev.data",
        value_name = "PATH",
        default_value = "/run/udev/data"
    )]
    pub(crate) udev: PathBuf,
}

/// A flag that a collector cannot work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlagError {
    /// Not a regular expression.
    #[error("--{flag}={value:?} is no regular expression: {reason}")]
    Regex {
        flag: String,
        value: String,
        reason: String,
    },
    /// Two that exclude each other.
    #[error("--{0} and --{1} are mutually exclusive")]
    Exclusive(String, String),
    /// Not one of those that there are.
    #[error("--{flag} has {value:?}; there are: {choices}")]
    Choice {
        flag: String,
        value: String,
        choices: String,
    },
    /// Not a duration.
    #[error("--{flag}={value:?} is no duration such as 5s, 500ms or 1m")]
    Duration { flag: String, value: String },
}

impl AsRef<CommonFlags> for Flags {
    fn as_ref(&self) -> &CommonFlags {
        &self.common
    }
}

impl CommandFactory for Flags {
    fn command() -> Command {
        let command = Paths::augment_args(CommonFlags::augment_args(Command::new("node-exporter")));
        let command = command.next_help_heading("Collectors");
        let command = command.arg(
            Arg::new("collector.disable-defaults")
                .long("collector.disable-defaults")
                .help("Switch every collector off that is not switched on by its own flag")
                .action(ArgAction::SetTrue),
        );
        // Of Go's runtime, which we do not have.
        let command = value(command, "runtime.gomaxprocs", true, "Taken and ignored");
        ALL.iter().fold(command, |command, entry| {
            let state = if entry.default { "on" } else { "off" };
            let help = format!("Switch the {} collector on (default: {state})", entry.name);
            let command = switch(command, &format!("collector.{}", entry.name), help);
            (entry.flags)(command)
        })
    }

    fn command_for_update() -> Command {
        Self::command()
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self {
            common: CommonFlags::from_arg_matches(matches)?,
            paths: Paths::from_arg_matches(matches)?,
            matches: matches.clone(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Adds `--name` and `--no-name`, the last of which counts, as Prometheus' programs have them.
pub(crate) fn switch(command: Command, name: &str, help: impl Into<String>) -> Command {
    let no = format!("no-{name}");
    let on = Arg::new(name.to_owned())
        .long(name.to_owned())
        .help(help.into())
        .action(ArgAction::SetTrue)
        .overrides_with(no.clone());
    let off = Arg::new(no.clone())
        .long(no)
        .hide(true)
        .action(ArgAction::SetTrue)
        .overrides_with(name.to_owned());
    command.arg(on).arg(off)
}

/// Adds `--name VALUE`; hidden ones are the older spellings.
pub(crate) fn value(
    command: Command,
    name: &'static str,
    hidden: bool,
    help: &'static str,
) -> Command {
    command.arg(Arg::new(name).long(name).help(help).hide(hidden))
}

/// Takes `--name`, `--no-name` and `--name=true` for which there is nothing to do: node_exporter has two ways to read the same there.
pub(crate) fn ignored_switch(command: Command, name: &str) -> Command {
    switch(command, name, "Taken and ignored").mut_arg(name, |it| it.hide(true))
}

/// What a switch says; None when it was not touched.
pub(crate) fn switched(matches: &ArgMatches, name: &str) -> Option<bool> {
    if matches.get_flag(name) {
        return Some(true);
    }
    matches.get_flag(&format!("no-{name}")).then_some(false)
}

/// The value of a flag that was given.
pub(crate) fn given<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// `5s`, `500ms`, `1m30s`.
pub(crate) fn duration(
    matches: &ArgMatches,
    flag: &str,
    default: Duration,
) -> Result<Duration, FlagError> {
    let Some(value) = given(matches, flag) else {
        return Ok(default);
    };
    daemon::flags::duration(value).ok_or_else(|| FlagError::Duration {
        flag: flag.to_owned(),
        value: value.to_owned(),
    })
}
