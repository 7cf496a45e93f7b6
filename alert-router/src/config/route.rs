//! The tree that leads an alert to its receivers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    section::{Record, Value},
    yaml::Mistake,
};
use crate::{
    alert::{Labels, Pairs},
    calendar::TimeIntervals,
    matcher::{Matcher, Mode, Operator},
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
    /// The matchers from the root on, as Alertmanager names a route; others may have the same.
    pub(crate) key: String,
    /// Tells it from every other, also from those of another configuration: the receiver, the key, and a number where both are
    /// those of a route before it.
    pub(crate) name: String,
    /// Its place in the tree, depth first, the root last: as Alertmanager counts, so that of two routes the same number is the
    /// same route.
    pub(crate) index: usize,
    /// For templates; those of the routes above are among them.
    pub(crate) labels: Pairs,
    /// Nobody is told while one of them lasts.
    pub(crate) mute_time_intervals: Vec<Arc<TimeIntervals>>,
    /// When there are any, people are told only while one of them lasts.
    pub(crate) active_time_intervals: Vec<Arc<TimeIntervals>>,
    pub(crate) digest: Option<Digest>,
}

/// `digest:` of a route: when more groups than that fire within the window, each receiver gets one digest in their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) groups: usize,
    pub(crate) window: Duration,
}

/// Which alerts are told of together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupBy {
    /// `...`: those with the same labels, that is, each for itself.
    All,
    /// Those that agree in these.
    Labels(Vec<String>),
}

/// What a route takes from the one above it.
#[derive(Clone)]
struct Inherited {
    receiver: String,
    group_by: GroupBy,
    group_wait: Duration,
    group_interval: Duration,
    repeat_interval: Duration,
    labels: Pairs,
    digest: Option<Digest>,
    key: String,
}

/// What routes name, and how labels are named.
pub(super) struct Known<'a> {
    pub(super) receivers: &'a [&'a str],
    pub(super) intervals: &'a BTreeMap<String, Arc<TimeIntervals>>,
    pub(super) mode: Mode,
}

/// What is counted while the tree is walked.
#[derive(Default)]
struct Counts {
    routes: usize,
    /// Of each name.
    names: BTreeMap<String, usize>,
}

/// Checks the whole tree.
pub(super) fn route(root: &Record, known: &Known<'_>) -> Result<Route, Mistake> {
    if !root.has("receiver") {
        return Err(root.wrong("receiver", "route: the first route needs a receiver"));
    }
    for key in ["matchers", "match", "match_re"] {
        if root.has(key) {
            let reason = "route: the first route takes every alert: it must have no matchers";
            return Err(root.wrong(key, reason));
        }
    }
    for key in ["mute_time_intervals", "active_time_intervals"] {
        if root.has(key) {
            let reason = format!("route: the first route must not have {key}");
            return Err(root.wrong(key, reason));
        }
    }
    if root.flag("continue") {
        let reason = "route: the first route must not have continue";
        return Err(root.wrong("continue", reason));
    }
    let defaults = Inherited {
        receiver: String::new(),
        group_by: GroupBy::Labels(Vec::new()),
        group_wait: Duration::from_secs(30),
        group_interval: Duration::from_secs(5 * 60),
        repeat_interval: Duration::from_secs(4 * 3600),
        labels: Pairs::new(),
        digest: None,
        key: String::new(),
    };
    inherit(root, &defaults, known, &mut Counts::default())
}

