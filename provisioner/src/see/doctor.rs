//! `provisioner doctor`: every check of every node, and the command that helps; or the diagnosis of one alert.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::json;

use super::{
    checks::{CHECKS, Check, Finding, named},
    facts::{Depth, Facts, Site, gather},
};
use crate::{
    install::{chosen, runtime},
    network::Node,
    output,
    roles::runbook,
};

/// `provisioner doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorFlags {
    /// Nodes or roles; all without
    #[arg(conflicts_with = "alert")]
    targets: Vec<String>,
    /// The diagnosis of an alert, by its name
    #[arg(long, value_name = "NAME", requires = "instance")]
    alert: Option<String>,
    /// The alert's instance: the node's name
    #[arg(long, value_name = "NODE", requires = "alert")]
    instance: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A line. These are the keys of the JSON.
#[derive(Debug, Serialize)]
struct Line {
    node: String,
    check: &'static str,
    is_problem: bool,
    what: String,
    /// A command that can be pasted.
    todo: Option<String>,
}

/// What to look at when an alert fires, and what helps when nothing of it shows why.
struct Diagnosis {
    alert: &'static str,
    checks: &'static [&'static str],
    /// After `provisioner -e …`, with the node's name in place of `{}`.
    next: &'static str,
}

/// Sorted by name.
const DIAGNOSES: &[Diagnosis] = &[
    Diagnosis {
        alert: "AgentDown",
        checks: &["ssh", "services", "ports", "certificates", "disks", "drift"],
        // All of its programs answer us, so it is the way between Prometheus and the node.
        next: "doctor monitor",
    },
    Diagnosis {
        alert: "CertificateEndsSoon",
        checks: &["ssh", "certificates", "drift", "last change"],
        next: "install {}",
    },
    Diagnosis {
        alert: "HostCpuHigh",
        checks: &["ssh", "load", "services"],
        next: "ssh {} 'top -b -n 1 | head -n 20'",
    },
    Diagnosis {
        alert: "HostDiskFillingUp",
        checks: &["ssh", "disks", "mounts"],
        next: "ssh {} 'sudo du -xh --max-depth=2 / | sort -h | tail -n 20'",
    },
    Diagnosis {
        alert: "HostDiskSpaceCritical",
        checks: &["ssh", "disks", "mounts"],
        next: "ssh {} df -h",
    },
    Diagnosis {
        alert: "HostDiskSpaceLow",
        checks: &["ssh", "disks", "mounts"],
        next: "ssh {} df -h",
    },
    Diagnosis {
        alert: "HostDown",
        checks: &["ssh", "clock", "services", "ports"],
        // It is up, and so is what Prometheus asks: the way between them is not.
        next: "doctor monitor",
    },
    Diagnosis {
        alert: "LedgerDown",
        checks: &["ssh", "services", "failed units", "disks", "mounts", "load"],
        next: "ssh {} 'sudo podman ps --all || sudo docker ps --all'",
    },
    Diagnosis {
        alert: "LedgerFlaps",
        checks: &["ssh", "services", "failed units", "disks", "mounts", "load"],
        next: "logs {} scalardl",
    },
    Diagnosis {
        alert: "SystemdServiceFailed",
        checks: &["ssh", "failed units", "disks", "mounts"],
        next: "ssh {} systemctl --failed",
    },
    Diagnosis {
        alert: "Watchdog",
        checks: &["ssh", "services", "disks", "targets", "delivery"],
        next: "logs {} prometheus",
    },
];

