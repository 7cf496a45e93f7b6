//! `provisioner replace`: a new machine in the place of one that is ill. What the guide does by taint, plan and apply.

use std::{path::Path, process::ExitCode};

use anyhow::bail;

use super::{Case, is_heard, machine};
use crate::{
    config::Target,
    install,
    lock::{Journal, Lock},
    network::{Network, Node},
    output,
    terraform::{self, Consent, Wanted},
};

/// `provisioner replace`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplaceFlags {
    #[command(flatten)]
    consent: Consent,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// The machine, as alerts call it: scalardl-1; or scalar 1, scalar.0, service.traefik
    #[arg(required = true, num_args = 1..=2)]
    machine: Vec<String>,
}

impl ReplaceFlags {
    /// Without a question.
    pub(crate) fn of(machine: &str) -> Self {
        Self {
            consent: Consent::default(),
            yes: true,
            machine: vec![machine.to_owned()],
        }
    }
}

/// Replaces it, installs, and waits until it is heard from.
pub(crate) fn replace(folder: &Path, flags: &ReplaceFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let (node, address) = machine(&network, &flags.machine)?;
    let Some(address) = address.filter(|_| network.config.target() == Target::Aws) else {
        bail!(
            "{0}: machines of the hosts file are not the provisioner's to replace: put another one in its place, under the same name, and run \
             `install`; `recover {0}` does what can be done on this one",
            node.name
        );
    };
    let _lock = Lock::take(folder, "replace")?;
    let command = format!("replace {}", node.name);
    let case = Case::open(&network, node, &command)?;
    let done = anew(&network, node, address, &flags.consent, flags.yes);
    let journal = Journal::new(folder, "replace");
    let result = if done.is_ok() {
        "replaced"
    } else {
        "not replaced"
    };
    journal.note(Some(&node.name), result)?;
    let closed = case.close(folder);
    done.and(closed)?;
    output::say(format!("{}: replaced, and healthy", node.name));
    Ok(ExitCode::SUCCESS)
}

/// Has Terraform make the machine anew, installs on it, and wherever something names its address. Whoever calls this holds the lock.
pub(super) fn anew(
    network: &Network,
    node: &Node,
    address: String,
    consent: &Consent,
    yes: bool,
) -> anyhow::Result<()> {
    let wanted = Wanted {
        replaces: vec![address],
        ..Wanted::default()
    };
    let made = terraform::make(network, Some(&wanted), consent, yes)?;
    terraform::after(&network.folder, made, install::START, consent)?;
    is_heard(&network.folder, &node.name)
}
