//! `provisioner verify`: whether everything works, from the targets that are scraped to the people who are told.

mod closed;
mod dashboards;
mod rules;
mod targets;

use std::{
    collections::BTreeSet,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    alerts::{self, Outcome, Router},
    desired::{CONFIGURATION, File},
    install::runtime,
    network::Node,
    output::{self, one_line},
    remote::{Remote, Remotes},
    see::{Site, each},
};

/// Between looks at what takes a while: a scrape does 15 s.
const LOOK: Duration = Duration::from_secs(1);

/// For what takes a while: seconds.
const TIMEOUT: u64 = 120;

/// `provisioner verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyFlags {
    /// How long to wait for scrapes, and for each receiver to be told of the alert's start and of its end, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Tell nobody
    #[arg(long)]
    no_alert: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Default for VerifyFlags {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            no_alert: false,
            json: false,
        }
    }
}

/// What was looked at. These are the keys of the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Step {
    step: &'static str,
    node: Option<String>,
    result: Verdict,
    /// What is well, or why it was left out.
    what: String,
    problems: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Failed,
    LeftOut,
}

impl Step {
    /// Well when there is no problem.
    fn of(step: &'static str, node: &Node, what: impl Into<String>, problems: Vec<String>) -> Self {
        let result = match problems.is_empty() {
            true => Verdict::Ok,
            false => Verdict::Failed,
        };
        Self {
            step,
            node: Some(node.name.clone()),
            result,
            what: what.into(),
            problems,
        }
    }

    fn failed(step: &'static str, node: &Node, problem: impl Into<String>) -> Self {
        Self::of(step, node, "", vec![problem.into()])
    }

    fn left_out(step: &'static str, why: impl Into<String>) -> Self {
        Self {
            step,
            node: None,
            result: Verdict::LeftOut,
            what: why.into(),
            problems: Vec::new(),
        }
    }

    fn row(&self) -> Vec<String> {
        let result = match self.result {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAILED",
            Verdict::LeftOut => "left out",
        };
        let what = if self.problems.is_empty() {
            self.what.clone()
        } else {
            self.problems.join("; ")
        };
        let node = self.node.clone().unwrap_or_default();
        vec![self.step.to_owned(), node, result.to_owned(), what]
    }
}

/// A node with the connection to it, when there is one.
struct Reached {
    node: Node,
    remote: Result<Remote, String>,
    steps: Vec<Step>,
}

