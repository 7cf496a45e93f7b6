//! Alerts as Prometheus sends them: labels, life time, identity.

pub(crate) mod packed;

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};

use self::packed::Packed;

/// Names to values, sorted by name.
pub(crate) type Pairs = BTreeMap<String, String>;

/// What matchers look at: names to values, however they are held.
pub(crate) trait Labels {
    /// The value of a label that is there.
    fn value(&self, name: &str) -> Option<&str>;
}

impl Labels for Pairs {
    fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// More labels or annotations than any rule gives.
const MAX_PAIRS: usize = 256;
/// A longer name or value is a mistake of its sender.
const MAX_TEXT: usize = 64 * 1024;

/// What tells an alert from every other: a hash of its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// FNV-1a over the sorted labels, each name and each value followed by the byte 255
    /// (Prometheus' `common/model`, `LabelSet.Fingerprint`).
    pub(crate) fn of(labels: &Pairs) -> Self {
        Self::of_sorted(
            labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        )
    }

    /// [`Fingerprint::of`] labels that are sorted by name.
    pub(crate) fn of_sorted<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        const PRIME: u64 = 1_099_511_628_211;
        let mut hash: u64 = 14_695_981_039_346_656_037;
        let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        for (name, value) in labels {
            for text in [name, value] {
                text.bytes().for_each(&mut add);
                add(255);
            }
        }
        Self(hash)
    }

    /// As in the journal.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An alert as it is told of: everything in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alert {
    pub(crate) labels: Pairs,
    pub(crate) annotations: Pairs,
    pub(crate) starts_at: Timestamp,
    /// When it is resolved, unless it is sent again before.
    pub(crate) ends_at: Timestamp,
    /// Where it comes from; empty when the sender does not say.
    pub(crate) generator_url: String,
}

/// An alert as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) texts: Packed,
    pub(crate) starts_at: Option<Timestamp>,
    pub(crate) ends_at: Option<Timestamp>,
}

/// When an alert starts and ends, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) starts_at: Timestamp,
    /// When it is resolved, unless it is sent again before.
    pub(crate) ends_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Whether `ends_at` is ours, `resolve_timeout` after the alert was last sent.
    pub(crate) timeout: bool,
}

/// Why an alert is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AlertError {
    #[error("at least one label pair required")]
    NoLabels,
    #[error("invalid label set: invalid name {0:?}")]
    LabelName(String),
    #[error("invalid annotations: invalid name {0:?}")]
    AnnotationName(String),
    #[error("start time must be before end time")]
    Times,
    #[error("more than {MAX_PAIRS} labels or annotations, or one of more than {MAX_TEXT} bytes")]
    Size,
    #[error("too many alerts are held already ({0}); this one is new and refused")]
    Full(usize),
    #[error("too many alerts named {0:?} are held already ({1}); this one is new and refused")]
    FullOfName(String, usize),
}

impl Posted {
    /// Fills in what the sender left out, as Alertmanager does, and checks the rest.
    pub(crate) fn check(
        &self,
        now: Timestamp,
        resolve_timeout: Duration,
    ) -> Result<Life, AlertError> {
        let starts_at = self.starts_at.or(self.ends_at).unwrap_or(now);
        let ends_at = self.ends_at.unwrap_or_else(|| after(now, resolve_timeout));
        if ends_at < starts_at {
            return Err(AlertError::Times);
        }
        let (labels, annotations) = (self.texts.labels(), self.texts.annotations());
        if labels.len() == 0 {
            return Err(AlertError::NoLabels);
        }
        for (pairs, is_label) in [(labels, true), (annotations, false)] {
            if pairs.len() > MAX_PAIRS {
                return Err(AlertError::Size);
            }
            for (name, value) in pairs {
                if name.is_empty() {
                    let name = name.to_owned();
                    return Err(if is_label {
                        AlertError::LabelName(name)
                    } else {
                        AlertError::AnnotationName(name)
                    });
                }
                if name.len() > MAX_TEXT || value.len() > MAX_TEXT {
                    return Err(AlertError::Size);
                }
            }
        }
        if self.texts.generator_url().len() > MAX_TEXT {
            return Err(AlertError::Size);
        }
        Ok(Life {
            starts_at,
            ends_at,
            updated_at: now,
            timeout: self.ends_at.is_none(),
        })
    }
}

