//! Which alerts are kept quiet by others (Alertmanager's `inhibit`): for each rule, the sources by what a target must have in common
//! with them, so that a target is looked up and not searched for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::store::Store;
use crate::{
    alert::{Fingerprint, packed::Packed},
    config::{Config, InhibitRule},
};

/// The sources of every rule.
#[derive(Debug, Default)]
pub(crate) struct Inhibitor {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    rule: Arc<InhibitRule>,
    sources: BTreeMap<Vec<String>, Sources>,
}

/// Apart, because alerts that are both do not inhibit each other: a storm of such is not walked for each of them.
#[derive(Debug, Default)]
struct Sources {
    only: BTreeSet<Fingerprint>,
    also_targets: BTreeSet<Fingerprint>,
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
        for (_, held) in store.after(None) {
            inhibitor.add(held.fingerprint, &held.texts);
        }
        inhibitor
    }

    /// Notes an alert that is held.
    pub(super) fn add(&mut self, fingerprint: Fingerprint, labels: &Packed) {
        for Rule { rule, sources } in &mut self.rules {
            if rule.is_source(labels) {
                let sources = sources.entry(rule.values(labels)).or_default();
                if rule.is_target(labels) {
                    sources.also_targets.insert(fingerprint);
                } else {
                    sources.only.insert(fingerprint);
                }
            }
        }
    }

    /// Forgets an alert that is held no more.
    pub(super) fn remove(&mut self, fingerprint: Fingerprint, labels: &Packed) {
        for Rule { rule, sources } in &mut self.rules {
            if !rule.is_source(labels) {
                continue;
            }
            let values = rule.values(labels);
            if let Some(some) = sources.get_mut(&values) {
                some.only.remove(&fingerprint);
                some.also_targets.remove(&fingerprint);
                if some.only.is_empty() && some.also_targets.is_empty() {
                    sources.remove(&values);
                }
            }
        }
    }

    /// The alert that keeps another quiet now; of several, that of the first rule.
    pub(crate) fn inhibited_by(
        &self,
        labels: &Packed,
        store: &Store,
        now: Timestamp,
    ) -> Option<Fingerprint> {
        self.rules.iter().find_map(|Rule { rule, sources }| {
            if sources.is_empty() || !rule.is_target(labels) {
                return None;
            }
            let sources = sources.get(&rule.values(labels))?;
            let fires = |source: &&Fingerprint| {
                let held = store.by_fingerprint(**source);
                held.is_some_and(|it| !it.life.resolved(now))
            };
            let found = sources.only.iter().find(fires);
            // Alerts that are both do not silence each other, nor themselves.
            let found = found.or_else(|| {
                let others = (!rule.is_source(labels)).then_some(&sources.also_targets);
                others?.iter().find(fires)
            });
            found.copied()
        })
    }
}
