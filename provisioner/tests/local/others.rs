//! What other people's dashboards and alerts ask of our programs, whole queries where their files can be had.

use std::fs;

use promql_parser::parser;
use serde_json::Value;
use testkit::{eventually, root};

use super::panels::{PATIENCE_OF_PANELS, leaves_out};

/// What other people's dashboards ask for is there, too: our programs take the place of those that they were made for.
pub(crate) fn find_theirs(has: &dyn Fn(&str) -> bool) {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let ours = read("node-exporter/metrics.tsv");
    let is_ours = |metric: &str| ours.lines().any(|it| it.split('\t').next() == Some(metric));
    let asked = read("dashboards/others/asked.tsv");
    let mut found = 0;
    for line in asked.lines() {
        let [dashboard, metric, why] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let job = match dashboard {
            "alertmanager-mixin" => "alert-router",
            "node-exporter-full" => "node",
            "traefik-17346" => "traefik",
            _ => panic!("{line}"),
        };
        let expr = format!("{metric}{{job=\"{job}\"}}");
        match why.split(':').next().unwrap() {
            "" => {
                let what = format!("{dashboard} finds {metric}");
                eventually(&what, PATIENCE_OF_PANELS, || has(&expr).then_some(()));
                found += 1;
            }
            // This machine may have it or not; the program knows it.
            "flag" | "hardware" | "kernel" => assert!(is_ours(metric), "{line}"),
            "nobody" => assert!(!has(&expr) && !is_ours(metric), "{line}"),
            _ => panic!("{line}"),
        }
    }
    assert!(found > 180, "{found}");
    for (what, expr) in traefik().into_iter().chain(mixin()) {
        let parsed = parser::parse(&expr).unwrap_or_else(|it| panic!("{what}: {it}: {expr}"));
        if leaves_out(&parsed) {
            // It must be understood all the same.
            has(&expr);
        } else {
            let what = format!("{what} has data: {expr}");
            eventually(&what, PATIENCE_OF_PANELS, || has(&expr).then_some(()));
        }
    }
}

/// Every query of the dashboards in Traefik's repository, of which 17346 is one, with what Grafana writes into its variables.
fn traefik() -> Vec<(String, String)> {
    let folder = parts::go_source("github.com/traefik/traefik/v3", "v3.7.13").unwrap();
    let mut found = Vec::new();
    for name in ["traefik", "traefik-kubernetes"] {
        let path = folder.join(format!("contrib/grafana/{name}.json"));
        let dashboard: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let of = |it: &Value| it["panels"].as_array().cloned().unwrap_or_default();
        // Some are within a row.
        let panels = of(&dashboard);
        let within: Vec<_> = panels.iter().flat_map(of).collect();
        for panel in panels.iter().chain(&within) {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expr = target["expr"].as_str().unwrap();
                let expr = expr
                    .replace("$interval", "1m")
                    .replace("$entrypoint", ".*")
                    .replace("$service", ".*");
                found.push((format!("{name}: {}", panel["title"]), expr));
            }
        }
    }
    assert!(found.len() > 25, "{found:?}");
    found
}

/// Every query of Alertmanager's mixin, its dashboard's and its alerts', for our job. What is between them is Jsonnet's, which needs no more here.
fn mixin() -> Vec<(String, String)> {
    let folder = parts::go_source("github.com/prometheus/alertmanager", "v0.34.1").unwrap();
    let read =
        |name: &str| fs::read_to_string(folder.join("doc/alertmanager-mixin").join(name)).unwrap();
    let ours = |text: &str| {
        let job = r#"job="alert-router""#;
        let mut text = text.replace("%%", "%").replace("$__rate_interval", "1m");
        for (name, value) in [
            ("%(alertmanagerClusterLabels)s", "job"),
            ("%(alertmanagerCriticalIntegrationsRegEx)s", ".*"),
            ("%(alertmanagerNameLabels)s", "instance"),
            ("%(alertmanagerSelector)s", job),
            ("%(amQuerySelector)s", job),
            ("$integration", "slack"),
        ] {
            text = text.replace(name, value);
        }
        assert!(!text.contains("%("), "{text}");
        text
    };
    // A text of one line, or of several.
    let first = |text: &str| {
        let text = text.trim_start();
        let (mark, text) = match text.strip_prefix("|||") {
            Some(text) => ("|||", text),
            None => ("'", text.strip_prefix('\'').unwrap()),
        };
        ours(text.split_once(mark).unwrap().0)
    };
    let dashboard = read("dashboards/overview.libsonnet");
    let queries = dashboard.split("prometheus.new(").skip(1);
    let queries = queries.map(|it| first(it.trim_start().strip_prefix("'$datasource',").unwrap()));
    let alerts = read("alerts.libsonnet");
    let rules = alerts.split("expr:").skip(1).map(first);
    let queries: Vec<_> = queries.map(|it| ("mixin".to_owned(), it)).collect();
    let rules: Vec<_> = rules.map(|it| ("mixin's alert".to_owned(), it)).collect();
    assert!(
        queries.len() >= 8 && rules.len() >= 9,
        "{queries:?} {rules:?}"
    );
    [queries, rules].concat()
}
