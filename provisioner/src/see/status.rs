//! `provisioner status`: how environments are, node by node. A node that is down is a row that says so.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    checks,
    facts::{Depth, Facts, Site, gather},
};
use crate::{
    install::runtime,
    lock::{Entry, Lock},
    output::{self, duration, printable},
};

/// What makes a node one that is not well.
const CHECKS: [&str; 4] = ["ssh", "services", "disks", "certificates"];

/// `provisioner status`.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusFlags {
    /// Folders of environments; that of -e without
    environments: Vec<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// An environment. These are the keys of the JSON.
#[derive(Debug, Serialize)]
struct EnvironmentStatus {
    environment: String,
    /// Why nothing, or not all, is known of it.
    problem: Option<String>,
    /// Who changes it at the moment.
    changed_by: Option<String>,
    /// The last thing that was done to all of it.
    last_change: Option<Entry>,
    nodes: Vec<NodeStatus>,
}

#[derive(Debug, Serialize)]
struct NodeStatus {
    name: String,
    roles: Vec<&'static str>,
    instance_id: Option<String>,
    zone: Option<String>,
    is_reachable: bool,
    /// All that is not well.
    problems: Vec<String>,
    services: Vec<ServiceStatus>,
    /// The file system of ours with the smallest part free.
    disk: Option<DiskStatus>,
    /// When the first of its certificates ends.
    certificate_ends: Option<Timestamp>,
    last_change: Option<Entry>,
}

#[derive(Debug, Serialize)]
struct ServiceStatus {
    name: String,
    /// In systemd's word; `missing` when it is not there.
    state: String,
    since: Option<Timestamp>,
    restarts: u32,
    version: Option<String>,
    /// Whether it answers as it should; null when it was not asked.
    is_healthy: Option<bool>,
}

#[derive(Debug, Serialize)]
struct DiskStatus {
    mount: String,
    size_bytes: u64,
    free_bytes: u64,
}

