//! Installing on the nodes of a network: look at all, say what differs, and make it so; one node of each role first, then the others in
//! small groups. What does not get healthy is put back, and nothing further is touched.

mod apply;
mod changes;
mod found;
mod health;
mod preflight;

use std::{collections::BTreeMap, path::Path, process::ExitCode, sync::Arc, time::Instant};

use anyhow::{Context as _, bail};
use tokio::task::JoinSet;

pub(crate) use self::found::FoundError;
use self::{
    changes::{Changes, changes},
    found::{Found, find},
};
use crate::{
    artifacts::sha256,
    desired::Desired,
    lock::{Journal, Lock},
    network::{Network, Node, Role},
    output,
    remote::{Remote, Remotes},
    roles::{self, Materials},
};

/// Nodes that are looked at, at a time.
const LOOKS: usize = 16;
/// Nodes that are changed at a time, after the first of their role.
const BATCH: usize = 4;

/// `provisioner install`.
#[derive(Debug, clap::Args)]
pub(crate) struct InstallFlags {
    /// Nodes or roles; all without
    targets: Vec<String>,
    /// Say what would be done, and do nothing; exit code 2 when there is something
    #[arg(long)]
    dry_run: bool,
}

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

/// A node with what should be there.
struct Job {
    node: Node,
    desired: Desired,
}

/// A node that was looked at.
struct Seen {
    job: Job,
    remote: Remote,
    found: Found,
}

/// Installs, or says what it would.
pub(crate) fn install(folder: &Path, flags: &InstallFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let nodes = chosen(&network, &flags.targets)?;
    let _lock = Lock::take(folder, "install")?;
    let materials = Materials::open(&network, jiff::Timestamp::now())?;
    let jobs = jobs(&network, nodes, &materials)?;
    runtime()?.block_on(async {
        let remotes = Arc::new(Remotes::open(&network)?);
        let begin = Instant::now();
        let seen = look(&network, &remotes, jobs).await?;
        let all: Vec<_> = seen
            .iter()
            .map(|it| changes(&it.job.desired, &it.found, sha256))
            .collect();
        for (seen, changes) in seen.iter().zip(&all) {
            preflight::check(&seen.job.node, &seen.job.desired, &seen.found, changes)?;
        }
        let todo = all.iter().filter(|it| !it.are_none()).count();
        if flags.dry_run {
            for (seen, changes) in seen.iter().zip(&all) {
                for line in changes.lines() {
                    output::say(format!("{}: {line}", seen.job.node.name));
                }
            }
        }
        if todo == 0 || flags.dry_run {
            output::say(format!(
                "{} nodes looked at, {todo} differ, {:.1} s",
                seen.len(),
                begin.elapsed().as_secs_f64()
            ));
            let code = if todo > 0 { 2 } else { 0 };
            return Ok(ExitCode::from(code));
        }
        let journal = Journal::new(folder, "install");
        journal.note(
            None,
            &format!("begin: {todo} of {} nodes differ", seen.len()),
        )?;
        let rolled = roll_out(&seen, &all, &materials, &journal).await;
        journal.note(None, if rolled.is_ok() { "done" } else { "stopped" })?;
        rolled?;
        output::say(format!(
            "{todo} of {} nodes changed, {:.1} s",
            seen.len(),
            begin.elapsed().as_secs_f64()
        ));
        Ok(ExitCode::SUCCESS)
    })
}

