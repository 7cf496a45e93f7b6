//! What a dashboard asks Prometheus, with its variables resolved as Grafana does; for tests that hold panels against real data.

use serde_json::Value;

use crate::grafana::{Dashboard, Empty};

/// A panel's title, and one of its expressions as Prometheus gets it.
pub type Query = (String, String);

/// Every variable that a dashboard of ours may have.
const VARIABLES: [&str; 7] = [
    "cluster", "job", "instance", "dc", "keyspace", "service", "table",
];

/// One target of one panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The dashboard's uid after `scalardl-`.
    pub dashboard: &'static str,
    /// The panel's title.
    pub panel: &'static str,
    /// As Prometheus gets it.
    pub expr: String,
    /// Why there may be no data.
    pub empty: Option<Empty>,
}

/// Every target of the dashboards.
#[must_use]
pub fn asked(dashboards: &[Dashboard]) -> Vec<Asked> {
    let panels = dashboards.iter().flat_map(|dashboard| {
        let panels = dashboard.rows.iter().flat_map(|it| &it.panels);
        panels.map(|panel| (dashboard.uid, panel))
    });
    panels
        .flat_map(|(dashboard, panel)| {
            panel.targets.iter().map(move |target| Asked {
                dashboard,
                panel: panel.title,
                expr: resolve(&target.expr),
                empty: target.empty,
            })
        })
        .collect()
}

/// Every target of every panel of a dashboard's file, collapsed rows included. Variables that take several values become `.*`, as
/// with "All"; `$__rate_interval` is four times a scrape interval of 5 s, as Grafana's is.
#[must_use]
pub fn queries(dashboard: &Value) -> Vec<Query> {
    let mut found = Vec::new();
    let empty = Vec::new();
    let list = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_array)
            .unwrap_or(&empty)
            .clone()
    };
    for panel in list(dashboard, "panels").into_iter().flat_map(|it| {
        let inner = list(&it, "panels");
        [vec![it], inner].concat()
    }) {
        let title = panel
            .get("title")
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned();
        for target in list(&panel, "targets") {
            if let Some(expr) = target.get("expr").and_then(Value::as_str) {
                found.push((title.clone(), resolve(expr)));
            }
        }
    }
    found
}

/// Replaces the variables of the house.
fn resolve(expr: &str) -> String {
    let mut out = expr
        .replace("$__rate_interval", "20s")
        .replace("$__range", "1h")
        .replace("$__interval", "15s");
    for name in VARIABLES {
        out = out
            .replace(&format!("${{{name}:regex}}"), ".*")
            .replace(&format!("${name}"), ".*");
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::queries;

    #[test]
    fn variables_and_rows() {
        let dashboard = json!({"panels": [
            {"title": "a", "targets": [{"expr": "rate(x{instance=~\"$instance\"}[$__rate_interval])"}]},
            {"title": "row", "panels": [{"title": "b", "targets": [{"expr": "y"}, {"expr": "z{job=~\"${job:regex}\"}"}]}]},
        ]});
        let expect = [
            ("a", "rate(x{instance=~\".*\"}[20s])"),
            ("b", "y"),
            ("b", "z{job=~\".*\"}"),
        ];
        let found = queries(&dashboard);
        let found: Vec<_> = found
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(found, expect);
    }

    /// What is in the values is what is in the files.
    #[test]
    fn values_and_files_ask_the_same() {
        let dashboards = crate::dashboards();
        let values = super::asked(&dashboards)
            .into_iter()
            .map(|it| (it.panel.to_owned(), it.expr));
        let files = crate::render(&crate::Settings::default()).grafana;
        let files = files
            .iter()
            .flat_map(|it| queries(&serde_json::from_str(&it.text).unwrap()));
        assert_eq!(values.collect::<Vec<_>>(), files.collect::<Vec<_>>());
    }
}
