//! Installing on the nodes of a network: look at all, say what differs, and make it so; one node of each role first, then the others in
//! small groups. What does not get healthy is put back, and nothing further is touched.

mod accounts;
mod apply;
mod cassandra;
mod changes;
mod come_up;
mod containers;
mod found;
mod health;
mod look;
mod others;
mod preflight;
mod report;
mod roll_out;
mod schema;
mod services;
mod volumes;

use std::{path::Path, process::ExitCode, sync::Arc, time::Instant};

use anyhow::bail;

use self::{
    changes::{Changes, changes},
    found::{Found, find},
    report::{NodeReport, Outcome, Report},
    roll_out::RollOut,
};
pub(crate) use self::{
    come_up::{START, come_up, differences},
    found::FoundError,
    others::{StartFlags, UninstallFlags, start, uninstall},
    schema::load_schema,
    services::Services,
};
use crate::{
    artifacts::sha256,
    desired::Desired,
    hooks::Hooks,
    interrupt::{Interrupt, Interrupted},
    lock::{Journal, Lock},
    network::{Network, Node, Role},
    output,
    progress::Progress,
    remote::{Remote, Remotes},
    roles::{self, Materials, cassandra::SERVICE},
    silence::Place,
};

/// `provisioner install`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct InstallFlags {
    /// Nodes or roles; all without
    targets: Vec<String>,
    /// Say what would be done, and do nothing; exit code 2 when there is something
    #[arg(long)]
    dry_run: bool,
    /// Start Cassandra anew where what was installed needs it, one node at a time, each with a silence
    #[arg(long)]
    restart_stateful: bool,
    /// The report as JSON; what is going on goes to standard error
    #[arg(long)]
    json: bool,
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
    run(&network, nodes, flags)
}

/// The same for whoever holds the environment's lock: on some nodes, or on all when none is named.
pub(crate) fn installed(
    network: &Network,
    targets: &[String],
    is_json: bool,
) -> anyhow::Result<ExitCode> {
    let nodes = chosen(network, targets)?;
    let flags = InstallFlags {
        json: is_json,
        ..InstallFlags::default()
    };
    run(network, nodes, &flags)
}

fn run(network: &Network, nodes: Vec<Node>, flags: &InstallFlags) -> anyhow::Result<ExitCode> {
    let folder = &network.folder;
    let materials = Materials::open(network, jiff::Timestamp::now())?;
    materials.check_own()?;
    let jobs = jobs(network, nodes, &materials)?;
    runtime()?.block_on(async {
        let remotes = Arc::new(Remotes::open(network)?);
        let begin = Instant::now();
        let progress = Progress::new(flags.json);
        let interrupt = listen(&progress)?;
        let looked = interrupt.stops(look::look(network, &remotes, jobs, &progress));
        let Some(looked) = looked.await else {
            bail!(Interrupted("nothing was changed".to_owned()));
        };
        let seen = looked?;
        let all: Vec<_> = seen
            .iter()
            .map(|it| changes(&it.job.desired, &it.found, sha256))
            .collect();
        for (seen, changes) in seen.iter().zip(&all) {
            preflight::check(&seen.job.node, &seen.job.desired, &seen.found, changes)?;
            materials.check_written(&changes.files)?;
        }
        // What is there has its rack.
        let is_new = |it: &Seen| {
            let cassandra = it.found.units.get(SERVICE);
            it.job.node.roles.contains(&Role::Cassandra) && cassandra.is_none_or(|it| !it.is_active)
        };
        if seen.iter().any(is_new)
            && let Some(said) = network.lacks_zones()
        {
            output::warn(said);
        }
        let restarts = |at: usize| {
            flags.restart_stateful && all.get(at).is_some_and(|it| it.stateful.is_some())
        };
        let is_todo = |at: &usize| all.get(*at).is_some_and(|it| !it.are_none()) || restarts(*at);
        let todo: Vec<_> = (0..seen.len()).filter(is_todo).collect();
        let mut outcomes: Vec<_> = seen.iter().map(|_| Outcome::default()).collect();
        let mut result = Ok(());
        let place = Place {
            network,
            remotes: &remotes,
            materials: &materials,
        };
        if todo.is_empty() && !flags.dry_run {
            let journal = Journal::new(folder, "install");
            result = users(place, &seen, &journal, &progress).await;
        }
        if !todo.is_empty() && !flags.dry_run {
            let journal = Journal::new(folder, "install");
            let names = todo.iter().filter_map(|at| seen.get(*at));
            let hooks = Hooks::new(folder, "install", names.map(|it| it.job.node.name.as_str()));
            hooks.before().await?;
            let (some, of) = (todo.len(), seen.len());
            journal.note(None, &format!("begin: {some} of {of} nodes differ"))?;
            let roll_out = RollOut {
                seen: &seen,
                all: &all,
                place,
                journal: &journal,
                progress: &progress,
                interrupt: &interrupt,
                has_all_ledgers: has_all_ledgers(&network.nodes, &seen),
                restart_stateful: flags.restart_stateful,
            };
            result = roll_out.run(&todo, &mut outcomes).await;
            journal.note(None, if result.is_ok() { "done" } else { "stopped" })?;
            if result.is_ok() {
                result = users(place, &seen, &journal, &progress).await;
            }
            let after = hooks.after(result.is_ok()).await;
            result = result.and(after);
        }
        let besides = if flags.dry_run {
            let todo = todo.iter().filter_map(|at| seen.get(*at).zip(all.get(*at)));
            besides(place, &todo.collect::<Vec<_>>()).await?
        } else {
            Vec::new()
        };
        let reports = seen.iter().zip(&all).zip(outcomes);
        let report = Report {
            is_dry: flags.dry_run,
            nodes: reports
                .map(|((seen, changes), outcome)| {
                    NodeReport::new(&seen.job.node.name, changes, outcome)
                })
                .collect(),
            besides,
            todo: todo.len(),
            seconds: begin.elapsed().as_secs_f64(),
        };
        if flags.json {
            output::say(serde_json::to_string_pretty(&report)?);
        } else {
            report.say(result.is_ok());
        }
        result?;
        let would = flags.dry_run && !todo.is_empty();
        Ok(ExitCode::from(if would { 2 } else { 0 }))
    })
}

