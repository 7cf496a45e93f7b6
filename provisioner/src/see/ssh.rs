//! `provisioner ssh`: a shell on a node, or a command there, as the system's ssh gives it.

use std::{io::IsTerminal as _, path::Path, process::ExitCode};

use super::child::{self, Ssh, Streams};
use crate::{
    interrupt::{self, Interrupt},
    network::Network,
};

/// `provisioner ssh`.
#[derive(Debug, clap::Args)]
pub(crate) struct SshFlags {
    /// The node
    node: String,
    /// What is run there, by the user's shell; a shell without
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs it, and ends as it does.
pub(crate) fn ssh(folder: &Path, flags: &SshFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let node = child::node(&network, &flags.node)?;
    let is_watched = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    // What somebody watches may ask, and is to hear of Ctrl-C.
    let options = [if is_watched { "-t" } else { "-T" }];
    child::runtime()?.block_on(async {
        let interrupt = Interrupt::listen(|| {})?;
        let mut ssh = Ssh::start(&network, node, &options, &flags.command, Streams::Terminal)?;
        let status = interrupt.stops(ssh.wait()).await;
        let Some(status) = status else {
            ssh.end().await;
            return Ok(ExitCode::from(interrupt::EXIT_CODE));
        };
        Ok(ExitCode::from(child::code(status?)))
    })
}
