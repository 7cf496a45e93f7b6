//! Storms: when many groups of a route fire at once, one message tells of all of them (`digest:` of a route).

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;

use super::{Reason, group::GroupId};
use crate::{
    alert::{after, since},
    config::Route,
};

/// Alerts in one digest.
pub(super) const MAX_ALERTS: usize = 10_000;
/// Times that are remembered of one route.
const MAX_RECENT: usize = 10_000;

/// The storms of every route, by its number.
#[derive(Debug, Default)]
pub(super) struct Digests(BTreeMap<usize, Storm>);

#[derive(Debug, Default)]
struct Storm {
    /// When groups began, or had news.
    recent: VecDeque<Timestamp>,
    /// What the next digest tells of.
    lines: Vec<(GroupId, usize)>,
    due: Option<Timestamp>,
}

impl Digests {
    /// Notes that a group begins.
    pub(super) fn began(&mut self, route: &Route, now: Timestamp) {
        if route.digest.is_some() {
            self.0.entry(route.index).or_default().note(now);
        }
    }

    /// When a digest will tell of a group in its own message's place; None when there is no storm.
    pub(super) fn takes(
        &mut self,
        route: &Route,
        reason: Reason,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let digest = route.digest?;
        let storm = self.0.entry(route.index).or_default();
        // A group's first news were noted when it began, a while before it is looked at.
        let window = match reason {
            Reason::First => digest.window.saturating_add(route.group_wait),
            Reason::NewAlerts | Reason::AllResolved | Reason::NewResolved | Reason::Repeat => {
                storm.note(now);
                digest.window
            }
        };
        if storm.count(window, now) <= digest.groups {
            return None;
        }
        Some(storm.due.unwrap_or_else(|| after(now, digest.window)))
    }

    pub(super) fn add(&mut self, route: usize, line: (GroupId, usize), due: Timestamp) {
        let storm = self.0.entry(route).or_default();
        storm.lines.push(line);
        storm.due = Some(storm.due.map_or(due, |it| it.min(due)));
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.0.values().filter_map(|it| it.due).min()
    }

    /// The lines of the next digest that is due.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Vec<(GroupId, usize)>> {
        let is_due = |it: &&mut Storm| it.due.is_some_and(|it| it <= now);
        let storm = self.0.values_mut().find(is_due)?;
        storm.due = None;
        Some(std::mem::take(&mut storm.lines))
    }
}

impl Storm {
    fn note(&mut self, now: Timestamp) {
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
    }

    fn count(&self, window: Duration, now: Timestamp) -> usize {
        let recent = self.recent.iter().rev();
        recent.take_while(|it| since(now, **it) <= window).count()
    }
}
