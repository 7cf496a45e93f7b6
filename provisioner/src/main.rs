//! provisioner: the commands that make and operate a monitored Scalar DL network.

mod alerts;
mod config;
mod exec;
mod inbox;
mod local;
mod output;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Makes and operates a monitored Scalar DL network.
#[derive(Debug, Parser)]
#[command(name = "provisioner", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The network's monitoring on this one machine: Prometheus, node-exporter, alert-router and an inbox
    #[command(subcommand)]
    Local(local::Command),
    /// What has to do with alerts
    #[command(subcommand)]
    Alerts(AlertsCommand),
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// Send a test alert all the way to every receiver, say when each got it, and resolve it
    Test(alerts::TestFlags),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a closed standard error.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match cli.command {
        Command::Local(command) => local::run(command),
        Command::Alerts(AlertsCommand::Test(flags)) => alerts::test(&flags),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error);
            ExitCode::from(if error.is::<config::ConfigError>() {
                2
            } else {
                1
            })
        }
    }
}

/// Where this program is, for lines that others will run.
fn own_path() -> anyhow::Result<PathBuf> {
    use anyhow::Context as _;
    std::env::current_exe().context("cannot find the path of this program")
}
