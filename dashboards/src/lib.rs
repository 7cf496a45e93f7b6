//! What people look at and are woken by: Grafana dashboards, Prometheus rules, and a runbook for every alert. All of it is data
//! made by [`render`]; `cargo run -p dashboards` writes the files that are checked in.

mod alerts;
mod cassandra;
pub mod grafana;
mod ledger;
mod monitoring;
mod node;
mod nodes;
mod overview;
mod query;
mod rules;
mod runbooks;
mod tables;
mod traefik;

use std::collections::BTreeMap;

pub use query::{Asked, Query, asked, queries};
pub use rules::{Threshold, thresholds};
pub use runbooks::RUNBOOKS;

/// The runbooks that everybody can read.
pub const PUBLIC_RUNBOOKS: &str =
    "https://github.com/scalar-labs/scalar-dl-monitoring/blob/main/docs/runbooks/{alert}.md";

/// What an environment decides. The default is for whoever imports the files by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where runbooks are, without a slash at the end; the alert's name follows, or takes the place of `{alert}`.
    pub runbook_base_url: String,
    /// Where Grafana is, without a slash at the end; None leaves the links to dashboards out.
    pub dashboard_base_url: Option<String>,
    /// When alerts fire, by their names; of an alert that is missing here, at once.
    pub thresholds: BTreeMap<String, Threshold>,
    /// Commands that alert-router's `repair_commands` have here.
    pub repairs: Vec<&'static str>,
    /// Groups of rules that are left out, since nothing here is what they are about.
    pub without: Vec<&'static str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            runbook_base_url: PUBLIC_RUNBOOKS.to_owned(),
            dashboard_base_url: Some("http://127.0.0.1:3000".to_owned()),
            thresholds: thresholds(),
            repairs: vec!["install", "recover", "start"],
            without: Vec::new(),
        }
    }
}

impl Settings {
    /// Whether the first of an alert's words for its repair is a command here.
    fn can(&self, repair: &str) -> bool {
        let command = repair.split(' ').next().unwrap_or_default();
        self.repairs.contains(&command)
    }

    /// Where an alert's runbook is.
    #[must_use]
    pub fn runbook(&self, alert: &str) -> String {
        let base = &self.runbook_base_url;
        if base.contains("{alert}") {
            base.replace("{alert}", alert)
        } else {
            format!("{base}/{alert}")
        }
    }
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// Everything, rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Dashboards as JSON, to be imported or provisioned.
    pub grafana: Vec<File>,
    /// Rules as YAML, to be loaded by Prometheus.
    pub rules: Vec<File>,
}

/// Renders everything for an environment.
#[must_use]
pub fn render(settings: &Settings) -> Rendered {
    Rendered {
        grafana: dashboards().iter().map(grafana::file).collect(),
        rules: rules::files(settings),
    }
}

/// The dashboards, in the order of their files.
#[must_use]
pub fn dashboards() -> Vec<grafana::Dashboard> {
    vec![
        alerts::dashboard(),
        tables::dashboard(),
        cassandra::dashboard(),
        ledger::dashboard(),
        monitoring::dashboard(),
        node::dashboard(),
        nodes::dashboard(),
        overview::dashboard(),
        traefik::dashboard(),
    ]
}