/// Looks at everything and reports.
pub(crate) fn verify(folder: &Path, flags: &VerifyFlags) -> anyhow::Result<ExitCode> {
    let site = Arc::new(Site::installed(folder)?);
    let timeout = Duration::from_secs(flags.timeout);
    let steps = runtime()?.block_on(async {
        let remotes = Arc::new(Remotes::open(&site.network)?);
        let its = Arc::clone(&site);
        let nodes = site.network.nodes.clone();
        let reached = each(&remotes, nodes, move |node, remote| {
            let site = Arc::clone(&its);
            async move {
                let remote =
                    remote.map_err(|error| one_line(&format!("{:#}", anyhow::Error::from(error))));
                let steps = closed::steps(&site, &node, remote.as_ref()).await;
                Reached {
                    node,
                    remote,
                    steps,
                }
            }
        });
        let reached = reached.await;
        let outside = closed::outside(&site);
        let watched = watched(&site, &reached, timeout);
        let alert = async {
            match flags.no_alert {
                true => vec![Step::left_out("alert", "--no-alert")],
                false => alert(&site, &reached, timeout).await,
            }
        };
        // The alert takes the longest.
        let (outside, watched, alert) = tokio::join!(outside, watched, alert);
        let closed = reached.into_iter().flat_map(|it| it.steps);
        let all = watched.into_iter().chain(alert);
        anyhow::Ok(all.chain(closed).chain(outside).collect::<Vec<_>>())
    })?;
    if flags.json {
        output::say(serde_json::to_string_pretty(&steps)?);
    } else {
        let mut rows = vec![
            ["STEP", "NODE", "RESULT", "WHAT"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(steps.iter().map(Step::row));
        output::table(&rows);
    }
    let is_well = !steps.iter().any(|it| it.result == Verdict::Failed);
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What Prometheus still does not hear of a node after a time; nothing when it hears all of it, or there is none to ask.
pub(crate) fn heard(folder: &Path, name: &str, timeout: Duration) -> anyhow::Result<Vec<String>> {
    let site = Site::installed(folder)?;
    let end = Instant::now() + timeout;
    runtime()?.block_on(async {
        let remotes = Remotes::open(&site.network)?;
        for monitor in site.with("prometheus") {
            let remote = remotes.connect(monitor).await?;
            let problems = targets::of_node(&site, monitor, &remote, name, end).await?;
            if !problems.is_empty() {
                return Ok(problems);
            }
        }
        Ok(Vec::new())
    })
}

/// Targets, rules and dashboards, on every monitor that should have them.
async fn watched(site: &Site, reached: &[Reached], timeout: Duration) -> Vec<Step> {
    let end = Instant::now() + timeout;
    let mut steps = Vec::new();
    for (step, program) in [
        ("targets", "prometheus"),
        ("rules", "prometheus"),
        ("dashboards", "grafana"),
    ] {
        let with: BTreeSet<_> = site.with(program).map(|it| &it.name).collect();
        if with.is_empty() {
            steps.push(Step::left_out(step, format!("there is no {program}")));
        }
        for Reached { node, remote, .. } in reached {
            if !with.contains(&node.name) {
                continue;
            }
            let asked = async {
                let remote = remote.as_ref().map_err(|it| anyhow::anyhow!("{it}"))?;
                match step {
                    "targets" => targets::step(site, node, remote, end).await,
                    "rules" => rules::step(site, node, remote, end).await,
                    _ => dashboards::step(site, node, remote).await,
                }
            };
            let found = asked.await;
            steps
                .push(found.unwrap_or_else(|error| Step::failed(step, node, format!("{error:#}"))));
        }
    }
    steps
}

/// Tells every receiver of an alert, and of its end.
async fn alert(site: &Site, reached: &[Reached], timeout: Duration) -> Vec<Step> {
    let program = "alert-router";
    let with: BTreeSet<_> = site.with(program).map(|it| &it.name).collect();
    let mut steps = Vec::new();
    for Reached { node, remote, .. } in reached {
        if !with.contains(&node.name) {
            continue;
        }
        let told = async {
            let remote = remote.as_ref().map_err(|it| anyhow::anyhow!("{it}"))?;
            let tunnel = site.tunnel(remote, node, program).await?;
            let router = Router::through(program.to_owned(), tunnel);
            let receivers = router.receivers().await?;
            if receivers.is_empty() {
                return Ok(Step::left_out("alert", "nobody is to be told of alerts"));
            }
            output::note("a test alert is on its way to every receiver; its end follows");
            let outcomes = router.test(alerts::CRITICAL, timeout).await?;
            anyhow::Ok(of_outcomes(node, &receivers, &outcomes))
        };
        let told = told.await;
        steps.push(told.unwrap_or_else(|error| Step::failed("alert", node, format!("{error:#}"))));
    }
    if steps.is_empty() {
        steps.push(Step::left_out("alert", format!("there is no {program}")));
    }
    steps
}

fn of_outcomes(node: &Node, receivers: &BTreeSet<String>, outcomes: &[Outcome]) -> Step {
    let mut problems = Vec::new();
    for it in outcomes.iter().filter(|it| it.status != "sent") {
        let way = &it.way;
        problems.push(format!(
            "{} by {}[{}] ({}): {} {}",
            way.receiver, way.integration, way.index, it.what, it.status, it.error
        ));
    }
    for receiver in receivers {
        if !outcomes.iter().any(|it| it.way.receiver == *receiver) {
            problems.push(format!("no route leads a critical alert to {receiver}"));
        }
    }
    let firing = outcomes.iter().filter(|it| it.what == "firing");
    let ways: Vec<_> = firing
        .map(|it| {
            let seconds = it.seconds.unwrap_or_default();
            format!(
                "{} by {} after {seconds:.1} s",
                it.way.receiver, it.way.integration
            )
        })
        .collect();
    let what = format!("told, and of the end, too: {}", ways.join(", "));
    Step::of("alert", node, what, problems)
}

/// Files that a node's program should have, in a folder of its own.
fn files<'a>(
    site: &'a Site,
    node: &Node,
    folder: &str,
) -> impl Iterator<Item = &'a File> + use<'a> {
    let start = format!("{CONFIGURATION}/{folder}/");
    let desired = site.desired.get(&node.name);
    let files = desired.into_iter().flat_map(|it| &it.files);
    files.filter(move |it| it.path.starts_with(&start))
}

/// Looks again until there is no problem, or the time is over.
async fn until_well(
    end: Instant,
    mut look: impl AsyncFnMut() -> anyhow::Result<(String, Vec<String>)>,
) -> anyhow::Result<(String, Vec<String>)> {
    loop {
        let found = look().await;
        let is_well = found.as_ref().is_ok_and(|it| it.1.is_empty());
        if is_well || Instant::now() >= end {
            return found;
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::of_outcomes;
    use crate::{
        alerts::{Outcome, Way},
        network::Node,
    };

    #[test]
    fn every_receiver() {
        let outcome = |receiver: &str, status: &str| Outcome {
            way: Way {
                receiver: receiver.to_owned(),
                integration: "slack".to_owned(),
                index: 0,
            },
            what: "firing",
            status: status.to_owned(),
            seconds: Some(1.0),
            error: "refused".to_owned(),
        };
        let check = |outcomes: &[Outcome], expect: &[&str]| {
            let receivers = ["pager", "team"].map(str::to_owned).into();
            let step = of_outcomes(&Node::named("n"), &receivers, outcomes);
            assert_eq!(step.problems, expect);
        };
        check(&[outcome("pager", "sent"), outcome("team", "sent")], &[]);
        check(
            &[outcome("team", "failed")],
            &[
                "team by slack[0] (firing): failed refused",
                "no route leads a critical alert to pager",
            ],
        );
    }
}
