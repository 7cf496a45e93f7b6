//! `cluster show`: the server's state and its peers.

use clap::Subcommand;

use super::{Session, server::Server};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print whether the server is ready, and with --output=extended its peers. What `cluster` means alone.
    Show,
}

impl Command {
    pub(super) async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        let Self::Show = self;
        let server = Server::open(session).await?;
        let status = server.get(&["v2", "status"], &[]).await?;
        session.show_cluster(&status)
    }
}
