//! Commands beside the server, with amtool's words and flags.

mod template;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

/// The names of the commands.
pub(crate) const COMMANDS: [&str; 1] = ["template"];

#[derive(Debug, Parser)]
#[command(name = "alert-router", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Templates: render one.
    #[command(subcommand)]
    Template(template::Command),
}

/// Runs a command; mistakes are one message, and 2.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a closed standard error.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let Command::Template(command) = cli.command;
    match command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "commands speak to a person")]
fn say(error: &str) {
    eprintln!("alert-router: {error}");
}
