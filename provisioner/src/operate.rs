//! Operating what stands: a machine that is ill is recovered or replaced, and services are started anew one after the other. Before a machine
//! is touched, what it can still tell is saved; alerts about it are silent meanwhile; and it is done when Prometheus hears from it again.

mod evidence;
mod recover;
mod replace;
mod rolling_restart;

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};

pub(crate) use self::{
    recover::{RecoverFlags, recover},
    replace::{ReplaceFlags, replace},
    rolling_restart::{RollingRestartFlags, rolling_restart},
};
use crate::{
    config::Target,
    install::runtime,
    network::{Network, Node},
    output,
    remote::Remotes,
    roles::Materials,
    silence::{Place, Silence},
    terraform, verify,
};

/// Until Prometheus has heard from all programs of a node: it asks them every 15 s.
const HEARD: Duration = Duration::from_secs(120);

/// A machine that is worked on.
struct Case {
    node: Node,
    /// None when alerts are not silent: there is no alert-router, it does not answer, or it is on this very machine.
    silence: Option<Silence>,
}

impl Case {
    /// Saves what the node can tell and silences alerts about it. That neither can be had does not keep anybody from helping it.
    fn open(network: &Network, node: &Node, command: &str) -> anyhow::Result<Self> {
        let materials = Materials::to_look(network, jiff::Timestamp::now());
        terraform::ignore(&network.folder, &[evidence::IGNORED])?;
        runtime()?.block_on(async {
            let remotes = Remotes::open(network)?;
            let (folder, config) = (&network.folder, &network.config);
            let saved = evidence::save(folder, config, &remotes, node, command).await?;
            output::note(format!("{}: saved {}", node.name, saved.display()));
            let silenced = async {
                let place = Place {
                    network,
                    remotes: &remotes,
                    materials: materials.as_ref().map_err(|it| anyhow::anyhow!("{it:#}"))?,
                };
                let why = format!("`{command}` of the provisioner");
                Silence::set(place, &node.name, &why).await
            };
            let silence = silenced.await.unwrap_or_else(|error| {
                output::warn(format!(
                    "alerts about {} are not silent: {error:#}",
                    node.name
                ));
                None
            });
            Ok(Self {
                node: node.clone(),
                silence,
            })
        })
    }

    /// Ends the silence, whatever came of it: when the node is still ill, people should know.
    fn close(self, folder: &Path) -> anyhow::Result<()> {
        let Some(silence) = self.silence else {
            return Ok(());
        };
        let network = Network::load(folder)?;
        let materials = Materials::to_look(&network, jiff::Timestamp::now())?;
        let lifted = runtime()?.block_on(async {
            let remotes = Remotes::open(&network)?;
            let place = Place {
                network: &network,
                remotes: &remotes,
                materials: &materials,
            };
            silence.lift(place).await
        });
        if let Err(error) = lifted {
            output::warn(format!(
                "the silence of alerts about {} is still there, and ends by itself within half an hour: {error:#}",
                self.node.name
            ));
        }
        Ok(())
    }
}

/// The node that somebody names, and the address of its machine where Terraform makes machines.
fn machine<'a>(
    network: &'a Network,
    words: &[String],
) -> anyhow::Result<(&'a Node, Option<String>)> {
    let named = spelled(&words.join(" "));
    let (name, address) = match network.config.target() {
        Target::Aws => {
            let found = terraform::resolve(&named, network)?;
            (found.node, Some(found.address))
        }
        Target::Hosts => (named, None),
    };
    let node = network.nodes.iter().find(|it| it.name == name);
    let node = node.with_context(|| {
        let names: Vec<_> = network.nodes.iter().map(|it| it.name.as_str()).collect();
        format!("there is no node {name}; there are {}", names.join(", "))
    })?;
    Ok((node, address))
}

/// People count from one: `scalar 1` is the first ledger, and so `scalardl-1`. Other spellings stay as they are.
fn spelled(words: &str) -> String {
    let of = |it: &str| match it {
        "scalar" => "scalardl".to_owned(),
        other => other.to_owned(),
    };
    match words.split_once(' ') {
        Some((role, number)) if number.parse::<u32>().is_ok_and(|it| it > 0) => {
            format!("{}-{number}", of(role))
        }
        _ => words.to_owned(),
    }
}

/// Waits until Prometheus hears from all programs of a node. Without one nobody can tell.
fn is_heard(folder: &Path, node: &str) -> anyhow::Result<()> {
    let problems = verify::heard(folder, node, HEARD)?;
    if !problems.is_empty() {
        bail!(
            "{node}: Prometheus does not hear from all of it after {} s: {}",
            HEARD.as_secs(),
            problems.join("; ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::spelled;

    #[test]
    fn spellings() {
        for (words, expect) in [
            ("scalar 1", "scalardl-1"),
            ("cassandra 3", "cassandra-3"),
            ("scalardl-2", "scalardl-2"),
            ("scalar.0", "scalar.0"),
            ("scalar 0", "scalar 0"),
            ("scalar one", "scalar one"),
            (
                "-module=scalar aws_instance.scalar.0",
                "-module=scalar aws_instance.scalar.0",
            ),
        ] {
            assert_eq!(spelled(words), expect, "{words}");
        }
    }
}
