//! Looking at nodes before anything is changed.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::bail;
use tokio::task::JoinSet;

use super::{Job, Seen, found::find};
use crate::{network::Network, progress::Progress, remote::Remotes};

/// Nodes that are looked at, at a time.
const LOOKS: usize = 16;

/// Connects to all and looks at them; bastions first, so that the others find the way. All that cannot be reached are named.
pub(super) async fn look(
    network: &Network,
    remotes: &Arc<Remotes>,
    jobs: Vec<Job>,
    progress: &Progress,
) -> anyhow::Result<Vec<Seen>> {
    let bar = progress.bar("nodes looked at", jobs.len());
    let bastions = network
        .nodes
        .iter()
        .filter(|it| network.is_bastion(&it.name));
    for bastion in bastions {
        remotes.connect(bastion).await?;
    }
    let mut looks = JoinSet::new();
    let mut results: BTreeMap<usize, anyhow::Result<Seen>> = BTreeMap::new();
    for (at, job) in jobs.into_iter().enumerate() {
        if looks.len() >= LOOKS
            && let Some(Ok((at, result))) = looks.join_next().await
        {
            results.insert(at, result);
            bar.more();
        }
        let remotes = Arc::clone(remotes);
        looks.spawn(async move {
            let result = async {
                let remote = remotes.connect(&job.node).await?;
                let user = job.node.user.as_deref().unwrap_or("the user");
                let found = find(&remote, user, &job.desired).await?;
                Ok(Seen { job, remote, found })
            };
            (at, result.await)
        });
    }
    while let Some(looked) = looks.join_next().await {
        let (at, result) = looked?;
        results.insert(at, result);
        bar.more();
    }
    let mut seen = Vec::new();
    let mut problems = Vec::new();
    for result in results.into_values() {
        match result {
            Ok(it) => seen.push(it),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    if !problems.is_empty() {
        bail!("nothing was changed:\n  {}", problems.join("\n  "));
    }
    Ok(seen)
}
