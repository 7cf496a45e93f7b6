//! The rules: what is recorded, what wakes people, and what they are told. `thresholds.toml` says from when on.

mod agent;
mod alert_router;
mod cassandra;
mod host;
mod ledger;
mod prometheus;
mod traefik;

use std::{borrow::Cow, collections::BTreeMap};

use crate::{File, Settings};

/// Each is a file, in the order in which they are read about.
const GROUPS: &[Group] = &[
    host::GROUP,
    agent::GROUP,
    cassandra::GROUP,
    ledger::GROUP,
    traefik::GROUP,
    alert_router::GROUP,
    prometheus::GROUP,
];
const THRESHOLDS: &str = include_str!("../thresholds.toml");

/// A file of rules. They are evaluated one after the other, so that alerts see what has just been recorded.
struct Group {
    /// What it is about; the file is `<name>.rules.yml`.
    name: &'static str,
    recordings: &'static [Recording],
    alerts: &'static [Alert],
}

/// A recording rule.
struct Recording {
    record: &'static str,
    expr: &'static str,
}

/// An alert. `{for}` in its texts is how long it must be so, THRESHOLD in its expression beyond what.
struct Alert {
    name: &'static str,
    expr: &'static str,
    severity: &'static str,
    summary: &'static str,
    description: &'static str,
    /// The dashboard to look at, `scalardl-<this>`, and those of its variables besides `cluster` that the alert has a label for.
    dashboard: &'static str,
    variables: &'static [&'static str],
    /// Words that alert-router makes a command of, where the environment has it.
    repair: Option<&'static str>,
}

/// When an alert fires.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// How long it must be so, as Prometheus writes it (`30s`).
    pub r#for: String,
    /// Beyond what; the unit is the alert's own. None of an alert that is so or not.
    pub threshold: Option<f64>,
}

/// The thresholds of every alert, by its name: `thresholds.toml`.
#[must_use]
pub fn thresholds() -> BTreeMap<String, Threshold> {
    // That it can be read is held by a test.
    toml::from_str(THRESHOLDS).unwrap_or_default()
}

/// The names of all alerts.
#[cfg(test)]
pub(crate) fn names() -> Vec<&'static str> {
    alerts().map(|it| it.name).collect()
}

#[cfg(test)]
fn alerts() -> impl Iterator<Item = &'static Alert> {
    GROUPS.iter().flat_map(|it| it.alerts)
}

/// A file for each group that is wanted.
pub(crate) fn files(settings: &Settings) -> Vec<File> {
    let is_wanted = |group: &&Group| !settings.without.contains(&group.name);
    let groups = GROUPS.iter().filter(is_wanted);
    groups.map(|it| it.render(settings)).collect()
}

impl Group {
    fn render(&self, settings: &Settings) -> File {
        let name = self.name;
        let mut text = format!(
            "# Rendered by `cargo run -p dashboards` from dashboards/src/rules; changes here are lost.\ngroups:\n- name: {name}.alerts\n  rules:\n"
        );
        for rule in self.recordings {
            let expr = quoted(rule.expr);
            text.push_str(&format!("  - record: {}\n    expr: {expr}\n", rule.record));
        }
        for alert in self.alerts {
            text.push_str(&alert.render(settings));
        }
        File {
            name: format!("{name}.rules.yml"),
            text,
        }
    }
}

impl Alert {
    fn render(&self, settings: &Settings) -> String {
        let limit = settings.thresholds.get(self.name);
        let lasts = limit.map_or("0s", |it| it.r#for.as_str());
        let told = |text: &str| quoted(&text.replace("{for}", lasts));
        let expr = match limit.and_then(|it| it.threshold) {
            Some(threshold) => Cow::from(self.expr.replace("THRESHOLD", &threshold.to_string())),
            None => Cow::from(self.expr),
        };
        let mut text = format!(
            "  - alert: {}\n    expr: {}\n    for: {lasts}\n    labels:\n      severity: {}\n    annotations:\n      summary: {}\n      description: {}\n      runbook_url: {}\n",
            self.name,
            quoted(&expr),
            self.severity,
            told(self.summary),
            told(self.description),
            quoted(&settings.runbook(self.name)),
        );
        if let Some(value) = self.value() {
            text.push_str(&format!("      value: {}\n", quoted(&value)));
        }
        if let Some(base) = &settings.dashboard_base_url {
            let dashboard = quoted(&self.dashboard(base));
            text.push_str(&format!("      dashboard: {dashboard}\n"));
        }
        if let Some(repair) = self.repair.filter(|it| settings.can(it)) {
            text.push_str(&format!("      repair: {}\n", quoted(repair)));
        }
        text
    }

    /// What was measured, as the texts say it first.
    fn value(&self) -> Option<String> {
        const BEGIN: &str = "{{ $value";
        [self.summary, self.description].into_iter().find_map(|it| {
            let (_, rest) = it.split_once(BEGIN)?;
            let (form, _) = rest.split_once("}}")?;
            Some(format!("{BEGIN}{form}}}}}"))
        })
    }

    fn dashboard(&self, base: &str) -> String {
        let mut link = format!("{base}/d/scalardl-{}", self.dashboard);
        // The watchdog is of no network.
        let cluster = (self.severity != "none").then_some("cluster");
        let variables = cluster.iter().chain(self.variables);
        for (at, variable) in variables.enumerate() {
            let before = if at == 0 { '?' } else { '&' };
            link.push_str(&format!(
                "{before}var-{variable}={{{{ $labels.{variable} }}}}"
            ));
        }
        link
    }
}

/// A text as YAML takes it in double quotes: JSON's form is one of those.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{alerts, thresholds};
    use crate::Settings;

    /// Each alert has its own threshold, and none is left over; one is asked for where one is given.
    #[test]
    fn every_alert_has_a_threshold() {
        let thresholds = thresholds();
        let names: BTreeSet<_> = alerts().map(|it| it.name).collect();
        assert_eq!(
            thresholds.keys().map(String::as_str).collect::<Vec<_>>(),
            names.iter().copied().collect::<Vec<_>>()
        );
        for alert in alerts() {
            let asks = alert.expr.contains("THRESHOLD");
            let has = thresholds[alert.name].threshold.is_some();
            assert_eq!(asks, has, "{}", alert.name);
        }
    }

    /// Every command that alerts ask for is there for whoever imports the files, and none that no alert asks for.
    #[test]
    fn every_repair_has_a_command() {
        let repairs = alerts().filter_map(|it| it.repair);
        let names: BTreeSet<_> = repairs.filter_map(|it| it.split(' ').next()).collect();
        assert_eq!(Settings::default().repairs, Vec::from_iter(names));
    }

    #[test]
    fn severities() {
        for alert in alerts() {
            let known = ["critical", "warning", "info"].contains(&alert.severity);
            assert_eq!(known, alert.name != "Watchdog", "{}", alert.name);
        }
    }
}
