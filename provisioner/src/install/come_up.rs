//! Machines that Terraform has made: waiting until they let us in, and what installing would change on those that there are.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::task::JoinSet;

use super::{drift, listen, runtime};
use crate::{
    interrupt::Interrupted,
    network::{Network, Node},
    progress::Progress,
    remote::Remotes,
    roles::{self, Materials},
};

/// For a new machine to start, and let somebody in.
const START: Duration = Duration::from_secs(300);
/// For one attempt.
const REACH: Duration = Duration::from_secs(15);
/// Between two.
const PAUSE: Duration = Duration::from_secs(2);
/// For all files of ours to be read.
const READ: Duration = Duration::from_secs(60);

/// Waits until machines take connections.
pub(crate) fn come_up(network: &Network, new: &[Node], is_json: bool) -> anyhow::Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    runtime()?.block_on(async {
        let progress = Progress::new(is_json);
        let interrupt = listen(&progress)?;
        let remotes = Remotes::open(network)?;
        let bar = progress.bar("new machines that let us in", new.len());
        let begin = Instant::now();
        // Bastions first: the others are behind them.
        let mut new: Vec<_> = new.iter().collect();
        new.sort_by_key(|it| !network.is_bastion(&it.name));
        let all = async {
            for node in new {
                loop {
                    match remotes.connect_within(node, REACH).await {
                        Ok(remote) => break remote.close().await,
                        Err(error) if begin.elapsed() > START => {
                            return Err(error).context(
                                "a new machine does not let us in; `apply` goes on from there",
                            );
                        }
                        Err(_) => tokio::time::sleep(PAUSE).await,
                    }
                }
                bar.more();
            }
            Ok(())
        };
        match interrupt.stops(all).await {
            Some(done) => done,
            None => bail!(Interrupted(
                "nothing was installed; `apply` goes on from there".to_owned()
            )),
        }
    })
}

/// What installing would change on each node, or why that is not known: what cannot be reached, or is not there any more, hinders no other.
pub(crate) fn differences(
    network: &Network,
) -> anyhow::Result<Vec<(String, Result<Vec<String>, String>)>> {
    let materials = Materials::open(network, jiff::Timestamp::now())?;
    let mut looks = JoinSet::new();
    let mut found = Vec::new();
    runtime()?.block_on(async {
        let remotes = Arc::new(Remotes::open(network)?);
        let closed = remotes.closed(REACH).await;
        for node in network.nodes.clone() {
            if node.bastion.as_ref().is_some_and(|it| closed.contains(it)) {
                let problem = format!("{}: its bastion cannot be reached", node.name);
                found.push((node.name, Err(problem)));
                continue;
            }
            let desired = roles::desired(network, &node, &materials)?;
            let remotes = Arc::clone(&remotes);
            looks.spawn(async move {
                let look = async {
                    let remote = remotes
                        .connect_within(&node, REACH)
                        .await
                        .map_err(|it| it.to_string())?;
                    let user = node.user.as_deref().unwrap_or("the user");
                    let lines = tokio::time::timeout(READ, drift(&remote, user, &desired)).await;
                    let lines = lines.map_err(|_| format!("{}: it does not answer", node.name))?;
                    lines.map_err(|error| format!("{}: {error}", node.name))
                };
                let lines = look.await;
                (node.name, lines)
            });
        }
        while let Some(looked) = looks.join_next().await {
            found.push(looked?);
        }
        found.sort();
        Ok(found)
    })
}
