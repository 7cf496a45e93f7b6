//! `provisioner rolling-restart`: the ledgers, or the entry points, one after the other, each healthy before the next.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use crate::{
    hooks::Hooks,
    install::{Services, runtime},
    interrupt::{Interrupt, Interrupted},
    lock::{Journal, Lock},
    network::{Network, Role},
    output,
    remote::Remotes,
    roles::Materials,
    silence::{Place, Silence},
};

/// `provisioner rolling-restart`.
#[derive(Debug, clap::Args)]
pub(crate) struct RollingRestartFlags {
    /// Which
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The ledgers
    #[value(alias = "scalardl")]
    Scalar,
    /// The entry points
    Traefik,
}

impl What {
    const fn role(self) -> Role {
        match self {
            Self::Scalar => Role::ScalarDl,
            Self::Traefik => Role::Traefik,
        }
    }
}

/// Starts them anew. Nothing is touched while one of them is not well, and nothing further after one that does not get well.
pub(crate) fn rolling_restart(
    folder: &Path,
    flags: &RollingRestartFlags,
) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let role = flags.what.role();
    let nodes: Vec<_> = network
        .nodes
        .iter()
        .filter(|it| it.roles.contains(&role))
        .collect();
    if nodes.is_empty() {
        bail!("there is no node of the role {}", role.word());
    }
    if !network.config.installs(role) {
        bail!(
            "{0} is not installed from here: `services` in config.json does not name it, so how it is started is not known",
            role.word()
        );
    }
    let _lock = Lock::take(folder, "rolling-restart")?;
    let materials = Materials::open(&network, jiff::Timestamp::now())?;
    let journal = Journal::new(folder, "rolling-restart");
    let names = nodes.iter().map(|it| it.name.as_str());
    let hooks = Hooks::new(folder, "rolling-restart", names);
    runtime()?.block_on(hooks.around(async {
        let remotes = Remotes::open(&network)?;
        let place = Place {
            network: &network,
            remotes: &remotes,
            materials: &materials,
        };
        let interrupt = Interrupt::listen(|| {
            output::note("what has begun is brought to its end; once more breaks it off");
        })?;
        let mut services = Vec::new();
        for node in &nodes {
            let its = Services::of(place, node, Some(role.word())).await?;
            if let Some(problem) = its.problem().await? {
                bail!(
                    "nothing was touched, for one is not well: {}: {problem}; `recover {0}` first",
                    node.name
                );
            }
            services.push(its);
        }
        for (done, (node, service)) in nodes.iter().zip(&services).enumerate() {
            if interrupt.came() {
                bail!(Interrupted(format!(
                    "{done} of {} were started anew",
                    nodes.len()
                )));
            }
            let why = format!("{} is started anew by the provisioner", node.name);
            let silence = Silence::set(place, &node.name, &why).await?;
            let restarted = service.restart().await;
            // When it stays down, people should know.
            let lifted = match silence {
                Some(silence) => silence.lift(place).await,
                None => Ok(()),
            };
            restarted.and(lifted).with_context(|| {
                format!(
                    "stopped at {}: {done} of {} were started anew",
                    node.name,
                    nodes.len()
                )
            })?;
            journal.note(
                Some(&node.name),
                &format!("{} was started anew", role.word()),
            )?;
            output::say(format!("{}: {} healthy", node.name, role.word()));
        }
        Ok(ExitCode::SUCCESS)
    }))
}
