//! Alerts that are told of together, when that is, and what each integration of their receiver was told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    Memory,
    dedup::{News, Owed, Told},
    record::IntegrationKey,
    store::{AlertId, Store},
};
use crate::{
    alert::{Fingerprint, Labels, Life, Pairs, after},
    config::{GroupBy, Integration, Route},
    template::go_quoted,
};

/// Where a group is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupId(u32);

/// Tells a group from every other under one configuration: its route, and what its alerts have in common.
pub(super) type GroupKey = (usize, Fingerprint);

/// Of the group that takes the alerts for which there is no room for groups of their own.
pub(super) const REST: Fingerprint = Fingerprint::from_number(0);

pub(super) fn rest_labels() -> Pairs {
    Pairs::from([("group".to_owned(), "rest".to_owned())])
}

/// Whether a key may be that of a group of all the rest; a group by a label `group` may have such a key, too.
pub(super) fn may_be_rest(kept_key: &str) -> bool {
    kept_key.ends_with(&labels_text(&rest_labels()))
}

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) route: Arc<Route>,
    pub(crate) labels: Pairs,
    pub(crate) alerts: BTreeSet<AlertId>,
    /// The intervals that keep it quiet, as when it was last looked at.
    pub(crate) muted_by: Vec<String>,
    pub(super) key: GroupKey,
    pub(super) next_flush: Timestamp,
    /// When it was last looked at.
    pub(super) flushed: Option<Timestamp>,
    pub(super) lines: Vec<Line>,
    /// Something is to be looked at before the next flush.
    pub(super) poked: bool,
    scheduled: Option<Timestamp>,
}

/// An integration, and how far it is with the group.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) integration: Arc<Integration>,
    pub(super) told: Option<Told>,
    /// What it should have been told, or may have been.
    pub(super) owed: Option<Owed>,
    pub(super) memory: Memory,
    /// The notification that is on its way.
    pub(super) under_way: Option<u64>,
    /// It waits until others are told.
    pub(super) waits: bool,
    /// It stands in the queue of its integration.
    pub(super) is_queued: bool,
    /// The group was to be looked at while the notification was on its way.
    pub(super) has_missed: bool,
    /// It is to be told with others in a digest.
    pub(super) in_digest: bool,
    /// Something failed since it was last told.
    pub(super) is_open: bool,
    /// The receiver refuses what it is told.
    pub(super) is_refused: bool,
    pub(super) failures: u32,
    pub(super) failing_since: Option<Timestamp>,
    pub(super) retry_at: Option<Timestamp>,
    /// It stands in for another.
    pub(super) is_fallback: bool,
}

impl Line {
    pub(super) fn new(integration: &Arc<Integration>, is_fallback: bool) -> Self {
        Self {
            integration: Arc::clone(integration),
            told: None,
            owed: None,
            memory: Memory::new(),
            under_way: None,
            waits: false,
            is_queued: false,
            has_missed: false,
            in_digest: false,
            is_open: false,
            is_refused: false,
            failures: 0,
            failing_since: None,
            retry_at: None,
            is_fallback,
        }
    }

    /// There is nothing to tell.
    pub(super) fn rest(&mut self) {
        self.waits = false;
        self.is_open = false;
        self.is_refused = false;
        self.failures = 0;
        self.failing_since = None;
        self.retry_at = None;
    }

    /// Whether nobody waits for anything here.
    fn is_done(&self) -> bool {
        self.under_way.is_none() && !self.waits && !self.in_digest && !self.is_open
    }

    pub(super) fn is_of(&self, integration: &Integration) -> bool {
        self.integration.index == integration.index
            && self.integration.receiver == integration.receiver
            && self.integration.name() == integration.name()
    }

    /// Whether anything is kept of it.
    pub(super) fn is_known(&self) -> bool {
        self.told.is_some() || self.owed.is_some() || !self.memory.is_empty()
    }

    /// Whether somebody may believe that an alert fires.
    pub(super) fn has_heard_of(&self, alert: Fingerprint) -> bool {
        has_heard_of(self.told.as_ref(), self.owed.as_ref(), alert)
    }

    /// Whether somebody is to be told of an alert's end, now or when nothing keeps it quiet any more.
    fn waits_for_end_of(&self, alert: Fingerprint) -> bool {
        self.integration.send_resolved && self.has_heard_of(alert)
    }

    /// Notes that alerts are over, of which it is not told now; says whether it believes that any of them fires.
    pub(super) fn owe_ends(&mut self, ends: &[Fingerprint]) -> bool {
        // What it is owed once what is on its way has arrived is known already.
        let Some(told) = self.told.as_mut().filter(|_| self.under_way.is_none()) else {
            return false;
        };
        let its: Vec<_> = both(&told.firing, ends).collect();
        if its.is_empty() {
            return false;
        }
        told.firing.retain(|it| its.binary_search(it).is_err());
        if self.integration.send_resolved {
            self.owed.get_or_insert_default().add(&its, &[]);
        }
        true
    }

