//! Whether people need to hear of a group again: what they were told last is remembered, per group and integration.

use std::time::Duration;

use jiff::Timestamp;

use super::Memory;
use crate::alert::{Fingerprint, after};

/// What people were told last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// When the group was looked at for it.
    pub(crate) at: Timestamp,
    /// Sorted.
    pub(crate) firing: Vec<Fingerprint>,
    /// Sorted.
    pub(crate) resolved: Vec<Fingerprint>,
    pub(crate) memory: Memory,
}

/// What people were told without an answer: they may have heard it, or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owed {
    /// Sorted.
    pub(crate) firing: Vec<Fingerprint>,
    /// Sorted.
    pub(crate) resolved: Vec<Fingerprint>,
}

impl Owed {
    /// Adds what is about to be told.
    pub(super) fn add(&mut self, firing: &[Fingerprint], resolved: &[Fingerprint]) {
        for (all, more) in [(&mut self.firing, firing), (&mut self.resolved, resolved)] {
            all.extend_from_slice(more);
            all.sort_unstable();
            all.dedup();
        }
    }
}

/// What there is to tell: sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    pub(super) firing: Vec<Fingerprint>,
    pub(super) resolved: Vec<Fingerprint>,
}

/// Why people are told (Alertmanager's `notify.NotificationReason`, as templates show it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    First,
    NewAlerts,
    AllResolved,
    NewResolved,
    Repeat,
}

impl Reason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts added",
            Self::AllResolved => "all alerts resolved",
            Self::NewResolved => "some alerts resolved",
            Self::Repeat => "repeat interval elapsed",
        }
    }
}

/// Alertmanager's rules (`notify.DedupStage.needsUpdate`), in its order; and one that it has not: those in `owed` may have heard that
/// alerts fire or are over, or should have, so that they are told how it went on whatever that is. Of what is `quiet` (sorted) nothing
/// is to be told.
pub(super) fn needs_update(
    told: Option<&Told>,
    owed: Option<&Owed>,
    news: &News,
    quiet: &[Fingerprint],
    send_resolved: bool,
    repeat_interval: Duration,
    now: Timestamp,
) -> Option<Reason> {
    let is_loud = |it: &&Fingerprint| quiet.binary_search(it).is_err();
    let may_fire = owed.map_or(&[][..], |it| &it.firing).iter();
    let may_fire: Vec<_> = may_fire.filter(is_loud).copied().collect();
    let Some(told) = told else {
        // What ended before anybody heard of it is no news.
        let is_news = !may_fire.is_empty() || !news.firing.is_empty();
        return is_news.then_some(Reason::First);
    };
    if !is_subset(&news.firing, &told.firing) {
        return Some(if told.firing.is_empty() {
            Reason::First
        } else {
            Reason::NewAlerts
        });
    }
    // The end of all is remembered even where nobody is told.
    if news.firing.is_empty() {
        let heard = !may_fire.is_empty() || told.firing.iter().any(|it| is_loud(&it));
        return heard.then_some(Reason::AllResolved);
    }
    if send_resolved && !is_subset(&news.resolved, &told.resolved) {
        return Some(Reason::NewResolved);
    }
    let is_over = |it: &Fingerprint, owed: &Owed| owed.resolved.binary_search(it).is_ok();
    if owed.is_some_and(|owed| {
        !is_subset(&may_fire, &told.firing) || news.firing.iter().any(|it| is_over(it, owed))
    }) {
        return Some(Reason::NewAlerts);
    }
    (after(told.at, repeat_interval) < now).then_some(Reason::Repeat)
}

