//! The tree that leads an alert to its receivers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Deserialize;

use super::{NotYet, Span};
use crate::{
    alert::Pairs,
    matcher::{Matcher, Operator},
};

/// A route with everything that it inherits.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) receiver: String,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) group_by: GroupBy,
    pub(crate) group_wait: Duration,
    pub(crate) group_interval: Duration,
    pub(crate) repeat_interval: Duration,
    pub(crate) goes_on: bool,
    pub(crate) routes: Vec<Arc<Self>>,
    /// Tells it from every other: the matchers from the root on.
    pub(crate) key: String,
}

/// Which alerts are told of together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupBy {
    /// `...`: those with the same labels, that is, each for itself.
    All,
    /// Those that agree in these.
    Labels(Vec<String>),
}

/// The shape of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteFile {
    receiver: Option<String>,
    #[serde(default)]
    matchers: Vec<String>,
    #[serde(default, rename = "match")]
    equal: BTreeMap<String, String>,
    #[serde(default)]
    match_re: BTreeMap<String, String>,
    group_by: Option<Vec<String>>,
    group_wait: Option<Span>,
    group_interval: Option<Span>,
    repeat_interval: Option<Span>,
    #[serde(default, rename = "continue")]
    goes_on: bool,
    #[serde(default)]
    routes: Vec<Self>,
    #[expect(dead_code, reason = "refused when given")]
    mute_time_intervals: Option<NotYet>,
    #[expect(dead_code, reason = "refused when given")]
    active_time_intervals: Option<NotYet>,
}

/// What a route takes from the one above it.
#[derive(Clone)]
struct Inherited {
    receiver: String,
    group_by: GroupBy,
    group_wait: Duration,
    group_interval: Duration,
    repeat_interval: Duration,
    key: String,
}

impl RouteFile {
    /// Checks the whole tree.
    pub(super) fn check(self, receivers: &[&str]) -> Result<Route, String> {
        if self.receiver.as_deref().unwrap_or("").is_empty() {
            return Err("route: the first route needs a receiver".to_owned());
        }
        if !self.matchers.is_empty() || !self.equal.is_empty() || !self.match_re.is_empty() {
            return Err(
                "route: the first route takes every alert: it must have no matchers".to_owned(),
            );
        }
        if self.goes_on {
            return Err("route: the first route must not have continue".to_owned());
        }
        let defaults = Inherited {
            receiver: String::new(),
            group_by: GroupBy::Labels(Vec::new()),
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(5 * 60),
            repeat_interval: Duration::from_secs(4 * 3600),
            key: String::new(),
        };
        self.inherit(&defaults, receivers)
    }

    fn inherit(self, above: &Inherited, receivers: &[&str]) -> Result<Route, String> {
        let mut here = above.clone();
        if let Some(receiver) = self.receiver.filter(|it| !it.is_empty()) {
            here.receiver = receiver;
        }
        if !receivers.contains(&here.receiver.as_str()) {
            return Err(format!(
                "route: the receiver {:?} is not defined; add it to receivers",
                here.receiver
            ));
        }
        if let Some(labels) = self.group_by {
            here.group_by = group_by(labels)?;
        }
        here.group_wait = self.group_wait.map_or(here.group_wait, |it| it.0);
        for (key, given, value) in [
            (
                "group_interval",
                self.group_interval,
                &mut here.group_interval,
            ),
            (
                "repeat_interval",
                self.repeat_interval,
                &mut here.repeat_interval,
            ),
        ] {
            if let Some(Span(duration)) = given {
                if duration.is_zero() {
                    return Err(format!("route.{key} must be longer than zero"));
                }
                *value = duration;
            }
        }
        let mut matchers = matchers("route.matchers", &self.matchers, self.equal, self.match_re)?;
        matchers.sort_by_key(ToString::to_string);
        let texts: Vec<_> = matchers.iter().map(ToString::to_string).collect();
        let separator = if here.key.is_empty() { "" } else { "/" };
        here.key = format!("{}{separator}{{{}}}", here.key, texts.join(","));
        let routes: Result<Vec<_>, String> = self
            .routes
            .into_iter()
            .map(|it| it.inherit(&here, receivers).map(Arc::new))
            .collect();
        Ok(Route {
            receiver: here.receiver,
            matchers,
            group_by: here.group_by,
            group_wait: here.group_wait,
            group_interval: here.group_interval,
            repeat_interval: here.repeat_interval,
            goes_on: self.goes_on,
            routes: routes?,
            key: here.key,
        })
    }
}

/// Matchers in their form of today and in the older ones.
pub(super) fn matchers(
    key: &str,
    new: &[String],
    equal: BTreeMap<String, String>,
    regex: BTreeMap<String, String>,
) -> Result<Vec<Matcher>, String> {
    let old = |pairs: BTreeMap<String, String>, operator| {
        pairs
            .into_iter()
            .map(move |(name, value)| Matcher::new(name, operator, value))
    };
    let mut matchers = Vec::new();
    for some in new.iter().map(|it| Matcher::parse_all(it)) {
        matchers.extend(some.map_err(|error| format!("{key}: {error}"))?);
    }
    for one in old(equal, Operator::Equal).chain(old(regex, Operator::Regex)) {
        matchers.push(one.map_err(|error| format!("{key}: {error}"))?);
    }
    Ok(matchers)
}

fn group_by(labels: Vec<String>) -> Result<GroupBy, String> {
    if labels.iter().any(|it| it == "...") {
        return if labels.len() == 1 {
            Ok(GroupBy::All)
        } else {
            Err("route.group_by: '...' must stand alone".to_owned())
        };
    }
    for (at, label) in labels.iter().enumerate() {
        if label.is_empty() {
            return Err("route.group_by: an empty label name".to_owned());
        }
        if labels.iter().take(at).any(|it| it == label) {
            return Err(format!("route.group_by: {label:?} is given twice"));
        }
    }
    Ok(GroupBy::Labels(labels))
}

impl Route {
    /// The routes that an alert takes: the deepest that match, the next ones too where `continue` says so.
    pub(crate) fn matching(self: &Arc<Self>, labels: &Pairs) -> Vec<Arc<Self>> {
        if !self.matchers.iter().all(|it| it.matches(labels)) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for route in &self.routes {
            let deeper = route.matching(labels);
            let matched = !deeper.is_empty();
            found.extend(deeper);
            if matched && !route.goes_on {
                break;
            }
        }
        if found.is_empty() {
            found.push(Arc::clone(self));
        }
        found
    }

    /// What the alerts of a group have in common.
    pub(crate) fn group_labels(&self, labels: &Pairs) -> Pairs {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => names
                .iter()
                .filter_map(|name| Some((name.clone(), labels.get(name)?.clone())))
                .collect(),
        }
    }
}
