//! `provisioner recover`: the guide's ladder, from what harms the least. Services that are not well are started again; the machine is started,
//! or made where it is gone, and what differs on it is installed; at last it is replaced. It stops at the rung that heals.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, bail};

use super::{Case, is_heard, machine, replace};
use crate::{
    config::Target,
    install::{self, Services, runtime},
    lock::{Journal, Lock},
    network::{Network, Node, Role},
    output,
    remote::Remotes,
    roles::Materials,
    silence::Place,
    terraform::{self, Consent, Wanted},
};

/// `provisioner recover`.
#[derive(Debug, clap::Args)]
pub(crate) struct RecoverFlags {
    /// Do not ask before a machine that is there is changed or replaced
    #[arg(long)]
    yes: bool,
    /// Never replace the machine
    #[arg(long)]
    no_replace: bool,
    /// The node, as alerts call it
    #[arg(required = true, num_args = 1..=2)]
    node: Vec<String>,
}

impl RecoverFlags {
    /// Without a question.
    pub(crate) fn of(node: &str) -> Self {
        Self {
            yes: true,
            no_replace: false,
            node: vec![node.to_owned()],
        }
    }
}

/// Climbs it.
pub(crate) fn recover(folder: &Path, flags: &RecoverFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let (node, address) = machine(&network, &flags.node)?;
    let _lock = Lock::take(folder, "recover")?;
    let command = format!("recover {}", node.name);
    let case = Case::open(&network, node, &command)?;
    let climbed = climb(&network, node, address, flags);
    let journal = Journal::new(folder, "recover");
    let result = match &climbed {
        Ok(what) => format!("healed: {what}"),
        Err(_) => "not healed".to_owned(),
    };
    journal.note(Some(&node.name), &result)?;
    let closed = case.close(folder);
    let what = climbed?;
    closed?;
    output::say(format!("{}: {what}; it is healthy", node.name));
    Ok(ExitCode::SUCCESS)
}

/// What healed it.
fn climb(
    network: &Network,
    node: &Node,
    address: Option<String>,
    flags: &RecoverFlags,
) -> anyhow::Result<&'static str> {
    let folder = &network.folder;
    let rung = |what: &str, done: anyhow::Result<()>| match done {
        Ok(()) => is_heard(folder, &node.name)
            .inspect_err(|it| not_by(node, what, it))
            .is_ok(),
        Err(error) => {
            not_by(node, what, &error);
            false
        }
    };
    if rung("starting its services again", restart(network, node)) {
        return Ok("its services were started again, where they were not well");
    }
    let consent = Consent::default();
    if address.is_some() {
        let made = || {
            let wanted = Wanted {
                heals: true,
                ..Wanted::default()
            };
            let made = terraform::make(network, Some(&wanted), &consent, flags.yes)?;
            terraform::after(folder, made, install::START, &consent).map(drop)
        };
        if rung("plan and apply", made()) {
            return Ok("plan and apply brought it back");
        }
    } else {
        let targets = std::slice::from_ref(&node.name);
        let installed = || install::installed(network, targets, false).map(drop);
        if rung("installing what differs", installed()) {
            return Ok("what differed was installed");
        }
    }
    let evidence = folder.join(super::evidence::FOLDER);
    let evidence = evidence.display();
    let Some(address) = address.filter(|_| network.config.target() == Target::Aws) else {
        bail!(
            "{}: what can be done on it was done, and it is not well: look at {evidence} and at the machine; one in its place under the same \
             name gets everything by `install`",
            node.name
        );
    };
    let is_stateful = node.roles.contains(&Role::Cassandra);
    if flags.no_replace || is_stateful {
        let consent = match is_stateful {
            true => format!(" --allow-stateful {}", node.name),
            false => String::new(),
        };
        bail!(
            "{0}: it is not well, and would have to be replaced: look at {evidence}, then `replace {0}{consent}`",
            node.name
        );
    }
    // Addresses may be others since plan and apply.
    let network = Network::load(folder)?;
    replace::anew(&network, node, address, &consent, flags.yes)?;
    Ok("it was replaced")
}

/// Starts what is not well there.
fn restart(network: &Network, node: &Node) -> anyhow::Result<()> {
    let materials = Materials::open(network, jiff::Timestamp::now())?;
    runtime()?
        .block_on(async {
            let remotes = Remotes::open(network)?;
            let place = Place {
                network,
                remotes: &remotes,
                materials: &materials,
            };
            let services = Services::of(place, node, None).await?;
            let unwell = services.unwell().await?;
            if unwell.is_empty() {
                output::note(format!("{}: all of its services are well", node.name));
                return Ok(());
            }
            output::note(format!("{}: starting {} again", node.name, unwell.names()));
            unwell.restart().await
        })
        .with_context(|| node.name.clone())
}

fn not_by(node: &Node, what: &str, why: &anyhow::Error) {
    output::note(format!("{}: {what} did not heal it: {why:#}", node.name));
}
