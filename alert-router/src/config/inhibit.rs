//! Alerts that keep others quiet: `inhibit_rules`.

use super::{route::matchers, section::Record, yaml::Mistake};
use crate::{
    alert::Labels,
    matcher::{Matcher, Mode},
};

/// While an alert of the source fires, those of the target that agree with it in some labels are not told of.
#[derive(Debug)]
pub(crate) struct InhibitRule {
    source: Vec<Matcher>,
    target: Vec<Matcher>,
    equal: Vec<String>,
}

pub(super) fn rule(it: &Record, mode: Mode) -> Result<InhibitRule, Mistake> {
    let equal = it.texts("equal").to_vec();
    if let Some(name) = equal.iter().find(|name| !mode.is_label_name(name)) {
        let reason = format!("inhibit_rules.equal: {name:?} is no name of a label");
        return Err(it.wrong("equal", reason));
    }
    Ok(InhibitRule {
        source: matchers(it, "source_matchers", "source_match", "source_match_re")?,
        target: matchers(it, "target_matchers", "target_match", "target_match_re")?,
        equal,
    })
}

impl InhibitRule {
    pub(crate) fn is_source(&self, labels: &(impl Labels + ?Sized)) -> bool {
        self.source.iter().all(|it| it.matches(labels))
    }

    pub(crate) fn is_target(&self, labels: &(impl Labels + ?Sized)) -> bool {
        self.target.iter().all(|it| it.matches(labels))
    }

    /// The values in which source and target must agree; a missing label is an empty one.
    pub(crate) fn values(&self, labels: &(impl Labels + ?Sized)) -> Vec<String> {
        let value = |name: &String| labels.value(name).unwrap_or_default().to_owned();
        self.equal.iter().map(value).collect()
    }
}