/// Whether all of one sorted list are in another.
fn is_subset(some: &[Fingerprint], all: &[Fingerprint]) -> bool {
    let mut rest = all.iter();
    some.iter().all(|wanted| rest.any(|it| it == wanted))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::{News, Owed, Reason, Told, needs_update};
    use crate::{alert::Fingerprint, core::Memory};

    fn fingerprints(names: &str) -> Vec<Fingerprint> {
        let mut all: Vec<_> = names
            .bytes()
            .map(|it| Fingerprint::from_number(u64::from(it)))
            .collect();
        all.sort_unstable();
        all
    }

    fn told(second: i64, firing: &str, resolved: &str) -> Told {
        Told {
            at: Timestamp::from_second(second).unwrap(),
            firing: fingerprints(firing),
            resolved: fingerprints(resolved),
            memory: Memory::new(),
        }
    }

    #[test]
    fn rules() {
        use Reason::{AllResolved, First, NewAlerts, NewResolved, Repeat};
        for (before, owed, firing, resolved, send_resolved, expect, why) in [
            (None, "", "a", "", true, Some(First), "never told"),
            (None, "", "", "a", true, None, "over before it was told"),
            (
                None,
                "a",
                "",
                "a",
                true,
                Some(First),
                "over, but they may have heard",
            ),
            (
                Some(told(90, "a", "")),
                "",
                "a",
                "",
                true,
                None,
                "nothing new",
            ),
            (
                Some(told(90, "a", "")),
                "",
                "ab",
                "",
                true,
                Some(NewAlerts),
                "one more",
            ),
            (
                Some(told(90, "", "a")),
                "",
                "a",
                "",
                true,
                Some(First),
                "again",
            ),
            (
                Some(told(90, "ab", "")),
                "",
                "a",
                "b",
                true,
                Some(NewResolved),
                "one less",
            ),
            (
                Some(told(90, "ab", "")),
                "",
                "a",
                "b",
                false,
                None,
                "one less, which nobody wants to hear",
            ),
            (
                Some(told(90, "a", "b")),
                "",
                "a",
                "b",
                true,
                None,
                "told of it",
            ),
            (
                Some(told(90, "a", "")),
                "",
                "",
                "a",
                true,
                Some(AllResolved),
                "all over",
            ),
            (
                Some(told(90, "a", "")),
                "",
                "",
                "a",
                false,
                Some(AllResolved),
                "all over, to be remembered",
            ),
            (
                Some(told(90, "", "a")),
                "",
                "",
                "ab",
                true,
                None,
                "came and went in between",
            ),
            (
                Some(told(90, "", "a")),
                "b",
                "",
                "ab",
                true,
                Some(AllResolved),
                "came and went, and they may have heard",
            ),
            (
                Some(told(90, "a", "")),
                "ab",
                "a",
                "",
                true,
                Some(NewAlerts),
                "one of which they may have heard",
            ),
            (
                Some(told(90, "a", "")),
                "/a",
                "a",
                "",
                true,
                Some(NewAlerts),
                "one of which they may have heard that it is over",
            ),
            (
                Some(told(90, "ab", "")),
                "/b",
                "a",
                "",
                true,
                None,
                "one that may be over for them is over",
            ),
            (
                Some(told(39, "a", "")),
                "",
                "a",
                "",
                true,
                Some(Repeat),
                "time to repeat",
            ),
            (Some(told(40, "a", "")), "", "a", "", true, None, "not yet"),
        ] {
            let news = News {
                firing: fingerprints(firing),
                resolved: fingerprints(resolved),
            };
            let (may_fire, may_be_over) = owed.split_once('/').unwrap_or((owed, ""));
            let owed = (!owed.is_empty()).then(|| Owed {
                firing: fingerprints(may_fire),
                resolved: fingerprints(may_be_over),
            });
            let found = needs_update(
                before.as_ref(),
                owed.as_ref(),
                &news,
                &[],
                send_resolved,
                Duration::from_secs(60),
                Timestamp::from_second(100).unwrap(),
            );
            assert_eq!(found, expect, "{why}");
        }
    }

    #[test]
    fn what_is_kept_quiet() {
        use Reason::{AllResolved, First, NewAlerts, NewResolved};
        for (before, owed, firing, resolved, quiet, expect, why) in [
            (
                Some(told(90, "a", "")),
                "",
                "",
                "b",
                "a",
                None,
                "one came and went beside it",
            ),
            (
                Some(told(90, "ab", "")),
                "",
                "",
                "b",
                "a",
                Some(AllResolved),
                "the other is over",
            ),
            (
                Some(told(90, "b", "")),
                "a",
                "b",
                "",
                "a",
                None,
                "nothing new of the other",
            ),
            (
                Some(told(90, "b", "")),
                "a",
                "b",
                "",
                "",
                Some(NewAlerts),
                "quiet no more",
            ),
            (
                Some(told(90, "b", "")),
                "a",
                "b",
                "a",
                "",
                Some(NewResolved),
                "over meanwhile",
            ),
            (
                Some(told(90, "", "b")),
                "a",
                "",
                "a",
                "",
                Some(AllResolved),
                "over meanwhile, alone",
            ),
            (
                None,
                "a",
                "",
                "b",
                "a",
                None,
                "nobody was told of the other",
            ),
            (None, "a", "b", "", "a", Some(First), "the other begins"),
        ] {
            let news = News {
                firing: fingerprints(firing),
                resolved: fingerprints(resolved),
            };
            let owed = Owed {
                firing: fingerprints(owed),
                resolved: Vec::new(),
            };
            let found = needs_update(
                before.as_ref(),
                (owed != Owed::default()).then_some(&owed),
                &news,
                &fingerprints(quiet),
                true,
                Duration::from_secs(60),
                Timestamp::from_second(100).unwrap(),
            );
            assert_eq!(found, expect, "{why}");
        }
    }
}
