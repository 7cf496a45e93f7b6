//! Machines that Terraform has made: waiting until they let us in, and what installing would change on those that there are.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::bail;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{drift, listen, runtime};
use crate::{
    interrupt::Interrupted,
    lock::Journal,
    network::{Network, Node},
    progress::{Progress, Step},
    remote::{ReachError, Remotes},
    roles::{self, Materials},
    see::command,
};

/// Until a new machine has started and lets somebody in, unless somebody says otherwise.
pub(crate) const START: Duration = Duration::from_secs(300);
/// For one attempt.
const REACH: Duration = Duration::from_secs(15);
/// Between two.
const PAUSE: Duration = Duration::from_secs(2);
/// For all files of ours to be read.
const READ: Duration = Duration::from_secs(60);
/// Machines that are tried at a time.
const TRIES: usize = 16;

/// Waits until machines take connections. Those that do not in time are told, with what can be done; nothing is done on any machine then.
pub(crate) fn come_up(network: &Network, patience: Duration, is_json: bool) -> anyhow::Result<()> {
    let all = &network.nodes;
    let (bastions, behind): (Vec<_>, Vec<_>) = all
        .iter()
        .cloned()
        .partition(|it| network.is_bastion(&it.name));
    let closed = runtime()?.block_on(async {
        let progress = Progress::new(is_json);
        let interrupt = listen(&progress)?;
        let remotes = Arc::new(Remotes::open(network)?);
        progress.say(format!("waiting for {} to let us in", machines(all.len())));
        let bar = progress.bar("machines that let us in", all.len());
        let end = Instant::now() + patience;
        let opening = async {
            // The others are behind them.
            let closed = opened(&remotes, bastions, end, &bar).await?;
            if !closed.is_empty() {
                return Ok(closed);
            }
            opened(&remotes, behind, end, &bar).await
        };
        match interrupt.stops(opening).await {
            Some(closed) => closed,
            None => bail!(Interrupted(
                "nothing was installed; `apply` goes on from there".to_owned()
            )),
        }
    })?;
    let Some((first, _)) = closed.first() else {
        return Ok(());
    };
    let journal = Journal::new(&network.folder, "apply");
    for (node, _) in &closed {
        journal.note(Some(&node.name), "does not let us in")?;
    }
    let command = command(&network.folder);
    bail!(
        "{} {} not let us in within {} s, so nothing was installed:\n  {}\n{}; look at {}, then `{command} apply` goes on from there",
        machines(closed.len()),
        if closed.len() == 1 { "did" } else { "do" },
        patience.as_secs(),
        closed
            .iter()
            .map(|(node, why)| format!("{}: {why}", known_as(node)))
            .collect::<Vec<_>>()
            .join("\n  "),
        others(network, &closed),
        consoles(first),
    );
}

/// Those that do not let us in before the end, and why, in their order.
async fn opened(
    remotes: &Arc<Remotes>,
    nodes: Vec<Node>,
    end: Instant,
    bar: &Step,
) -> anyhow::Result<Vec<(Node, String)>> {
    let places = Arc::new(Semaphore::new(TRIES));
    let mut tries = JoinSet::new();
    for (at, node) in nodes.into_iter().enumerate() {
        let (remotes, places) = (Arc::clone(remotes), Arc::clone(&places));
        tries.spawn(async move {
            loop {
                let place = places.acquire().await;
                let tried = remotes.connect_within(&node, REACH).await;
                drop(place);
                let error = match tried {
                    Ok(remote) => {
                        remote.close().await;
                        return (at, node, None);
                    }
                    Err(error) => error,
                };
                // Another key at its address does not change by waiting.
                let is_final = matches!(error, ReachError::HostKey { .. });
                if is_final || Instant::now() > end {
                    let why = why(&error, &node.name);
                    return (at, node, Some(why));
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    let mut closed = BTreeMap::new();
    while let Some(tried) = tries.join_next().await {
        match tried? {
            (at, node, Some(why)) => drop(closed.insert(at, (node, why))),
            (_, _, None) => bar.more(),
        }
    }
    Ok(closed.into_values().collect())
}

/// Why it does not, with ssh's own words.
fn why(error: &ReachError, name: &str) -> String {
    let text = error.to_string();
    let text = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
    let source = std::error::Error::source(error).map(ToString::to_string);
    let said = source.as_deref().map(str::trim).filter(|it| !it.is_empty());
    match said.and_then(|it| it.lines().last()) {
        Some(said) => format!("{text} ({said})"),
        None => text.to_owned(),
    }
}

fn machines(count: usize) -> String {
    match count {
        1 => "1 machine".to_owned(),
        many => format!("{many} machines"),
    }
}

/// By all that an operator looks for it with.
fn known_as(node: &Node) -> String {
    match &node.instance_id {
        Some(id) => format!("{} ({}, {id})", node.name, node.address),
        None => format!("{} ({})", node.name, node.address),
    }
}

/// How those are that are not among the closed.
fn others(network: &Network, closed: &[(Node, String)]) -> String {
    let is_closed = |it: &&Node| closed.iter().any(|(node, _)| node.name == it.name);
    let names = |nodes: Vec<&Node>| {
        let names: Vec<_> = nodes.iter().map(|it| it.name.as_str()).collect();
        names.join(", ")
    };
    let has_way = !closed.iter().any(|it| network.is_bastion(&it.0.name));
    let rest = network.nodes.iter().filter(|it| !is_closed(it));
    let (open, unknown): (Vec<_>, Vec<_>) =
        rest.partition(|it| has_way || network.is_bastion(&it.name));
    let mut said = Vec::new();
    if !open.is_empty() {
        said.push(format!("these do: {}", names(open)));
    }
    if !unknown.is_empty() {
        said.push(format!("these are behind it: {}", names(unknown)));
    }
    if said.is_empty() {
        said.push("there are no others".to_owned());
    }
    said.join("; ")
}

/// Where it says why it does not start.
fn consoles(first: &Node) -> String {
    match &first.instance_id {
        Some(id) => format!(
            "its console (`aws ec2 get-console-output --latest --output text --instance-id {id}`)"
        ),
        None => "its console".to_owned(),
    }
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
