//! Alerts that are told of together, and when that is.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;

use super::{Retry, Status, retry, status};
use crate::{
    alert::{Alert, Fingerprint, Pairs, after},
    config::{Integration, Route},
    template::go_quoted,
};

/// Tells a group from every other: its route, and what its alerts have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupKey {
    route: String,
    labels: String,
}

impl GroupKey {
    pub(super) fn new(route: &Route, labels: &Pairs) -> Self {
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| format!("{name}={}", go_quoted(value)))
            .collect();
        Self {
            route: route.key.clone(),
            labels: format!("{{{}}}", labels.join(", ")),
        }
    }
}

/// As Alertmanager writes it: `{}/{severity="critical"}:{alertname="AgentDown"}`.
impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.route, self.labels)
    }
}

/// An integration, whatever configuration it stands in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IntegrationKey {
    receiver: String,
    name: &'static str,
    index: usize,
}

impl IntegrationKey {
    pub(super) fn of(integration: &Integration) -> Self {
        Self {
            receiver: integration.receiver.clone(),
            name: integration.name(),
            index: integration.index,
        }
    }
}

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) route: Arc<Route>,
    pub(crate) labels: Pairs,
    pub(crate) alerts: BTreeMap<Fingerprint, Alert>,
    next_flush: Timestamp,
    flushed: bool,
    deliveries: BTreeMap<IntegrationKey, Delivery>,
}

/// A notification that has not arrived yet.
#[derive(Debug, Default)]
struct Delivery {
    under_way: bool,
    failures: u32,
    retry_at: Option<Timestamp>,
}

impl Group {
    pub(super) fn new(route: Arc<Route>, labels: Pairs, now: Timestamp) -> Self {
        let next_flush = after(now, route.group_wait);
        Self {
            route,
            labels,
            alerts: BTreeMap::new(),
            next_flush,
            flushed: false,
            deliveries: BTreeMap::new(),
        }
    }

    pub(super) fn insert(&mut self, alert: Alert, now: Timestamp) {
        // An alert that has waited elsewhere (in another alert-router, before a restart) does not wait again.
        if !self.flushed && after(alert.starts_at, self.route.group_wait) < now {
            self.next_flush = now;
        }
        self.alerts.insert(alert.fingerprint(), alert);
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let retries = self.deliveries.values().filter(|it| !it.under_way);
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
        self.flushed = true;
        self.next_flush = after(now, self.route.group_interval);
        true
    }

    /// Firing before resolved, then by start, then by labels.
    pub(super) fn snapshot(&self, now: Timestamp) -> Vec<(Fingerprint, Alert, Status)> {
        let mut alerts: Vec<_> = self
            .alerts
            .iter()
            .map(|(fingerprint, alert)| (*fingerprint, alert.clone(), status(alert, now)))
            .collect();
        alerts.sort_by(|(_, a, first), (_, b, second)| {
            (first, a.starts_at, &a.labels).cmp(&(second, b.starts_at, &b.labels))
        });
        alerts
    }

    pub(super) fn retry_is_due(&self, integration: &IntegrationKey, now: Timestamp) -> bool {
        let delivery = self.deliveries.get(integration);
        delivery
            .and_then(|it| it.retry_at)
            .is_some_and(|it| it <= now)
    }

    /// Notes that a notification leaves, and counts the try.
    pub(super) fn start(&mut self, integration: IntegrationKey) -> u32 {
        let delivery = self.deliveries.entry(integration).or_default();
        delivery.under_way = true;
        delivery.retry_at = None;
        delivery.failures.saturating_add(1)
    }

    /// Notes that there is nothing to tell.
    pub(super) fn sent(&mut self, integration: &IntegrationKey) {
        self.deliveries.remove(integration);
    }

    /// Notes that there is nothing to try again.
    pub(super) fn quiet(&mut self, integration: &IntegrationKey) {
        if self
            .deliveries
            .get(integration)
            .is_some_and(|it| !it.under_way)
        {
            self.deliveries.remove(integration);
        }
    }

    pub(super) fn failed(&mut self, integration: &IntegrationKey, retry: Retry, now: Timestamp) {
        let delivery = self.deliveries.entry(integration.clone()).or_default();
        delivery.under_way = false;
        delivery.failures = delivery.failures.saturating_add(1);
        delivery.retry_at = retry::next(retry, delivery.failures, now);
    }

    /// Takes out the resolved alerts once the group was looked at and everybody was told; gives them.
    pub(super) fn settle(&mut self, now: Timestamp) -> Vec<Alert> {
        if !self.flushed || !self.deliveries.is_empty() {
            return Vec::new();
        }
        // An alert that ended after the group was last looked at is for the next time.
        let looked = self.looked_at();
        let is_gone =
            |it: &Alert| it.resolved(now) && it.ends_at <= looked && it.updated_at <= looked;
        let (gone, kept) = std::mem::take(&mut self.alerts)
            .into_iter()
            .partition(|(_, it)| is_gone(it));
        self.alerts = kept;
        let gone: BTreeMap<Fingerprint, Alert> = gone;
        gone.into_values().collect()
    }

    /// When the group was last looked at, once it was.
    fn looked_at(&self) -> Timestamp {
        let interval =
            jiff::SignedDuration::try_from(self.route.group_interval).unwrap_or_default();
        self.next_flush
            .saturating_sub(interval)
            .unwrap_or(Timestamp::MIN)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.flushed && self.deliveries.is_empty()
    }

    pub(super) fn holds(&self, fingerprint: Fingerprint) -> bool {
        self.alerts.contains_key(&fingerprint)
    }
}
