//! Taking everything away, and starting programs again.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, bail};

use super::{apply, chosen, health, jobs, runtime};
use crate::{
    hooks::Hooks,
    lock::{Journal, Lock},
    network::{Network, Role},
    output,
    remote::Remotes,
    roles::{Materials, cassandra::DATA},
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
    let jobs = jobs(&network, nodes, &materials)?;
    let journal = Journal::new(folder, "start");
    let hooks = Hooks::new(folder, "start", std::iter::once(flags.node.as_str()));
    runtime()?.block_on(hooks.around(async {
        let remotes = Remotes::open(&network)?;
        for job in &jobs {
            let name = &job.node.name;
            let units = job.desired.units.iter();
            let units: Vec<_> = units
                .filter(|it| {
                    flags.program.as_deref().is_none_or(|program| {
                        it.name == program || it.name == format!("{program}.service")
                    })
                })
                .collect();
            if units.is_empty() {
                let known: Vec<_> = job
                    .desired
                    .units
                    .iter()
                    .map(|it| it.name.trim_end_matches(".service"))
                    .collect();
                bail!("{name} runs no such program; it runs {}", known.join(", "));
            }
            let remote = remotes.connect(&job.node).await?;
            apply::restart(&remote, &units).await?;
            health::wait(&remote, &job.node, &units, &materials)
                .await
                .with_context(|| name.clone())?;
            let names: Vec<_> = units.iter().map(|it| it.name.as_str()).collect();
            journal.note(Some(name), &format!("started {}", names.join(", ")))?;
            output::say(format!("{name}: {} healthy", names.join(", ")));
        }
        Ok(ExitCode::SUCCESS)
    }))
}
