//! Every promise, held against what the program says and what receivers heard. Each check gives what it found broken.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    promises::{Told, now},
    recorder::{INTEGRATIONS, Notification},
};

/// An answer so long before a kill may not have been written down.
pub(crate) const LOST: Duration = Duration::from_secs(2);

/// What was answered with 200 is known: alerts with their ends, silences with theirs.
pub(crate) fn known(told: &Told, alerts: &Value, silences: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let found = ends(alerts, |it| {
        it["labels"]["number"].as_str()?.parse::<u64>().ok()
    });
    let now = now();
    for (number, alert) in &told.alerts {
        match found.get(number) {
            None if alert.fires(now) => {
                broken.push(format!("alert {number} is not known: {alert:?}"));
            }
            Some(_) if alert.is_over(now) => {
                broken.push(format!("alert {number} fires, and is over: {alert:?}"));
            }
            Some(end) if !alert.posts.perhaps(|it| it == end) => {
                broken.push(format!("alert {number} has a former end: {end}: {alert:?}"));
            }
            _ => {}
        }
    }
    let found = ends(silences, |it| Some(it["id"].as_str()?.to_owned()));
    let active = silences.as_array().into_iter().flatten();
    let active: Vec<_> = active
        .filter(|it| it["status"]["state"] == "active")
        .filter_map(|it| it["id"].as_str())
        .collect();
    for (id, silence) in &told.silences {
        let is_active = active.contains(&id.as_str());
        match found.get(id) {
            None => broken.push(format!("silence {id} is not known: {silence:?}")),
            Some(_) if is_active && silence.posts.surely(Option::is_none) => {
                broken.push(format!(
                    "silence {id} was deleted, and is active: {silence:?}"
                ));
            }
            Some(_) if !is_active && silence.posts.surely(Option::is_some) => {
                broken.push(format!("silence {id} is not active: {silence:?}"));
            }
            Some(end) if is_active && !silence.posts.perhaps(|it| *it == Some(*end)) => {
                broken.push(format!("silence {id} has a former end: {end}: {silence:?}"));
            }
            Some(_) => {}
        }
    }
    broken
}

/// The ends of a list's members.
fn ends<K: Ord>(list: &Value, key: impl Fn(&Value) -> Option<K>) -> BTreeMap<K, Timestamp> {
    let members = list.as_array().into_iter().flatten();
    members
        .filter_map(|it| Some((key(it)?, it["endsAt"].as_str()?.parse().ok()?)))
        .collect()
}

/// What an integration heard of an alert.
#[derive(Debug, Clone, Copy)]
struct Heard {
    /// The last that it heard was that it fires.
    fires: bool,
    /// It has said that it heard of the start, since it last heard of an end.
    acknowledged: bool,
}

/// Whoever is to know of an alert's start or end does.
pub(crate) fn owed(told: &Told, heard: &[Notification], kills: &[Instant]) -> Vec<String> {
    let mut last: BTreeMap<(&str, u64), Heard> = BTreeMap::new();
    for notification in heard {
        for (number, fires) in &notification.alerts {
            let key = (notification.integration, *number);
            let before = last.get(&key).is_some_and(|it| it.acknowledged);
            let acknowledged = *fires && (before || counts(notification, kills));
            let fires = *fires;
            last.insert(
                key,
                Heard {
                    fires,
                    acknowledged,
                },
            );
        }
    }
    let mut broken = Vec::new();
    let now = now();
    for (number, alert) in &told.alerts {
        let quiet = alert.silence.as_ref().and_then(|it| told.silences.get(it));
        if quiet.is_some_and(|it| !it.posts.surely(Option::is_none)) {
            continue;
        }
        for integration in INTEGRATIONS {
            let last = last.get(&(integration, *number));
            if alert.fires(now) && last.is_none_or(|it| !it.fires) {
                broken.push(format!(
                    "{integration} was not told that {number} fires: {alert:?}"
                ));
            }
            if alert.is_over(now) && last.is_some_and(|it| it.acknowledged) {
                broken.push(format!(
                    "{integration} was not told that {number} is over: {alert:?}"
                ));
            }
        }
    }
    broken
}

/// The program may be expected to know that it was heard.
fn counts(notification: &Notification, kills: &[Instant]) -> bool {
    let kill = kills.get(notification.life);
    notification
        .answered
        .is_some_and(|it| kill.is_none_or(|kill| it + LOST < *kill))
}

/// Nothing is said twice, unless the answer to the first was lost.
pub(crate) fn twice(heard: &[Notification], kills: &[Instant]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut last: BTreeMap<(&str, &str), &Notification> = BTreeMap::new();
    for notification in heard {
        let key = (notification.integration, notification.group.as_str());
        if let Some(before) = last.insert(key, notification) {
            let mut alerts = notification.alerts.iter();
            let is_news = alerts.any(|(number, fires)| before.alerts.get(number) != Some(fires));
            if !is_news && counts(before, kills) {
                broken.push(format!(
                    "told twice, {:?} later:\n  {before:?}\n  {notification:?}",
                    notification.heard.duration_since(before.heard)
                ));
            }
        }
    }
    broken
}

/// Nobody hears of what a silence keeps quiet, until somebody asks for its deletion.
pub(crate) fn quiet(told: &Told, heard: &[Notification]) -> Vec<String> {
    let mut broken = Vec::new();
    for notification in heard {
        for number in notification.alerts.keys() {
            let silence = told.alerts.get(number).and_then(|it| it.silence.as_ref());
            let Some(silence) = silence.and_then(|it| told.silences.get(it)) else {
                continue;
            };
            if silence.deleted.is_none_or(|it| it > notification.heard) {
                broken.push(format!(
                    "{number} is silenced: {notification:?} {silence:?}"
                ));
            }
        }
    }
    broken
}