/// Looks at environments, all beside each other.
pub(crate) fn status(folder: &Path, flags: &StatusFlags) -> anyhow::Result<ExitCode> {
    let mut folders = flags.environments.clone();
    if folders.is_empty() {
        folders.push(folder.to_owned());
    }
    let is_alone = folders.len() == 1;
    let mut sites = Vec::new();
    for folder in folders {
        let site = match Site::load(&folder, false) {
            // Beside others it is told with them.
            Err(error) if is_alone => return Err(error),
            site => site.map(Arc::new),
        };
        sites.push((folder, site));
    }
    let all = runtime()?.block_on(async {
        let mut looking = JoinSet::new();
        for (at, (folder, site)) in sites.into_iter().enumerate() {
            looking.spawn(async move { (at, of_environment(&folder, site).await) });
        }
        let mut all = looking.join_all().await;
        all.sort_by_key(|it| it.0);
        all.into_iter().map(|it| it.1).collect::<Vec<_>>()
    });
    if flags.json {
        output::say(serde_json::to_string_pretty(&all)?);
    } else {
        for (at, environment) in all.iter().enumerate() {
            if at > 0 {
                output::say("");
            }
            environment.say();
        }
    }
    Ok(if all.iter().all(EnvironmentStatus::is_well) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn of_environment(folder: &Path, site: anyhow::Result<Arc<Site>>) -> EnvironmentStatus {
    let mut status = EnvironmentStatus {
        environment: folder.display().to_string(),
        problem: None,
        changed_by: Lock::holder(folder),
        last_change: None,
        nodes: Vec::new(),
    };
    let looked = async {
        let site = site?;
        let facts = gather(&site, site.network.nodes.clone(), Depth::Health).await?;
        anyhow::Ok((site, facts))
    };
    match looked.await {
        Ok((site, facts)) => {
            status.problem.clone_from(&site.trouble);
            let mut entries = site.journal.iter().rev();
            status.last_change = entries.find(|it| it.node.is_none()).cloned();
            status.nodes = facts.iter().map(|it| of_node(it, &site)).collect();
        }
        Err(error) => status.problem = Some(format!("{error:#}")),
    }
    status
}

fn of_node(facts: &Facts, site: &Site) -> NodeStatus {
    let checks = CHECKS.iter().filter_map(|it| checks::named(it));
    let findings = checks.flat_map(|it| (it.of)(facts, site));
    let problems = findings.filter(|it| it.is_problem).map(|it| it.what);
    let node = &facts.node;
    let look = facts.look.as_ref().ok();
    let ends = look.iter().flat_map(|it| &it.certificates);
    let ends = ends.filter_map(|it| Some(site.materials.as_ref()?.pki.judge(it)?.ends));
    NodeStatus {
        name: node.name.clone(),
        roles: node.roles.iter().map(|it| it.word()).collect(),
        instance_id: node.instance_id.clone(),
        zone: node.zone.clone(),
        is_reachable: look.is_some(),
        problems: problems.collect(),
        services: services(facts, site.now),
        disk: look.and_then(|it| it.fullest()).map(|it| DiskStatus {
            mount: it.mount.clone(),
            size_bytes: it.size,
            free_bytes: it.free,
        }),
        certificate_ends: ends.min(),
        last_change: facts.last_change.clone(),
    }
}

/// Those that are there, and those that should be.
fn services(facts: &Facts, now: Timestamp) -> Vec<ServiceStatus> {
    let Ok(look) = &facts.look else {
        return Vec::new();
    };
    let mut all: Vec<_> = look
        .services
        .iter()
        .map(|(name, service)| ServiceStatus {
            name: name.clone(),
            state: service.state.clone(),
            since: service.active_for.and_then(|it| ago(now, it)),
            restarts: service.restarts,
            version: look.version(name).map(str::to_owned),
            is_healthy: facts.health.get(name).map(Option::is_none),
        })
        .collect();
    for program in &facts.programs {
        if !look.services.contains_key(&program.name) {
            all.push(ServiceStatus {
                name: program.name.clone(),
                state: "missing".to_owned(),
                since: None,
                restarts: 0,
                version: None,
                is_healthy: Some(false),
            });
        }
    }
    all
}

fn ago(now: Timestamp, seconds: u64) -> Option<Timestamp> {
    let seconds = SignedDuration::from_secs(seconds.try_into().ok()?);
    let time = now.checked_sub(seconds).ok()?;
    Timestamp::from_second(time.as_second()).ok()
}

impl EnvironmentStatus {
    fn is_well(&self) -> bool {
        self.problem.is_none() && self.nodes.iter().all(|it| it.problems.is_empty())
    }

    fn say(&self) {
        let mut head = self.environment.clone();
        if let Some(Entry {
            time,
            who,
            command,
            result,
            ..
        }) = &self.last_change
        {
            head += &format!(": {command} by {who} at {time:.0}: {result}");
        }
        output::say(head);
        if let Some(holder) = &self.changed_by {
            output::say(format!("is being changed by {holder}"));
        }
        if let Some(problem) = &self.problem {
            output::say(format!("not all is known: {problem}"));
        }
        if self.nodes.is_empty() {
            return;
        }
        let mut rows = vec![
            [
                "NODE",
                "ROLE",
                "ZONE",
                "INSTANCE",
                "SERVICE",
                "STATE",
                "FOR",
                "RESTARTS",
                "VERSION",
                "DISK FREE",
                "CERTIFICATE",
                "LAST CHANGE",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        for node in &self.nodes {
            rows.extend(node.rows());
        }
        output::table(&used(&rows));
        for node in &self.nodes {
            for problem in &node.problems {
                output::say(printable(&format!("{}: {problem}", node.name)));
            }
        }
    }
}

/// Without columns that hold nothing but their heading.
fn used(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let is_used = |column: &usize| {
        let mut cells = rows.iter().skip(1).filter_map(|it| it.get(*column));
        cells.any(|it| !it.is_empty())
    };
    let columns: Vec<_> = (0..rows.first().map_or(0, Vec::len))
        .filter(is_used)
        .collect();
    let row = |row: &Vec<String>| {
        columns
            .iter()
            .filter_map(|it| row.get(*it).cloned())
            .collect()
    };
    rows.iter().map(row).collect()
}

impl NodeStatus {
    /// One for each service; what is the node's own stands in the first.
    fn rows(&self) -> Vec<Vec<String>> {
        let now = Timestamp::now();
        let since = |time: Timestamp| {
            let seconds = now.duration_since(time).as_secs();
            duration(seconds.try_into().unwrap_or(0))
        };
        let disk = self.disk.as_ref().map(|it| {
            let percent = u128::from(it.free_bytes) * 100 / u128::from(it.size_bytes.max(1));
            format!("{percent} % of {}", it.mount)
        });
        let certificate = self
            .certificate_ends
            .map(|it| format!("{} days", it.duration_since(now).as_hours() / 24));
        let change = self.last_change.as_ref().map(|it| {
            let result = it.result.split(':').next().unwrap_or_default();
            format!("{} ago, {result}", since(it.time))
        });
        let shown = |it: Option<String>| it.unwrap_or_default();
        let first = [
            self.name.clone(),
            self.roles.join(","),
            shown(self.zone.clone()),
            shown(self.instance_id.clone()),
        ];
        let last = [shown(disk), shown(certificate), shown(change)];
        if self.services.is_empty() {
            let state = match self.is_reachable {
                true => "nothing of ours",
                false => "not reachable",
            };
            let middle = ["-", state, "", "", ""].map(str::to_owned);
            return vec![[first.as_slice(), &middle, &last].concat()];
        }
        let nothing = |it: &[String]| vec![String::new(); it.len()];
        let services = self.services.iter().enumerate();
        let rows = services.map(|(at, it)| {
            let state = match (it.state.as_str(), it.is_healthy) {
                ("active", Some(true)) => "healthy",
                ("active", Some(false)) => "not healthy",
                (state, _) => state,
            };
            let middle = [
                it.name.clone(),
                state.to_owned(),
                shown(it.since.map(since)),
                it.restarts.to_string(),
                shown(it.version.clone()),
            ];
            if at == 0 {
                [first.as_slice(), &middle, &last].concat()
            } else {
                [nothing(&first), middle.to_vec(), nothing(&last)].concat()
            }
        });
        rows.collect()
    }
}