    /// What it was told once it hears these news.
    pub(super) fn told_then(&self, news: &News, quiet: &[Fingerprint], now: Timestamp) -> Told {
        let mut resolved = news.resolved.clone();
        // Ends that it knows are no news when they are not kept quiet any more.
        if let Some(told) = &self.told {
            resolved.extend(both(&told.resolved, quiet));
            resolved.sort_unstable();
        }
        Told {
            at: now,
            firing: news.firing.clone(),
            resolved,
            memory: self.memory.clone(),
        }
    }

    /// What it is owed once it hears news that do not tell of those that are kept quiet: how it went on with them.
    pub(super) fn rest_of(&self, quiet: &[Fingerprint]) -> Option<Owed> {
        if !self.integration.send_resolved {
            return None;
        }
        let mut rest = Owed::default();
        if let Some(owed) = &self.owed {
            let resolved: Vec<_> = both(&owed.resolved, quiet).collect();
            rest.add(&both(&owed.firing, quiet).collect::<Vec<_>>(), &resolved);
        }
        if let Some(told) = &self.told {
            rest.add(&both(&told.firing, quiet).collect::<Vec<_>>(), &[]);
        }
        (rest != Owed::default()).then_some(rest)
    }
}

/// Those of a list that are in another, which is sorted.
fn both(some: &[Fingerprint], sorted: &[Fingerprint]) -> impl Iterator<Item = Fingerprint> {
    let is_in = |it: &&Fingerprint| sorted.binary_search(it).is_ok();
    some.iter().filter(is_in).copied()
}

/// Whether somebody who was told this may believe that an alert fires.
pub(super) fn has_heard_of(told: Option<&Told>, owed: Option<&Owed>, alert: Fingerprint) -> bool {
    let told = told.map(|it| &it.firing);
    let owed = owed.map(|it| &it.firing);
    told.into_iter()
        .chain(owed)
        .any(|it| it.binary_search(&alert).is_ok())
}

pub(super) fn integration_key(integration: &Integration) -> IntegrationKey {
    IntegrationKey {
        receiver: integration.receiver.clone(),
        name: integration.name().to_owned(),
        index: integration.index,
    }
}

/// The key as Alertmanager writes it: `{}/{severity="critical"}:{alertname="AgentDown"}`.
pub(crate) fn key_text(route: &Route, labels: &Pairs) -> String {
    format!("{}:{}", route.key, labels_text(labels))
}

/// The key under which it is kept what a group was told: of two routes with the same matchers, each has its own.
pub(super) fn kept_key(route: &Route, labels: &Pairs) -> String {
    format!("{}:{}", route.name, labels_text(labels))
}

fn labels_text(labels: &Pairs) -> String {
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}={}", go_quoted(value)))
        .collect();
    format!("{{{}}}", labels.join(", "))
}

impl Group {
    pub(super) fn new(route: Arc<Route>, labels: Pairs, key: GroupKey, now: Timestamp) -> Self {
        let next_flush = after(now, route.group_wait);
        Self {
            route,
            labels,
            alerts: BTreeSet::new(),
            muted_by: Vec::new(),
            key,
            next_flush,
            flushed: None,
            lines: Vec::new(),
            poked: false,
            scheduled: None,
        }
    }

    pub(crate) fn key_text(&self) -> String {
        key_text(&self.route, &self.labels)
    }

    pub(super) fn kept_key(&self) -> String {
        kept_key(&self.route, &self.labels)
    }

    /// When it is to be looked at without anything happening.
    fn deadline(&self) -> Option<Timestamp> {
        if self.poked {
            return Some(Timestamp::MIN);
        }
        let retries = self.lines.iter().filter(|it| it.under_way.is_none());
        retries
            .filter_map(|it| it.retry_at)
            .chain([self.next_flush])
            .min()
    }

    /// Whether it is time to look at the whole group; the next time is then set.
    pub(super) fn flush_if_due(&mut self, now: Timestamp) -> bool {
        if self.next_flush > now {
            return false;
        }
        self.flushed = Some(now);
        self.next_flush = after(now, self.route.group_interval);
        true
    }

