//! Whether a Prometheus has loaded the rules that it was given, and can evaluate each.

use std::{collections::BTreeMap, time::Instant};

use anyhow::Context as _;
use serde::Deserialize;

use super::{Step, files, until_well};
use crate::{
    network::Node,
    remote::Remote,
    see::{Site, prometheus},
};

/// Where a rule stands, and its name: file, group, alert or record. Some have the same, with other labels.
type Counted = BTreeMap<(String, String, String), usize>;

/// A file of rules.
#[derive(Deserialize)]
struct Rendered {
    groups: Vec<RenderedGroup>,
}

#[derive(Deserialize)]
struct RenderedGroup {
    name: String,
    rules: Vec<RenderedRule>,
}

#[derive(Deserialize)]
struct RenderedRule {
    alert: Option<String>,
    record: Option<String>,
}

/// What Prometheus says.
#[derive(Deserialize)]
struct Loaded {
    groups: Vec<LoadedGroup>,
}

#[derive(Deserialize)]
struct LoadedGroup {
    name: String,
    file: String,
    rules: Vec<LoadedRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoadedRule {
    name: String,
    /// `ok`, `err`, or `unknown` before the first evaluation.
    health: String,
    #[serde(default)]
    last_error: String,
}

pub(super) async fn step(
    site: &Site,
    node: &Node,
    remote: &Remote,
    end: Instant,
) -> anyhow::Result<Step> {
    let folders = ["prometheus/rules", "prometheus/own-rules"];
    let mut expected = Counted::new();
    for file in folders.iter().flat_map(|it| files(site, node, it)) {
        let text = String::from_utf8_lossy(&file.content);
        count(&mut expected, &file.path, &text).with_context(|| file.path.clone())?;
    }
    let tunnel = site.tunnel(remote, node, "prometheus").await?;
    let (what, problems) = until_well(end, async || {
        let loaded: Loaded = prometheus(&tunnel, "/api/v1/rules").await?;
        let mut problems = problems(&expected, &loaded);
        let metrics = tunnel.text(Some("/metrics")).await?;
        let failed = "prometheus_config_last_reload_successful 0";
        if metrics.lines().any(|it| it == failed) {
            problems.push("it could not read its files anew, and works with older ones".to_owned());
        }
        let rules: usize = loaded.groups.iter().map(|it| it.rules.len()).sum();
        Ok((format!("{rules} are loaded and evaluated"), problems))
    })
    .await?;
    Ok(Step::of("rules", node, what, problems))
}

fn count(all: &mut Counted, path: &str, text: &str) -> anyhow::Result<()> {
    let file: Rendered = serde_saphyr::from_str(text)?;
    for group in file.groups {
        for rule in group.rules {
            let name = rule.alert.or(rule.record).context("a rule has no name")?;
            let place = (path.to_owned(), group.name.clone(), name);
            *all.entry(place).or_default() += 1;
        }
    }
    Ok(())
}

fn problems(expected: &Counted, loaded: &Loaded) -> Vec<String> {
    let mut found = Counted::new();
    let mut problems = Vec::new();
    for group in &loaded.groups {
        for rule in &group.rules {
            let name = &rule.name;
            let place = (group.file.clone(), group.name.clone(), name.clone());
            *found.entry(place).or_default() += 1;
            match rule.health.as_str() {
                "ok" => {}
                "err" => problems.push(format!("{name} cannot be evaluated: {}", rule.last_error)),
                _ => problems.push(format!("{name} was not evaluated yet")),
            }
        }
    }
    let missing = expected.iter().filter(|it| found.get(it.0) != Some(it.1));
    for ((file, group, name), count) in missing {
        let has = found.get(&(file.clone(), group.clone(), name.clone()));
        problems.push(format!(
            "{name} of {group} in {file} should be there {count} times, and is {} times",
            has.unwrap_or(&0)
        ));
    }
    let strange = found.keys().filter(|it| !expected.contains_key(it));
    for (file, group, name) in strange {
        problems.push(format!(
            "{name} of {group} in {file} is none of those that were installed"
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{Counted, Loaded, count, problems};

    const FILE: &str = "groups:\n- name: g\n  rules:\n  - {record: r, expr: vector(1), labels: {a: b}}\n  - {record: r, expr: vector(2)}\n  - {alert: A, expr: up == 0}\n";

    #[test]
    fn those_that_were_rendered() {
        let mut expected = Counted::new();
        count(&mut expected, "/f", FILE).unwrap();
        let check = |rules: &str, expect: &[&str]| {
            let text =
                format!(r#"{{"groups": [{{"name": "g", "file": "/f", "rules": [{rules}]}}]}}"#);
            let loaded: Loaded = serde_json::from_str(&text).unwrap();
            assert_eq!(problems(&expected, &loaded), expect);
        };
        let r = r#"{"name": "r", "health": "ok"}"#;
        check(
            &format!(r#"{r}, {r}, {{"name": "A", "health": "ok", "lastError": ""}}"#),
            &[],
        );
        check(
            &format!(r#"{r}, {{"name": "A", "health": "err", "lastError": "many-to-many"}}"#),
            &[
                "A cannot be evaluated: many-to-many",
                "r of g in /f should be there 2 times, and is 1 times",
            ],
        );
        check(
            &format!(r#"{r}, {r}, {{"name": "B", "health": "unknown"}}"#),
            &[
                "B was not evaluated yet",
                "A of g in /f should be there 1 times, and is 0 times",
                "B of g in /f is none of those that were installed",
            ],
        );
    }

    #[test]
    fn files_that_are_none() {
        assert!(
            count(
                &mut Counted::new(),
                "/f",
                "groups: [{name: g, rules: [{expr: x}]}]"
            )
            .is_err()
        );
        assert!(count(&mut Counted::new(), "/f", "- x").is_err());
    }
}