impl Alert {
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.labels)
    }

    pub(crate) fn resolved(&self, now: Timestamp) -> bool {
        self.ends_at <= now
    }

    /// Alertmanager's `alertname`; empty when there is none.
    pub(crate) fn name(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }
}

impl Life {
    pub(crate) fn resolved(&self, now: Timestamp) -> bool {
        self.ends_at <= now
    }

    /// This alert's life when it is sent again with that of `newer`: when the two overlap in time they are one, which started with
    /// the first.
    pub(crate) fn merged(&self, mut newer: Self) -> Self {
        let within = |time| time > self.starts_at && time < self.ends_at;
        if !within(newer.ends_at) && !within(newer.starts_at) {
            return newer;
        }
        newer.starts_at = newer.starts_at.min(self.starts_at);
        let newer_resolved = newer.resolved(newer.updated_at);
        let longer = self.ends_at > newer.ends_at;
        // The latest explicit end rules; an end that is only a timeout gives way.
        if longer
            && (newer_resolved && self.resolved(newer.updated_at)
                || !newer_resolved && !self.timeout)
        {
            newer.ends_at = self.ends_at;
        }
        newer
    }
}

/// `time` and `duration` later; the end of time when that is beyond it.
pub(crate) fn after(time: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

/// How long after `earlier` it is at `time`; zero when it is not.
pub(crate) fn since(time: Timestamp, earlier: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(earlier)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::{AlertError, Fingerprint, Life, Pairs, Posted, packed::Packed};

    fn pairs(text: &str) -> Pairs {
        text.split_terminator(',')
            .map(|it| it.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Right column: printed by Prometheus' `common/model`.
    #[test]
    fn fingerprints() {
        for (labels, expect) in [
            ("", "cbf29ce484222325"),
            ("alertname=AgentDown,instance=straße", "100474a98ead13b3"),
        ] {
            assert_eq!(
                Fingerprint::of(&pairs(labels)).to_string(),
                expect,
                "{labels}"
            );
        }
    }

    #[test]
    fn checks_and_defaults() {
        let posted = |labels: &str, starts: Option<i64>, ends: Option<i64>| Posted {
            texts: Packed::of(&pairs(labels), &Pairs::new(), ""),
            starts_at: starts.map(at),
            ends_at: ends.map(at),
        };
        let check = |posted: Posted| {
            let alert = posted.check(at(1000), Duration::from_secs(300))?;
            Ok((
                alert.starts_at.as_second(),
                alert.ends_at.as_second(),
                alert.timeout,
            ))
        };
        for (posted, expect) in [
            (posted("a=b", None, None), Ok((1000, 1300, true))),
            (posted("a=b", Some(900), None), Ok((900, 1300, true))),
            (posted("a=b", None, Some(950)), Ok((950, 950, false))),
            (posted("a=b", Some(900), Some(950)), Ok((900, 950, false))),
            (posted("a=b", Some(950), Some(900)), Err(AlertError::Times)),
            (posted("", None, None), Err(AlertError::NoLabels)),
            (
                posted("=b", None, None),
                Err(AlertError::LabelName(String::new())),
            ),
        ] {
            assert_eq!(check(posted.clone()), expect, "{posted:?}");
        }
    }

    #[test]
    fn merging() {
        let alert = |starts, ends, updated, timeout| Life {
            starts_at: at(starts),
            ends_at: at(ends),
            updated_at: at(updated),
            timeout,
        };
        for (old, new, expect) in [
            // Sent again: the start stays.
            (
                alert(10, 300, 10, true),
                alert(20, 310, 20, true),
                (10, 310),
            ),
            // Resolved by its sender.
            (alert(10, 300, 10, true), alert(10, 50, 50, false), (10, 50)),
            // An explicit end that is later rules over a timeout.
            (
                alert(10, 900, 10, false),
                alert(20, 310, 20, true),
                (10, 900),
            ),
            (
                alert(10, 900, 10, true),
                alert(20, 310, 20, true),
                (10, 310),
            ),
            // A new life after the old one ended.
            (
                alert(10, 50, 50, false),
                alert(60, 400, 60, true),
                (60, 400),
            ),
        ] {
            let found = old.merged(new);
            let found = (found.starts_at.as_second(), found.ends_at.as_second());
            assert_eq!(found, expect, "{old:?} and {new:?}");
        }
    }
}
