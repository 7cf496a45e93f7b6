//! Whether people need to hear of a group again: what they were told last is remembered, per group and integration.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use super::{GroupKey, IntegrationKey, Status};
use crate::alert::{Alert, Fingerprint, after};

/// What a notification told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogEntry {
    at: Timestamp,
    firing: BTreeSet<Fingerprint>,
    resolved: BTreeSet<Fingerprint>,
}

impl LogEntry {
    pub(super) fn of(alerts: &[(Fingerprint, Alert, Status)], now: Timestamp) -> Self {
        let with = |wanted| {
            let some = alerts
                .iter()
                .filter(move |(_, _, status)| *status == wanted);
            some.map(|(fingerprint, _, _)| *fingerprint).collect()
        };
        Self {
            at: now,
            firing: with(Status::Firing),
            resolved: with(Status::Resolved),
        }
    }
}

/// Alertmanager's rules (`notify.DedupStage.needsUpdate`), in its order.
pub(super) fn needs_update(
    told: Option<&LogEntry>,
    news: &LogEntry,
    send_resolved: bool,
    repeat_interval: Duration,
    now: Timestamp,
) -> bool {
    let Some(told) = told else {
        // What ended before anybody heard of it is no news.
        return !news.firing.is_empty();
    };
    if !news.firing.is_subset(&told.firing) {
        return true;
    }
    // The end of all is remembered even where nobody is told.
    if news.firing.is_empty() {
        return !told.firing.is_empty();
    }
    if send_resolved && !news.resolved.is_subset(&told.resolved) {
        return true;
    }
    after(told.at, repeat_interval) < now
}

/// What everybody was told.
#[derive(Debug, Default)]
pub(super) struct Log(BTreeMap<GroupKey, BTreeMap<IntegrationKey, LogEntry>>);

impl Log {
    pub(super) fn get(&self, group: &GroupKey, integration: &IntegrationKey) -> Option<&LogEntry> {
        self.0.get(group)?.get(integration)
    }

    pub(super) fn set(&mut self, group: GroupKey, integration: IntegrationKey, entry: LogEntry) {
        self.0.entry(group).or_default().insert(integration, entry);
    }

    pub(super) fn keep(&mut self, wanted: impl Fn(&GroupKey) -> bool) {
        self.0.retain(|group, _| wanted(group));
    }

    pub(super) fn forget(&mut self, group: &GroupKey) {
        self.0.remove(group);
    }

    /// Whether anybody believes that this alert fires.
    pub(super) fn has_firing(&self, group: &GroupKey, alert: Fingerprint) -> bool {
        let told = self.0.get(group).into_iter().flat_map(BTreeMap::values);
        told.into_iter().any(|it| it.firing.contains(&alert))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::{LogEntry, needs_update};
    use crate::alert::{Fingerprint, Pairs};

    fn entry(at: i64, firing: &str, resolved: &str) -> LogEntry {
        let prints = |names: &str| {
            names
                .chars()
                .map(|it| Fingerprint::of(&Pairs::from([("n".to_owned(), it.to_string())])))
                .collect()
        };
        LogEntry {
            at: Timestamp::from_second(at).unwrap(),
            firing: prints(firing),
            resolved: prints(resolved),
        }
    }

    #[test]
    fn rules() {
        for (told, firing, resolved, send_resolved, expect, why) in [
            (None, "a", "", true, true, "never told"),
            (None, "", "a", true, false, "over before it was told"),
            (
                Some(entry(90, "a", "")),
                "a",
                "",
                true,
                false,
                "nothing new",
            ),
            (Some(entry(90, "a", "")), "ab", "", true, true, "one more"),
            (Some(entry(90, "ab", "")), "a", "b", true, true, "one less"),
            (
                Some(entry(90, "ab", "")),
                "a",
                "b",
                false,
                false,
                "one less, which nobody wants to hear",
            ),
            (
                Some(entry(90, "a", "b")),
                "a",
                "b",
                true,
                false,
                "told of it",
            ),
            (Some(entry(90, "a", "")), "", "a", true, true, "all over"),
            (
                Some(entry(90, "a", "")),
                "",
                "a",
                false,
                true,
                "all over, to be remembered",
            ),
            (
                Some(entry(90, "", "a")),
                "",
                "ab",
                true,
                false,
                "came and went in between",
            ),
            (
                Some(entry(39, "a", "")),
                "a",
                "",
                true,
                true,
                "time to repeat",
            ),
            (Some(entry(40, "a", "")), "a", "", true, false, "not yet"),
        ] {
            let news = entry(100, firing, resolved);
            let now = Timestamp::from_second(100).unwrap();
            let repeat = Duration::from_secs(60);
            let found = needs_update(told.as_ref(), &news, send_resolved, repeat, now);
            assert_eq!(found, expect, "{why}");
        }
    }
}
