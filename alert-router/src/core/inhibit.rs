//! Which alerts are kept quiet by others (Alertmanager's `inhibit`): for each rule, the sources by what a target must have in common
//! with them, so that a target is looked up and not searched for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::store::Store;
use crate::{
    alert::{Alert, Fingerprint, Pairs},
    config::{Config, InhibitRule},
};

/// The sources of every rule.
#[derive(Debug, Default)]
pub(super) struct Inhibitor {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    rule: Arc<InhibitRule>,
    sources: BTreeMap<Vec<String>, BTreeSet<Fingerprint>>,
}

impl Inhibitor {
    pub(super) fn new(config: &Config, store: &Store) -> Self {
        let rules = config.inhibit_rules.iter().map(|rule| Rule {
            rule: Arc::clone(rule),
            sources: BTreeMap::new(),
        });
        let mut inhibitor = Self {
            rules: rules.collect(),
        };
        for (_, alert) in store.iter() {
            inhibitor.add(alert);
        }
        inhibitor
    }

    /// Notes an alert that is held.
    pub(super) fn add(&mut self, alert: &Alert) {
        for rule in &mut self.rules {
            if rule.rule.is_source(&alert.labels) {
                let values = rule.rule.values(&alert.labels);
                let sources = rule.sources.entry(values).or_default();
                sources.insert(alert.fingerprint());
            }
        }
    }

    /// Forgets an alert that is held no more.
    pub(super) fn remove(&mut self, alert: &Alert) {
        for rule in &mut self.rules {
            let values = rule.rule.values(&alert.labels);
            if let Some(sources) = rule.sources.get_mut(&values) {
                sources.remove(&alert.fingerprint());
                if sources.is_empty() {
                    rule.sources.remove(&values);
                }
            }
        }
    }

    /// The alert that keeps another quiet now; of several, that of the first rule.
    pub(super) fn inhibited_by(
        &self,
        labels: &Pairs,
        store: &Store,
        now: Timestamp,
    ) -> Option<Fingerprint> {
        self.rules.iter().find_map(|Rule { rule, sources }| {
            if !rule.is_target(labels) {
                return None;
            }
            // Alerts that are both do not silence each other, nor themselves.
            let both = rule.is_source(labels);
            let sources = sources.get(&rule.values(labels))?;
            let fires = |source: &&Fingerprint| {
                let held = store.get(**source).filter(|it| !it.resolved(now));
                held.is_some_and(|it| !both || !rule.is_target(&it.labels))
            };
            sources.iter().find(fires).copied()
        })
    }
}
