//! `provisioner local`: the network's monitoring on this one machine, as supervised child processes on loopback.

mod cassandra;
mod control;
mod down;
mod files;
mod ledger;
mod load;
mod network;
mod report;
mod sample;
mod state;
mod supervisor;
mod traefik;
mod up;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum};

pub(crate) use self::state::State;
use self::{
    ledger::{LedgerFlags, SchemaFlags},
    load::LoadFlags,
    sample::SampleFlags,
};
use crate::inbox::{self, InboxFlags};

/// What to do with the local network.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything and wait until it is healthy; a second time, change what has changed
    Up(UpFlags),
    /// Say what runs, where, and how it is
    Status(ReportFlags),
    /// Stop a program for good, until it is started again
    Stop(ProgramFlags),
    /// Start a program that was stopped or has crashed
    Start(ProgramFlags),
    /// Show what people would have got by Slack and mail
    Inbox(ReportFlags),
    /// Send some requests a second to what runs, so that dashboards have something to show
    Load(LoadFlags),
    /// Show what the programs wrote
    Logs(LogFlags),
    /// Stop everything
    Down(DownFlags),
    #[command(hide = true)]
    LoadSchema(SchemaFlags),
    #[command(hide = true)]
    Supervise(Place),
    #[command(hide = true)]
    ServeInbox(InboxFlags),
    #[command(hide = true)]
    ServeLedger(LedgerFlags),
    #[command(hide = true)]
    ServeSample(SampleFlags),
}

/// Where the local network keeps its state.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// Folder of the state and the logs [default: ~/.local/state/scalar-dl-local]
    #[arg(long, value_name = "FOLDER", env = "PROVISIONER_LOCAL_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

/// What runs only when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Extra {
    /// All of them.
    All,
    /// A node of Cassandra, and cassandra-exporter.
    Cassandra,
    /// The ledger's stand-in: behind Traefik and on Cassandra, where those are started too.
    Ledger,
    /// Traefik in front of a sample service, and traefik-exporter.
    Traefik,
}

impl Extra {
    /// What was asked for, each by its own name.
    fn each(asked: &[Self]) -> Vec<Self> {
        if asked.contains(&Self::All) {
            vec![Self::Cassandra, Self::Ledger, Self::Traefik]
        } else {
            asked.to_vec()
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct UpFlags {
    #[command(flatten)]
    place: Place,
    /// Use the Slack webhook and the mail server of this config.json in place of the inbox
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to start besides: cassandra is a node of it with Jolokia, and cassandra-exporter; ledger is a stand-in for Scalar DL's;
    /// traefik stands in front of a sample service of two servers and of the ledger, with traefik-exporter; all is all of them
    #[arg(long, value_name = "PART,…", value_delimiter = ',')]
    with: Vec<Extra>,
    /// Ports by program, such as prometheus=9091,inbox=8026; 0 is any free one
    #[arg(long, value_name = "PROGRAM=PORT,…", value_delimiter = ',')]
    ports: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReportFlags {
    #[command(flatten)]
    place: Place,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ProgramFlags {
    #[command(flatten)]
    place: Place,
    /// One of those that `status` lists
    program: String,
}

#[derive(Debug, Args)]
pub(crate) struct LogFlags {
    #[command(flatten)]
    place: Place,
    /// One of those that `status` lists, or supervisor; all when none is named
    program: Option<String>,
    /// How many lines of each
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
    /// Go on showing what comes
    #[arg(short, long)]
    follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DownFlags {
    #[command(flatten)]
    place: Place,
    /// Remove the state and the logs too
    #[arg(long)]
    purge: bool,
}

/// Runs a command.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(flags) => up::up(
            &State::at(flags.place.state_dir)?,
            flags.config.as_deref(),
            &Extra::each(&flags.with),
            &flags.ports,
        ),
        Command::Status(flags) => report::status(&State::at(flags.place.state_dir)?, flags.json),
        Command::Stop(flags) => control::stop(&State::at(flags.place.state_dir)?, &flags.program),
        Command::Start(flags) => control::start(&State::at(flags.place.state_dir)?, &flags.program),
        Command::Inbox(flags) => report::inbox(&State::at(flags.place.state_dir)?, flags.json),
        Command::Load(flags) => load::load(&State::at(flags.place.state_dir.clone())?, &flags),
        Command::Logs(flags) => report::logs(
            &State::at(flags.place.state_dir)?,
            flags.program.as_deref(),
            flags.lines,
            flags.follow,
        ),
        Command::Down(flags) => down::down(&State::at(flags.place.state_dir)?, flags.purge),
        Command::LoadSchema(flags) => ledger::load_schema(&flags),
        Command::Supervise(place) => supervisor::run(State::at(place.state_dir)?),
        Command::ServeInbox(flags) => inbox::serve(&flags),
        Command::ServeLedger(flags) => ledger::serve(&flags),
        Command::ServeSample(flags) => sample::serve(&flags),
    }
}
