//! Alerts that keep others quiet: `inhibit_rules`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::route::matchers;
use crate::{alert::Pairs, matcher::Matcher};

/// While an alert of the source fires, those of the target that agree with it in some labels are not told of.
#[derive(Debug)]
pub(crate) struct InhibitRule {
    source: Vec<Matcher>,
    target: Vec<Matcher>,
    equal: Vec<String>,
}

/// The shape of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InhibitFile {
    /// For people alone.
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(default)]
    source_matchers: Vec<String>,
    #[serde(default)]
    source_match: BTreeMap<String, String>,
    #[serde(default)]
    source_match_re: BTreeMap<String, String>,
    #[serde(default)]
    target_matchers: Vec<String>,
    #[serde(default)]
    target_match: BTreeMap<String, String>,
    #[serde(default)]
    target_match_re: BTreeMap<String, String>,
    #[serde(default)]
    equal: Vec<String>,
}

impl InhibitFile {
    pub(super) fn check(self) -> Result<InhibitRule, String> {
        let source = matchers(
            "inhibit_rules.source_matchers",
            &self.source_matchers,
            self.source_match,
            self.source_match_re,
        )?;
        let target = matchers(
            "inhibit_rules.target_matchers",
            &self.target_matchers,
            self.target_match,
            self.target_match_re,
        )?;
        if self.equal.iter().any(String::is_empty) {
            return Err("inhibit_rules.equal: an empty label name".to_owned());
        }
        Ok(InhibitRule {
            source,
            target,
            equal: self.equal,
        })
    }
}

impl InhibitRule {
    pub(crate) fn is_source(&self, labels: &Pairs) -> bool {
        self.source.iter().all(|it| it.matches(labels))
    }

    pub(crate) fn is_target(&self, labels: &Pairs) -> bool {
        self.target.iter().all(|it| it.matches(labels))
    }

    /// The values in which source and target must agree; a missing label is an empty one.
    pub(crate) fn values(&self, labels: &Pairs) -> Vec<String> {
        let value = |name: &String| labels.get(name).cloned().unwrap_or_default();
        self.equal.iter().map(value).collect()
    }
}
