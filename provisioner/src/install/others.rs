//! Taking everything away, and starting programs again.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, bail};

use super::{Services, apply, chosen, runtime};
use crate::{
    hooks::Hooks,
    lock::{Journal, Lock},
    network::{Network, Role},
    output,
    remote::Remotes,
    roles::{Materials, cassandra::DATA},
    silence::Place,
};

/// `provisioner uninstall`.
#[derive(Debug, clap::Args)]
pub(crate) struct UninstallFlags {
    /// Nodes or roles; all without
    targets: Vec<String>,
    /// Leave what Prometheus and alert-router have stored
    #[arg(long)]
    keep_data: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// `provisioner start`.
#[derive(Debug, clap::Args)]
pub(crate) struct StartFlags {
    /// The node, as alerts call it
    node: String,
    /// The program; all of the node's without
    program: Option<String>,
}

/// Takes everything of ours away.
pub(crate) fn uninstall(folder: &Path, flags: &UninstallFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let nodes = chosen(&network, &flags.targets)?;
    if !flags.yes {
        let data = if flags.keep_data {
            ""
        } else {
            ", and what is stored,"
        };
        bail!(
            "this takes the programs{data} away from {} nodes: say --yes",
            nodes.len()
        );
    }
    let _lock = Lock::take(folder, "uninstall")?;
    let journal = Journal::new(folder, "uninstall");
    let hooks = Hooks::new(folder, "uninstall", nodes.iter().map(|it| it.name.as_str()));
    runtime()?.block_on(hooks.around(async {
        let remotes = Remotes::open(&network)?;
        // The ways to the others lead over bastions: those come last.
        let mut nodes = nodes;
        nodes.sort_by_key(|it| network.is_bastion(&it.name));
        for node in nodes {
            let remote = remotes.connect(&node).await?;
            apply::uninstall(&remote, flags.keep_data).await?;
            journal.note(Some(&node.name), "uninstalled")?;
            output::say(format!("{}: uninstalled", node.name));
            if node.roles.contains(&Role::Cassandra) && network.config.installs(Role::Cassandra) {
                output::say(format!("{}: Cassandra's data stay in {DATA}", node.name));
            }
            remote.close().await;
        }
        Ok(ExitCode::SUCCESS)
    }))
}

/// Starts programs of a node again, and waits until they do what they should: what an alert about an agent says.
pub(crate) fn start(folder: &Path, flags: &StartFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let nodes = chosen(&network, std::slice::from_ref(&flags.node))?;
    let _lock = Lock::take(folder, "start")?;
    let materials = Materials::open(&network, jiff::Timestamp::now())?;
    let journal = Journal::new(folder, "start");
    let hooks = Hooks::new(folder, "start", std::iter::once(flags.node.as_str()));
    runtime()?.block_on(hooks.around(async {
        let remotes = Remotes::open(&network)?;
        let place = Place {
            network: &network,
            remotes: &remotes,
            materials: &materials,
        };
        for node in &nodes {
            let name = &node.name;
            let services = Services::of(place, node, flags.program.as_deref()).await?;
            services.restart().await.with_context(|| name.clone())?;
            let names = services.names();
            journal.note(Some(name), &format!("started {names}"))?;
            output::say(format!("{name}: {names} healthy"));
        }
        Ok(ExitCode::SUCCESS)
    }))
}
