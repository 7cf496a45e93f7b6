//! Whether a Prometheus scrapes what it should, and all of it answers.

use std::{collections::BTreeSet, time::Instant};

use anyhow::Context as _;
use serde::Deserialize;

use super::{Step, files, until_well};
use crate::{
    network::Node,
    remote::Remote,
    see::{Site, Target, targets},
};

/// A part of a file of targets.
#[derive(Deserialize)]
struct Group {
    targets: Vec<String>,
    labels: Labels,
}

#[derive(Deserialize)]
struct Labels {
    instance: String,
}

pub(super) async fn step(
    site: &Site,
    node: &Node,
    remote: &Remote,
    end: Instant,
) -> anyhow::Result<Step> {
    let expected = expected(site, node)?;
    let tunnel = site.tunnel(remote, node, "prometheus").await?;
    let (what, problems) = until_well(end, async || {
        let found = targets(&tunnel).await?;
        Ok((
            format!("{} are up", found.len()),
            problems(&expected, &found),
        ))
    })
    .await?;
    Ok(Step::of("targets", node, what, problems))
}

/// What is wrong with the targets of one node.
pub(super) async fn of_node(
    site: &Site,
    monitor: &Node,
    remote: &Remote,
    name: &str,
    end: Instant,
) -> anyhow::Result<Vec<String>> {
    let mut expected = expected(site, monitor)?;
    expected.retain(|it| it.1 == name);
    let tunnel = site.tunnel(remote, monitor, "prometheus").await?;
    let (_, problems) = until_well(end, async || {
        let mut found = targets(&tunnel).await?;
        found.retain(|it| it.instance == name);
        Ok((String::new(), problems(&expected, &found)))
    })
    .await?;
    Ok(problems)
}

/// Job and instance of each.
fn expected(site: &Site, node: &Node) -> anyhow::Result<BTreeSet<(String, String)>> {
    let mut all = BTreeSet::new();
    for file in files(site, node, "prometheus/targets") {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let job = name.strip_suffix(".json").unwrap_or(name);
        let groups: Vec<Group> =
            serde_json::from_slice(&file.content).with_context(|| file.path.clone())?;
        for group in groups.iter().filter(|it| !it.targets.is_empty()) {
            all.insert((job.to_owned(), group.labels.instance.clone()));
        }
    }
    Ok(all)
}

fn problems(expected: &BTreeSet<(String, String)>, found: &[Target]) -> Vec<String> {
    let mut problems = Vec::new();
    for (job, instance) in expected {
        let is_it = |it: &&Target| it.job == *job && it.instance == *instance;
        if !found.iter().any(|it| is_it(&it)) {
            problems.push(format!("{job} of {instance} is not scraped"));
        }
    }
    for Target {
        job,
        instance,
        health,
        error,
    } in found.iter().filter(|it| it.health != "up")
    {
        let why = match error.is_empty() {
            true => String::new(),
            false => format!(": {error}"),
        };
        problems.push(format!("{job} of {instance} is {health}{why}"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{Target, problems};

    #[test]
    fn missing_and_down() {
        let expected = [("node", "a"), ("node", "b")];
        let expected = expected.map(|it| (it.0.to_owned(), it.1.to_owned())).into();
        let target = |job: &str, instance: &str, health: &str, error: &str| Target {
            job: job.to_owned(),
            instance: instance.to_owned(),
            health: health.to_owned(),
            error: error.to_owned(),
        };
        let a = target("node", "a", "up", "");
        let check = |found: &[Target], expect: &[&str]| {
            assert_eq!(problems(&expected, found), expect);
        };
        check(&[a.clone(), target("node", "b", "up", "")], &[]);
        check(
            &[
                a,
                target("mine", "x", "down", "refused"),
                target("mine", "y", "unknown", ""),
            ],
            &[
                "node of b is not scraped",
                "mine of x is down: refused",
                "mine of y is unknown",
            ],
        );
    }
}