/// What a run would change on a node.
pub(crate) async fn drift(
    remote: &Remote,
    user: &str,
    desired: &Desired,
) -> Result<Vec<String>, FoundError> {
    let found = find(remote, user, desired).await?;
    Ok(changes(desired, &found, sha256).lines())
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
    runtime()?.block_on(async {
        let remotes = Remotes::open(&network)?;
        // The ways to the others lead over bastions: those come last.
        let mut nodes = nodes;
        nodes.sort_by_key(|it| network.is_bastion(&it.name));
        for node in nodes {
            let remote = remotes.connect(&node).await?;
            apply::uninstall(&remote, flags.keep_data).await?;
            journal.note(Some(&node.name), "uninstalled")?;
            output::say(format!("{}: uninstalled", node.name));
            remote.close().await;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Starts programs of a node again, and waits until they do what they should: what an alert about an agent says.
pub(crate) fn start(folder: &Path, flags: &StartFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let nodes = chosen(&network, std::slice::from_ref(&flags.node))?;
    let _lock = Lock::take(folder, "start")?;
    let materials = Materials::open(&network, jiff::Timestamp::now())?;
    let jobs = jobs(&network, nodes, &materials)?;
    let journal = Journal::new(folder, "start");
    runtime()?.block_on(async {
        let remotes = Remotes::open(&network)?;
        for job in &jobs {
            let name = &job.node.name;
            let units = job.desired.units.iter();
            let units: Vec<_> = units
                .filter(|it| {
                    flags
                        .program
                        .as_deref()
                        .is_none_or(|program| it.name == format!("{program}.service"))
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
    })
}

pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?)
}

/// Nodes by their names and roles.
pub(crate) fn chosen(network: &Network, targets: &[String]) -> anyhow::Result<Vec<Node>> {
    for target in targets {
        let is_known =
            Role::of(target).is_some() || network.nodes.iter().any(|it| it.name == *target);
        if !is_known {
            bail!(
                "{target} is neither a node nor one of the roles {}",
                Role::words()
            );
        }
    }
    let is_chosen = |node: &&Node| {
        targets.is_empty()
            || targets.iter().any(|it| {
                node.name == *it || Role::of(it).is_some_and(|it| node.roles.contains(&it))
            })
    };
    let nodes: Vec<_> = network.nodes.iter().filter(is_chosen).cloned().collect();
    if nodes.is_empty() {
        bail!("there are no such nodes");
    }
    Ok(nodes)
}

fn jobs(network: &Network, nodes: Vec<Node>, materials: &Materials) -> anyhow::Result<Vec<Job>> {
    let job = |node: Node| {
        let desired = roles::desired(network, &node, materials)?;
        Ok(Job { node, desired })
    };
    nodes.into_iter().map(job).collect()
}

/// Connects to all and looks at them; bastions first, so that the others find the way. All that cannot be reached are named.
async fn look(
    network: &Network,
    remotes: &Arc<Remotes>,
    jobs: Vec<Job>,
) -> anyhow::Result<Vec<Seen>> {
    let bastions = network
        .nodes
        .iter()
        .filter(|it| network.is_bastion(&it.name));
    let mut ways = Vec::new();
    for bastion in bastions {
        ways.push(remotes.connect(bastion).await?);
    }
    let mut looks = JoinSet::new();
    let mut results: BTreeMap<usize, anyhow::Result<Seen>> = BTreeMap::new();
    for (at, job) in jobs.into_iter().enumerate() {
        if looks.len() >= LOOKS
            && let Some(Ok((at, result))) = looks.join_next().await
        {
            results.insert(at, result);
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

/// One node of each role first, beside each other; then the others in groups, of which each has one Cassandra node at most.
fn waves(nodes: &[(usize, &Node)]) -> Vec<Vec<usize>> {
    let mut left = nodes.to_vec();
    let mut first = Vec::new();
    for role in Role::ALL {
        if let Some(at) = left.iter().position(|it| it.1.roles.contains(&role)) {
            first.push(left.remove(at).0);
        }
    }
    let (cassandra, others): (Vec<_>, Vec<_>) = left
        .into_iter()
        .partition(|it| it.1.roles.contains(&Role::Cassandra));
    let mut waves = vec![first];
    waves.extend(cassandra.into_iter().map(|it| vec![it.0]));
    let mut others = others.into_iter().map(|it| it.0);
    for wave in waves.iter_mut().skip(1) {
        wave.extend(others.by_ref().take(BATCH - 1));
    }
    let others: Vec<_> = others.collect();
    waves.extend(others.chunks(BATCH).map(<[usize]>::to_vec));
    waves.retain(|it| !it.is_empty());
    waves
}

async fn roll_out(
    seen: &[Seen],
    all: &[Changes<'_>],
    materials: &Materials,
    journal: &Journal,
) -> anyhow::Result<()> {
    let todo = seen.iter().zip(all).enumerate();
    let todo = todo.filter(|(_, (_, changes))| !changes.are_none());
    let todo: Vec<_> = todo.map(|(at, (seen, _))| (at, &seen.job.node)).collect();
    for wave in waves(&todo) {
        let nodes = wave.iter().filter_map(|at| seen.get(*at).zip(all.get(*at)));
        let nodes: Vec<_> = nodes.collect();
        let mut running: Vec<_> = nodes
            .iter()
            .map(|(seen, changes)| Box::pin(change(seen, changes, materials, journal)))
            .collect();
        let mut first = Ok(());
        for result in join_all(&mut running).await {
            first = first.and(result);
        }
        first?;
    }
    Ok(())
}

/// Waits for all of some, who go on beside each other.
async fn join_all<F: Future + Unpin>(all: &mut [F]) -> Vec<F::Output> {
    let mut results: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, result) in all.iter_mut().zip(&mut results) {
            if result.is_none() {
                match std::pin::Pin::new(future).poll(context) {
                    std::task::Poll::Ready(value) => *result = Some(value),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        if is_done {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}

/// Makes one node's changes and waits until it is healthy, or puts back what was there.
async fn change(
    seen: &Seen,
    changes: &Changes<'_>,
    materials: &Materials,
    journal: &Journal,
) -> anyhow::Result<()> {
    let Seen { job, remote, .. } = seen;
    let name = &job.node.name;
    let begin = Instant::now();
    output::say(format!("{name}: {}", summary(changes)));
    let units = job.desired.units.iter();
    let units: Vec<_> = units
        .filter(|it| changes.restarted.contains(it) || changes.reloaded.contains(it))
        .collect();
    let made = async {
        apply::apply(remote, &job.desired, changes).await?;
        health::wait(remote, &job.node, &units, materials).await
    };
    if let Err(error) = made.await {
        let reason = format!("{error:#}");
        journal.note(Some(name), &format!("failed: {reason}"))?;
        apply::roll_back(remote).await?;
        journal.note(Some(name), "rolled back")?;
        bail!("{name}: {reason}. It has what it had before again, and nothing further was changed");
    }
    journal.note(
        Some(name),
        &format!("changed: {}", changes.lines().join("; ")),
    )?;
    output::say(format!(
        "{name}: healthy, {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn summary(changes: &Changes<'_>) -> String {
    let lines = changes.lines();
    match lines.len() {
        0..=4 => lines.join("; "),
        more => format!("{more} changes"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::waves;
    use crate::network::{Node, Role};

    fn node(name: &str, roles: &[Role]) -> Node {
        Node {
            name: name.to_owned(),
            address: String::new(),
            private_address: String::new(),
            roles: BTreeSet::from_iter(roles.iter().copied()),
            zone: None,
            user: None,
            port: 22,
            bastion: None,
            instance_id: None,
            host_key: None,
        }
    }

    /// The names of each wave.
    fn shown(nodes: &[Node]) -> String {
        let numbered: Vec<_> = nodes.iter().enumerate().collect();
        let wave = |it: &Vec<usize>| {
            let names: Vec<_> = it.iter().map(|at| nodes[*at].name.as_str()).collect();
            names.join(" ")
        };
        waves(&numbered)
            .iter()
            .map(wave)
            .collect::<Vec<_>>()
            .join(" | ")
    }

    #[test]
    fn one_of_each_role_then_groups() {
        use Role::{Bastion, Cassandra, Host, Monitor, ScalarDl};
        let nodes = [
            node("b", &[Bastion, Monitor]),
            node("c1", &[Cassandra]),
            node("c2", &[Cassandra]),
            node("c3", &[Cassandra]),
            node("s1", &[ScalarDl]),
            node("s2", &[ScalarDl]),
            node("m", &[Monitor]),
        ];
        assert_eq!(shown(&nodes), "b c1 m s1 | c2 s2 | c3");
        let many: Vec<_> = (0..8).map(|it| node(&format!("h{it}"), &[Host])).collect();
        assert_eq!(shown(&many), "h0 | h1 h2 h3 h4 | h5 h6 h7");
        assert_eq!(shown(&[]), "");
    }
}
