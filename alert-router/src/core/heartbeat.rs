//! Alerts that must be firing (`heartbeats:`): when one is missing for too long, that is an alert of its own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    alert::{Fingerprint, Life, Pairs, after, packed::Packed, since},
    config::{Config, GroupBy, Heartbeat, Route},
    matcher::Matcher,
};

/// The name of the alert that one is missing.
pub(crate) const MISSING: &str = "HeartbeatMissing";
/// Of the route that it takes.
const KEY: &str = "{}/{alertname=\"HeartbeatMissing\"}";
/// How soon its end is told.
const GROUP_INTERVAL: Duration = Duration::from_secs(30);
/// It ends when the heartbeat is back, not by itself.
const LASTS: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The share of its time after which it is noted again that a heartbeat was seen.
const NOTED: u32 = 10;

#[derive(Debug)]
pub(super) struct Heartbeats(Vec<Beat>);

#[derive(Debug)]
struct Beat {
    name: String,
    matchers: Vec<Matcher>,
    timeout: Duration,
    route: Arc<Route>,
    texts: Packed,
    seen: Timestamp,
    /// When it was last kept that it was seen.
    noted: Option<Timestamp>,
    is_missing: bool,
    /// It was seen since it was missing.
    is_back: bool,
}

/// What changed.
#[derive(Debug)]
pub(super) enum Turn {
    Missing {
        beat: u32,
        texts: Packed,
        life: Life,
    },
    Back {
        fingerprint: Fingerprint,
    },
}

impl Beat {
    fn new(heartbeat: &Heartbeat, number: usize, config: &Config, now: Timestamp) -> Self {
        let name = heartbeat.name.clone();
        let labels = Pairs::from([
            ("alertname".to_owned(), MISSING.to_owned()),
            ("heartbeat".to_owned(), name.clone()),
            ("severity".to_owned(), "critical".to_owned()),
        ]);
        let timeout = heartbeat.timeout;
        let annotations = Pairs::from([
            (
                "summary".to_owned(),
                format!("The heartbeat {name} has not been seen for {timeout:?}."),
            ),
            (
                "description".to_owned(),
                "An alert that always fires does not arrive any more: what sends it, or the way from there to here, is broken, and so \
                 other alerts may not arrive either."
                    .to_owned(),
            ),
        ]);
        let names = ["alertname", "heartbeat"].map(str::to_owned);
        let route = Route {
            receiver: heartbeat.receiver.clone(),
            matchers: Vec::new(),
            group_by: GroupBy::Labels(names.to_vec()),
            group_wait: Duration::ZERO,
            group_interval: GROUP_INTERVAL,
            repeat_interval: config.route.repeat_interval,
            goes_on: false,
            routes: Vec::new(),
            key: KEY.to_owned(),
            name: format!("{} {KEY}", heartbeat.receiver),
            // No route of the file has such a number.
            index: usize::MAX - number,
            labels: Pairs::new(),
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
            digest: None,
        };
        Self {
            name,
            matchers: heartbeat.matchers.clone(),
            timeout,
            route: Arc::new(route),
            texts: Packed::of(&labels, &annotations, ""),
            seen: now,
            noted: None,
            is_missing: false,
            is_back: false,
        }
    }
}

impl Heartbeats {
    pub(super) fn new(config: &Config, now: Timestamp) -> Self {
        let beats = config.heartbeats.iter().enumerate();
        Self(
            beats
                .map(|(number, it)| Beat::new(it, number, config, now))
                .collect(),
        )
    }

    /// Takes another configuration; what is known of heartbeats with the same names stays known.
    pub(super) fn reload(&mut self, config: &Config, now: Timestamp) {
        let before = std::mem::replace(self, Self::new(config, now));
        let before: BTreeMap<_, _> = before
            .0
            .into_iter()
            .map(|it| (it.name.clone(), it))
            .collect();
        for beat in &mut self.0 {
            if let Some(old) = before.get(&beat.name) {
                beat.seen = old.seen;
                beat.noted = old.noted;
            }
        }
    }

    pub(super) fn route(&self, number: u32) -> Option<Arc<Route>> {
        self.0.get(number as usize).map(|it| Arc::clone(&it.route))
    }

    /// Notes an alert that fires; gives the heartbeats that it is, where that is to be kept.
    pub(super) fn saw(&mut self, labels: &Packed, now: Timestamp) -> Vec<String> {
        let mut noted = Vec::new();
        for beat in &mut self.0 {
            if !beat.matchers.iter().all(|it| it.matches(labels)) {
                continue;
            }
            beat.seen = now;
            beat.is_back = beat.is_missing;
            let is_old = |noted| since(now, noted) > beat.timeout / NOTED;
            if beat.noted.is_none_or(is_old) {
                beat.noted = Some(now);
                noted.push(beat.name.clone());
            }
        }
        noted
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let waiting = self.0.iter().filter(|it| !it.is_missing);
        waiting.map(|it| after(it.seen, it.timeout)).min()
    }

    /// What is missing now that was not, and what is back.
    pub(super) fn turn(&mut self, now: Timestamp) -> Vec<Turn> {
        let mut turns = Vec::new();
        for (number, beat) in (0_u32..).zip(&mut self.0) {
            if beat.is_missing && std::mem::take(&mut beat.is_back) {
                beat.is_missing = false;
                turns.push(Turn::Back {
                    fingerprint: beat.texts.fingerprint(),
                });
            } else if !beat.is_missing && after(beat.seen, beat.timeout) <= now {
                beat.is_missing = true;
                beat.is_back = false;
                turns.push(Turn::Missing {
                    beat: number,
                    texts: beat.texts.clone(),
                    life: Life {
                        starts_at: now,
                        ends_at: after(now, LASTS),
                        updated_at: now,
                        timeout: false,
                    },
                });
            }
        }
        turns
    }

    /// What is to be kept of them.
    pub(super) fn seen(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.0.iter().map(|it| (it.name.as_str(), it.seen))
    }

    pub(super) fn restore(&mut self, name: &str, seen: Timestamp) {
        if let Some(beat) = self.0.iter_mut().find(|it| it.name == name) {
            beat.seen = seen;
        }
    }

    /// While nobody was here, none could be seen: that time does not count, unless it was missing before. `was_missing` says of a
    /// heartbeat's group whether people were told so.
    pub(super) fn restored(
        &mut self,
        alive: Timestamp,
        now: Timestamp,
        was_missing: impl Fn(&Route, &Pairs) -> bool,
    ) {
        for beat in &mut self.0 {
            let names = |it: &(&str, &str)| it.0 == "alertname" || it.0 == "heartbeat";
            let labels = beat.texts.labels().filter(names);
            let labels: Pairs = labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            if was_missing(&beat.route, &labels) {
                beat.seen = Timestamp::MIN;
            } else {
                let missed = since(alive, beat.seen).min(beat.timeout);
                let missed = jiff::SignedDuration::try_from(missed).unwrap_or_default();
                beat.seen = now.saturating_sub(missed).unwrap_or(now);
            }
        }
    }
}