    /// Resolved alerts that everybody was told of, once the group was looked at.
    pub(super) fn settled(&self, store: &Store, now: Timestamp) -> Vec<AlertId> {
        let Some(looked) = self.flushed else {
            return Vec::new();
        };
        if !self.lines.iter().all(Line::is_done) {
            return Vec::new();
        }
        // An alert that ended after the group was last looked at is for the next time.
        let is_over =
            |it: &Life| it.resolved(now) && it.ends_at <= looked && it.updated_at <= looked;
        // One that is kept quiet stays until people can be told of its end.
        let is_told = |alert| !self.lines.iter().any(|it| it.waits_for_end_of(alert));
        let over = self.alerts.iter().filter(|id| {
            let held = store.get(**id);
            held.is_none_or(|it| is_over(&it.life) && is_told(it.fingerprint))
        });
        over.copied().collect()
    }

    pub(super) fn is_over(&self) -> bool {
        self.alerts.is_empty() && self.flushed.is_some() && self.lines.iter().all(Line::is_done)
    }
}

/// What the alerts of a group have in common.
pub(super) fn group_labels<'a>(
    route: &Route,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
) -> Vec<(&'a str, &'a str)> {
    match &route.group_by {
        GroupBy::All => labels.collect(),
        GroupBy::Labels(names) => labels
            .filter(|(name, _)| names.iter().any(|it| it == name))
            .collect(),
    }
}

/// All groups: by place, by key, and by when they are to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    held: Vec<Option<Group>>,
    free: Vec<GroupId>,
    by_key: BTreeMap<GroupKey, GroupId>,
    timers: BTreeSet<(Timestamp, GroupId)>,
}

impl Groups {
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(crate) fn get(&self, id: GroupId) -> Option<&Group> {
        self.held.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.held.get_mut(id.0 as usize)?.as_mut()
    }

    pub(super) fn find(&self, key: GroupKey) -> Option<GroupId> {
        self.by_key.get(&key).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (GroupId, &Group)> {
        let all = (0_u32..).zip(&self.held);
        all.filter_map(|(at, group)| Some((GroupId(at), group.as_ref()?)))
    }

    /// Those from a place on.
    pub(super) fn from(&self, start: u32) -> impl Iterator<Item = (u32, &Group)> {
        let skipped = self.held.iter().skip(start as usize);
        (start..)
            .zip(skipped)
            .filter_map(|(at, it)| Some((at, it.as_ref()?)))
    }

    pub(super) fn add(&mut self, group: Group) -> GroupId {
        let key = group.key;
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.held.get_mut(id.0 as usize) {
                    *place = Some(group);
                }
                id
            }
            None => {
                self.held.push(Some(group));
                GroupId(u32::try_from(self.held.len() - 1).unwrap_or(u32::MAX))
            }
        };
        self.by_key.insert(key, id);
        self.schedule(id);
        id
    }

    pub(super) fn remove(&mut self, id: GroupId) -> Option<Group> {
        let group = self.held.get_mut(id.0 as usize)?.take()?;
        self.by_key.remove(&group.key);
        if let Some(at) = group.scheduled {
            self.timers.remove(&(at, id));
        }
        self.free.push(id);
        Some(group)
    }

    /// Sets the clock for a group anew; to be called when anything about its times has changed.
    pub(super) fn schedule(&mut self, id: GroupId) {
        let Some(group) = self.held.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let deadline = group.deadline();
        if deadline == group.scheduled {
            return;
        }
        if let Some(before) = std::mem::replace(&mut group.scheduled, deadline) {
            self.timers.remove(&(before, id));
        }
        if let Some(at) = deadline {
            self.timers.insert((at, id));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|it| it.0)
    }

    /// The next group that is to be looked at.
    pub(super) fn due(&self, now: Timestamp) -> Option<GroupId> {
        self.timers
            .first()
            .filter(|(at, _)| *at <= now)
            .map(|it| it.1)
    }
}

/// Alertmanager's order of alerts (`alert.AlertSlice`): by job, by instance, by labels.
pub(crate) fn order(a: &Pairs, b: &Pairs) -> std::cmp::Ordering {
    for name in ["job", "instance"] {
        let by = match (a.value(name), b.value(name)) {
            (None, None) => continue,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(_), None) => std::cmp::Ordering::Less,
            (Some(a), Some(b)) => a.cmp(b),
        };
        if by.is_ne() {
            return by;
        }
    }
    label_order(a, b)
}

/// The order of label sets (Prometheus' `common/model`, `LabelSet.Before`): fewer labels first; then the first name that only one
/// has decides, for that which has it not, or the first value that differs.
pub(crate) fn label_order(a: &Pairs, b: &Pairs) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| {
        let differing = a.iter().zip(b).find(|(a, b)| a != b);
        differing.map_or(std::cmp::Ordering::Equal, |((a, its), (b, others))| {
            b.cmp(a).then_with(|| its.cmp(others))
        })
    })
}