/// Checks, and says what to do.
pub(crate) fn doctor(folder: &Path, flags: &DoctorFlags) -> anyhow::Result<ExitCode> {
    let site = Site::load(folder, true)?;
    let asked = match (&flags.alert, &flags.instance) {
        (Some(alert), Some(instance)) => Some((Diagnosis::of(&site, alert)?, instance.as_str())),
        _ => None,
    };
    let (nodes, checks): (_, Vec<_>) = match asked {
        Some((diagnosis, instance)) => {
            let checks = diagnosis.checks.iter().filter_map(|it| named(it));
            (with_bastion(&site, instance)?, checks.collect())
        }
        None => {
            let nodes = chosen(&site.network, &flags.targets)?;
            (nodes, CHECKS.iter().collect())
        }
    };
    let site = Arc::new(site);
    let facts = runtime()?.block_on(gather(&site, nodes, Depth::Everything))?;
    let lines = lines(&site, &facts, &checks);
    let next = asked.map(|(diagnosis, instance)| diagnosis.next(&site, &lines, instance));
    let link = asked.map(|(diagnosis, _)| runbook(&site.network, diagnosis.alert));
    let link = link.transpose()?;
    if flags.json {
        let json = json!({
            "problem": site.trouble,
            "checks": lines,
            "next": next,
            "runbook": link,
        });
        output::say(serde_json::to_string_pretty(&json)?);
    } else {
        say(&site, &lines);
        if let (Some(next), Some(link)) = (&next, &link) {
            output::say(format!("\nnext: {next}\nrunbook: {link}"));
        }
    }
    let is_well = site.trouble.is_none() && !lines.iter().any(|it| it.is_problem);
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn lines(site: &Site, facts: &[Facts], checks: &[&'static Check]) -> Vec<Line> {
    let mut lines = Vec::new();
    for facts in facts {
        for check in checks {
            for Finding {
                is_problem,
                what,
                todo,
            } in (check.of)(facts, site)
            {
                lines.push(Line {
                    node: facts.node.name.clone(),
                    check: check.name,
                    is_problem,
                    what,
                    todo,
                });
            }
        }
    }
    lines
}

fn say(site: &Site, lines: &[Line]) {
    if let Some(trouble) = &site.trouble {
        output::say(format!("not all is known: {trouble}"));
    }
    let mut rows = vec![
        ["NODE", "CHECK", "RESULT", "WHAT", "TO DO"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for line in lines {
        let result = if line.is_problem { "problem" } else { "ok" };
        rows.push(vec![
            line.node.clone(),
            line.check.to_owned(),
            result.to_owned(),
            line.what.clone(),
            line.todo.clone().unwrap_or_default(),
        ]);
    }
    output::table(&rows);
}

/// The node, after the one that the way leads over.
fn with_bastion(site: &Site, instance: &str) -> anyhow::Result<Vec<Node>> {
    let mut nodes = site.network.nodes.iter();
    let node = nodes.find(|it| it.name == instance);
    let node = node.with_context(|| format!("{instance} is none of this environment's nodes"))?;
    let is_wanted = |it: &&Node| it.name == node.name || node.bastion.as_ref() == Some(&it.name);
    let mut wanted: Vec<_> = site.network.nodes.iter().filter(is_wanted).collect();
    wanted.sort_by_key(|it| it.name == node.name);
    Ok(wanted.into_iter().cloned().collect())
}

impl Diagnosis {
    fn of(site: &Site, alert: &str) -> anyhow::Result<&'static Self> {
        match DIAGNOSES.iter().find(|it| it.alert == alert) {
            Some(known) => Ok(known),
            None => bail!(
                "there is no diagnosis of {alert}; its runbook is {}",
                runbook(&site.network, alert)?
            ),
        }
    }

    /// What helps with the first problem of the way to the node, or of the node.
    fn next(&self, site: &Site, lines: &[Line], instance: &str) -> String {
        let of_node = lines.iter().filter(|it| it.node == instance);
        let of_way = lines
            .iter()
            .filter(|it| it.node != instance && it.check == "ssh");
        let mut problems = of_way.chain(of_node).filter(|it| it.is_problem);
        let todo = problems.find_map(|it| it.todo.clone());
        todo.unwrap_or_else(|| format!("{} {}", site.command, self.next.replace("{}", instance)))
    }
}

#[cfg(test)]
mod tests {
    use super::{CHECKS, DIAGNOSES, named};

    #[test]
    fn diagnoses_are_of_alerts_that_there_are() {
        for it in DIAGNOSES {
            let known = dashboards::RUNBOOKS.iter().any(|known| known.0 == it.alert);
            assert!(known, "{}", it.alert);
            for check in it.checks {
                assert!(named(check).is_some(), "{check}");
            }
        }
        assert!(DIAGNOSES.is_sorted_by_key(|it| it.alert));
        let names: std::collections::BTreeSet<_> = CHECKS.iter().map(|it| it.name).collect();
        assert_eq!(names.len(), CHECKS.len());
    }
}