fn inherit(
    it: &Record,
    above: &Inherited,
    known: &Known<'_>,
    counts: &mut Counts,
) -> Result<Route, Mistake> {
    let mut here = above.clone();
    if let Some(receiver) = it.some_text("receiver") {
        if !known.receivers.contains(&receiver.as_str()) {
            let reason =
                format!("route: the receiver {receiver:?} is not defined; add it to receivers");
            return Err(it.wrong("receiver", reason));
        }
        here.receiver = receiver;
    }
    if let Value::Texts(labels) = it.get("group_by") {
        here.group_by =
            group_by(labels, known.mode).map_err(|reason| it.wrong("group_by", reason))?;
    }
    here.group_wait = it.span("group_wait").unwrap_or(here.group_wait);
    for (key, value) in [
        ("group_interval", &mut here.group_interval),
        ("repeat_interval", &mut here.repeat_interval),
    ] {
        if let Some(given) = it.span(key) {
            if given.is_zero() {
                let reason = format!("route.{key} must be longer than zero");
                return Err(it.wrong(key, reason));
            }
            *value = given;
        }
    }
    for (name, text) in it.pairs("labels") {
        if !known.mode.is_label_name(&name) {
            let reason = format!("route.labels: {name:?} is no name of a label");
            return Err(it.wrong("labels", reason));
        }
        here.labels.insert(name, text);
    }
    if let Some(digest) = it.record("digest") {
        here.digest = Some(Digest {
            groups: usize::try_from(digest.count("groups")).unwrap_or(usize::MAX),
            window: digest.span("window").unwrap_or_default(),
        });
    }
    let matchers = matchers(it, "matchers", "match", "match_re")?;
    let texts: Vec<_> = matchers.iter().map(ToString::to_string).collect();
    let separator = if here.key.is_empty() { "" } else { "/" };
    here.key = format!("{}{separator}{{{}}}", here.key, texts.join(","));
    let intervals = |key: &str| {
        let named = it.texts(key).iter().map(|name| {
            known.intervals.get(name).cloned().ok_or_else(|| {
                let reason =
                    format!("route.{key}: {name:?} is not defined; add it to time_intervals");
                it.wrong(key, reason)
            })
        });
        named.collect::<Result<Vec<_>, _>>()
    };
    let (mute, active) = (
        intervals("mute_time_intervals")?,
        intervals("active_time_intervals")?,
    );
    let routes = it.records("routes").iter();
    let routes: Result<Vec<_>, _> = routes
        .map(|it| inherit(it, &here, known, counts).map(Arc::new))
        .collect();
    let routes = routes?;
    let index = counts.routes;
    counts.routes += 1;
    let mut name = format!("{} {}", here.receiver, here.key);
    let twins = counts.names.entry(name.clone()).or_default();
    if *twins > 0 {
        name.push_str(&format!("#{twins}"));
    }
    *twins += 1;
    Ok(Route {
        receiver: here.receiver,
        matchers,
        group_by: here.group_by,
        group_wait: here.group_wait,
        group_interval: here.group_interval,
        repeat_interval: here.repeat_interval,
        goes_on: it.flag("continue"),
        routes,
        key: here.key,
        name,
        index,
        labels: here.labels,
        mute_time_intervals: mute,
        active_time_intervals: active,
        digest: here.digest,
    })
}

/// Matchers in their form of today and in the older ones, in Alertmanager's order.
pub(super) fn matchers(
    it: &Record,
    new: &str,
    equal: &str,
    regex: &str,
) -> Result<Vec<Matcher>, Mistake> {
    let mut matchers = it.matchers(new).to_vec();
    // Alertmanager keeps the whole expression as the value, and so it stands in keys of groups.
    let whole = |text: String| format!("^(?:{text})$");
    let equals = it.pairs(equal).into_iter().map(|it| (it, Operator::Equal));
    let regexes = it.pairs(regex).into_iter();
    let regexes = regexes.map(|(name, text)| ((name, whole(text)), Operator::Regex));
    for ((name, value), operator) in equals.chain(regexes) {
        let matcher = Matcher::new(name, operator, value);
        matchers.push(matcher.map_err(|error| it.wrong(regex, format!("{regex}: {error}")))?);
    }
    matchers.sort_by(Matcher::order);
    Ok(matchers)
}

fn group_by(labels: &[String], mode: Mode) -> Result<GroupBy, String> {
    let all = |it: &String| it == "...";
    if labels.iter().any(all) {
        return if labels.iter().all(all) {
            Ok(GroupBy::All)
        } else {
            Err("route.group_by: '...' must stand alone".to_owned())
        };
    }
    for (at, label) in labels.iter().enumerate() {
        if !mode.is_label_name(label) {
            return Err(format!("route.group_by: {label:?} is no name of a label"));
        }
        if labels.iter().take(at).any(|it| it == label) {
            return Err(format!("route.group_by: {label:?} is given twice"));
        }
    }
    Ok(GroupBy::Labels(labels.to_vec()))
}

impl Route {
    /// The routes that an alert takes: the deepest that match, the next ones too where `continue` says so.
    pub(crate) fn matching(self: &Arc<Self>, labels: &(impl Labels + ?Sized)) -> Vec<Arc<Self>> {
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
}