/// Sees to the users of a Cassandra of ours, when its nodes are among those that were looked at.
async fn users(
    place: Place<'_>,
    seen: &[Seen],
    journal: &Journal,
    progress: &Progress,
) -> anyhow::Result<()> {
    let mut nodes = seen.iter().map(|it| &it.job.node);
    if place.network.config.installs(Role::Cassandra)
        && nodes.any(|it| it.roles.contains(&Role::Cassandra))
        && let Some(said) =
            accounts::ensure(place, has_all_ledgers(&place.network.nodes, seen)).await?
    {
        journal.note(None, &said)?;
        progress.say(said);
    }
    Ok(())
}

/// Whether all ledgers were looked at.
fn has_all_ledgers(nodes: &[Node], seen: &[Seen]) -> bool {
    let mut ledgers = nodes.iter().filter(|it| it.roles.contains(&Role::ScalarDl));
    ledgers.all(|it| seen.iter().any(|seen| seen.job.node.name == it.name))
}

/// What a run would do for the network as a whole, besides the changes on nodes that differ.
async fn besides(place: Place<'_>, todo: &[(&Seen, &Changes<'_>)]) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    let has = |role| todo.iter().any(|it| it.0.job.node.roles.contains(&role));
    let is_ours = place.network.config.installs(Role::Cassandra);
    let ledger = todo.iter().find(|it| roll_out::restarts_ledger(it.1));
    if is_ours && (has(Role::Cassandra) || ledger.is_some()) {
        lines.push(
            "Cassandra's users: see that there are ours, and that the default one is none"
                .to_owned(),
        );
    }
    if let Some((seen, _)) = ledger {
        let would = schema::would(&seen.remote, place.network, place.materials).await?;
        lines.extend(would.map(|it| format!("{}: {it}", seen.job.node.name)));
    }
    Ok(lines)
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

fn listen(progress: &Progress) -> anyhow::Result<Interrupt> {
    let progress = progress.clone();
    Interrupt::listen(move || {
        progress.say("what has begun is brought to its end; once more breaks it off");
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
    if network.nodes.is_empty() {
        bail!(
            "there are no machines yet: `apply` makes them, `output` asks Terraform for those that it knows"
        );
    }
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
