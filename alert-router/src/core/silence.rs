//! Silences: who asked for quiet about what, until when; and which of them an alert falls under, without asking each.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};

use jiff::Timestamp;
use regex_syntax::hir::literal::Extractor;

use crate::{
    alert::{Fingerprint, Labels, Pairs},
    matcher::{Matcher, Operator},
};

/// A UUID, version 4 (RFC 9562).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SilenceId(u128);

impl SilenceId {
    /// From random bytes.
    pub(crate) const fn random(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        let version = 0xf_u128 << 76;
        let variant = 0b11_u128 << 62;
        Self((number & !version & !variant) | (4_u128 << 76) | (0b10_u128 << 62))
    }

    pub(crate) const fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:032x}", self.0);
        let mut rest = text.as_str();
        for (at, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
            let (part, tail) = rest.split_at(length);
            let dash = if at == 0 { "" } else { "-" };
            write!(f, "{dash}{part}")?;
            rest = tail;
        }
        Ok(())
    }
}

impl FromStr for SilenceId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.split('-').collect();
        if !parts.iter().map(|it| it.len()).eq([8, 4, 4, 4, 12])
            || !text.bytes().all(|it| it == b'-' || it.is_ascii_hexdigit())
        {
            return Err(());
        }
        u128::from_str_radix(&parts.concat(), 16)
            .map(Self)
            .map_err(|_error| ())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Silence {
    pub(crate) id: SilenceId,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) starts_at: Timestamp,
    pub(crate) ends_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) created_by: String,
    pub(crate) comment: String,
    pub(crate) annotations: Pairs,
}

impl PartialEq for Silence {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && same_matchers(&self.matchers, &other.matchers)
            && self.starts_at == other.starts_at
            && self.ends_at == other.ends_at
            && self.updated_at == other.updated_at
            && self.created_by == other.created_by
            && self.comment == other.comment
            && self.annotations == other.annotations
    }
}

impl Eq for Silence {}

fn same_matchers(a: &[Matcher], b: &[Matcher]) -> bool {
    let key = |it: &Matcher| -> (String, Operator, String) {
        (it.name.clone(), it.operator, it.value.clone())
    };
    a.iter().map(key).eq(b.iter().map(key))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SilenceState {
    Active,
    Pending,
    Expired,
}

impl SilenceState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

impl Silence {
    /// As Alertmanager decides it (`silence.CurrentState`): pending before the start, expired from the end on.
    pub(crate) fn state(&self, now: Timestamp) -> SilenceState {
        if now < self.starts_at {
            SilenceState::Pending
        } else if now < self.ends_at {
            SilenceState::Active
        } else {
            SilenceState::Expired
        }
    }

    pub(crate) fn matches(&self, labels: &(impl Labels + ?Sized)) -> bool {
        self.matchers.iter().all(|it| it.matches(labels))
    }

    /// How much memory it takes, about; for the bound on its size.
    pub(crate) fn size(&self) -> usize {
        let matchers: usize = self
            .matchers
            .iter()
            .map(|it| it.name.len() + it.value.len() + 4)
            .sum();
        let annotations: usize = self
            .annotations
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4)
            .sum();
        64 + self.created_by.len() + self.comment.len() + matchers + annotations
    }
}

/// A silence as it is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) id: Option<SilenceId>,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) starts_at: Timestamp,
    pub(crate) ends_at: Timestamp,
    pub(crate) created_by: String,
    pub(crate) comment: String,
    pub(crate) annotations: Pairs,
}

/// Why there is no silence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SilenceError {
    #[error("silence not found")]
    NotFound,
    #[error("invalid silence: {0}")]
    Invalid(String),
    #[error("exceeded maximum number of silences: {count} (limit: {limit})")]
    TooMany { count: usize, limit: usize },
    #[error("silence exceeded maximum size: {size} bytes (limit: {limit} bytes)")]
    TooLarge { size: usize, limit: usize },
}

/// How many silences, and how large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SilenceLimits {
    pub(crate) count: usize,
    pub(crate) size: usize,
}

/// What to put back when a change cannot be kept.
pub(crate) type SilenceUndo = Vec<(SilenceId, Option<Arc<Silence>>)>;

#[derive(Debug, Default)]
pub(crate) struct Silences {
    all: BTreeMap<SilenceId, Placed>,
    /// By the start of their key's value, and its length: see [`Key`].
    by_key: BTreeMap<(u64, bool), Vec<SilenceId>>,
    /// How long the starts of values are that a label of this name is to be looked up by.
    lengths: BTreeMap<String, BTreeSet<usize>>,
    /// Those without a key: each alert is held against each of them.
    others: BTreeSet<SilenceId>,
}

/// A silence, and the keys that it is looked up by; None when it has none.
#[derive(Debug)]
struct Placed {
    silence: Arc<Silence>,
    keys: Option<Vec<Key>>,
}

/// What every alert under a silence has: a label that is this, or starts so.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Is { name: String, value: String },
    Starts { name: String, prefix: String },
}

impl Silences {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, id: SilenceId) -> Option<&Arc<Silence>> {
        self.all.get(&id).map(|it| &it.silence)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Silence>> {
        self.all.values().map(|it| &it.silence)
    }

    pub(crate) fn after(&self, id: Option<SilenceId>) -> impl Iterator<Item = &Arc<Silence>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = id.map_or(Unbounded, Excluded);
        self.all.range((from, Unbounded)).map(|it| &it.1.silence)
    }

    /// Makes, changes or replaces a silence, as Alertmanager does (`silence.Silences.Set`): one that cannot be changed ends, and
    /// another takes its place. Gives its id, and what changed.
    pub(crate) fn set(
        &mut self,
        wish: Wish,
        fresh: SilenceId,
        limits: SilenceLimits,
        now: Timestamp,
    ) -> Result<(SilenceId, SilenceUndo), SilenceError> {
        check(&wish)?;
        let known = match wish.id {
            None => None,
            Some(id) => Some(Arc::clone(self.get(id).ok_or(SilenceError::NotFound)?)),
        };
        let mut silence = Silence {
            id: wish.id.unwrap_or(fresh),
            matchers: wish.matchers,
            starts_at: wish.starts_at,
            ends_at: wish.ends_at,
            updated_at: now,
            created_by: wish.created_by,
            comment: wish.comment,
            annotations: wish.annotations,
        };
        let size = silence.size();
        if limits.size > 0 && size > limits.size {
            return Err(SilenceError::TooLarge {
                size,
                limit: limits.size,
            });
        }
        let mut undo = Vec::new();
        if let Some(known) = known {
            if can_change(&known, &silence, now) {
                let id = silence.id;
                undo.push((id, self.put(silence)));
                return Ok((id, undo));
            }
            silence.id = fresh;
        }
        if limits.count > 0 && self.all.len() >= limits.count {
            return Err(SilenceError::TooMany {
                count: self.all.len(),
                limit: limits.count,
            });
        }
        silence.starts_at = silence.starts_at.max(now);
        if let Some(old) = wish.id {
            undo.extend(self.expire(old, now)?);
        }
        let id = silence.id;
        undo.push((id, self.put(silence)));
        Ok((id, undo))
    }

    /// Ends a silence; one that is over stays as it is.
    pub(crate) fn expire(
        &mut self,
        id: SilenceId,
        now: Timestamp,
    ) -> Result<SilenceUndo, SilenceError> {
        let known = self.get(id).ok_or(SilenceError::NotFound)?;
        let mut silence = Silence::clone(known);
        match known.state(now) {
            SilenceState::Expired => return Ok(Vec::new()),
            SilenceState::Active => silence.ends_at = now,
            SilenceState::Pending => (silence.starts_at, silence.ends_at) = (now, now),
        }
        silence.updated_at = now;
        Ok(vec![(id, self.put(silence))])
    }

    /// Takes changes back.
    pub(crate) fn undo(&mut self, undo: SilenceUndo) {
        for (id, before) in undo.into_iter().rev() {
            match before {
                Some(silence) => drop(self.put(Silence::clone(&silence))),
                None => drop(self.remove(id)),
            }
        }
    }

    /// Takes a silence as it is.
    pub(crate) fn put(&mut self, silence: Silence) -> Option<Arc<Silence>> {
        let before = self.remove(silence.id);
        let keys = self.keys(&silence.matchers);
        match &keys {
            None => drop(self.others.insert(silence.id)),
            Some(keys) => {
                for key in keys {
                    if let Key::Starts { name, prefix } = key {
                        let lengths = self.lengths.entry(name.clone()).or_default();
                        lengths.insert(prefix.len());
                    }
                    let place = self.by_key.entry(key.hash()).or_default();
                    place.push(silence.id);
                }
            }
        }
        let id = silence.id;
        let silence = Arc::new(silence);
        self.all.insert(id, Placed { silence, keys });
        before
    }

    /// The keys that the fewest silences are under already: they are what tells alerts apart here.
    fn keys(&self, matchers: &[Matcher]) -> Option<Vec<Key>> {
        let crowd = |keys: &Vec<Key>| {
            let is_start = keys.iter().any(|it| matches!(it, Key::Starts { .. }));
            let places = keys.iter().filter_map(|it| self.by_key.get(&it.hash()));
            (is_start, places.map(Vec::len).sum::<usize>() + keys.len())
        };
        matchers.iter().filter_map(keys_of).min_by_key(crowd)
    }

    pub(crate) fn remove(&mut self, id: SilenceId) -> Option<Arc<Silence>> {
        let Placed { silence, keys } = self.all.remove(&id)?;
        match keys {
            None => drop(self.others.remove(&id)),
            Some(keys) => {
                for key in keys {
                    if let Some(place) = self.by_key.get_mut(&key.hash()) {
                        place.retain(|it| *it != id);
                        if place.is_empty() {
                            self.by_key.remove(&key.hash());
                        }
                    }
                }
            }
        }
        Some(silence)
    }

    /// Silences whose end is so long ago that nobody asks for them any more.
    pub(crate) fn over(&self, before: Timestamp) -> Vec<SilenceId> {
        let over = self.iter().filter(|it| it.ends_at <= before);
        over.map(|it| it.id).collect()
    }

    /// The active silences that an alert falls under, by id.
    pub(crate) fn silencing<'a>(
        &self,
        labels: &(impl Labels + ?Sized),
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        now: Timestamp,
    ) -> Vec<SilenceId> {
        if self.all.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut look = |id: &SilenceId| {
            if let Some(silence) = self.get(*id)
                && silence.state(now) == SilenceState::Active
                && silence.matches(labels)
            {
                found.push(*id);
            }
        };
        if !self.by_key.is_empty() {
            for (name, value) in pairs {
                let ids = self.by_key.get(&(hash(name, value), true));
                ids.into_iter().flatten().for_each(&mut look);
                for length in self.lengths.get(name).into_iter().flatten() {
                    let Some(prefix) = value.get(..*length) else {
                        continue;
                    };
                    let ids = self.by_key.get(&(hash(name, prefix), false));
                    ids.into_iter().flatten().for_each(&mut look);
                }
            }
        }
        self.others.iter().for_each(&mut look);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// How many there are in each state.
    pub(crate) fn count(&self, now: Timestamp) -> [(SilenceState, usize); 3] {
        let mut counts = [
            (SilenceState::Active, 0),
            (SilenceState::Pending, 0),
            (SilenceState::Expired, 0),
        ];
        for silence in self.iter() {
            let state = silence.state(now);
            for (which, count) in &mut counts {
                *count += usize::from(*which == state);
            }
        }
        counts
    }
}

impl Key {
    fn hash(&self) -> (u64, bool) {
        match self {
            Self::Is { name, value } => (hash(name, value), true),
            Self::Starts { name, prefix } => (hash(name, prefix), false),
        }
    }
}

fn hash(name: &str, value: &str) -> u64 {
    Fingerprint::of_sorted(std::iter::once((name, value))).number()
}

/// What every alert that a matcher takes has one of; None when nothing is known.
fn keys_of(matcher: &Matcher) -> Option<Vec<Key>> {
    /// A silence in more places than that is held against every alert.
    const MOST: usize = 64;
    let name = || matcher.name.clone();
    let is = |value: &String| Key::Is {
        name: name(),
        value: value.clone(),
    };
    let keys: Vec<Key> = match matcher.operator {
        Operator::Equal | Operator::Regex if matcher.literals().is_some() => {
            let literals = matcher.literals().filter(|it| it.len() <= MOST)?;
            literals.iter().map(is).collect()
        }
        Operator::Regex if matcher.prefix().is_some() => vec![Key::Starts {
            name: name(),
            prefix: matcher.prefix()?.to_owned(),
        }],
        Operator::Regex => {
            let hir = regex_syntax::parse(matcher.pattern()?).ok()?;
            let mut starts = Extractor::new();
            starts.limit_total(MOST).limit_literal_len(MOST);
            let starts = starts.extract(&hir);
            let literals = starts.literals()?.iter().map(|literal| {
                let text = String::from_utf8(literal.as_bytes().to_vec()).ok()?;
                Some(if literal.is_exact() {
                    is(&text)
                } else {
                    Key::Starts {
                        name: name(),
                        prefix: text,
                    }
                })
            });
            literals.collect::<Option<_>>()?
        }
        Operator::Equal | Operator::NotEqual | Operator::NotRegex => return None,
    };
    let is_useful = |it: &Key| match it {
        Key::Is { value: text, .. } | Key::Starts { prefix: text, .. } => !text.is_empty(),
    };
    (!keys.is_empty() && keys.iter().all(is_useful)).then_some(keys)
}

fn check(wish: &Wish) -> Result<(), SilenceError> {
    let invalid = |reason: &str| Err(SilenceError::Invalid(reason.to_owned()));
    if wish.matchers.is_empty() {
        return invalid("matcher set 0 is empty");
    }
    // As Alertmanager counts: one with != or !~ is never empty.
    let is_empty = |it: &Matcher| {
        matches!(it.operator, Operator::Equal | Operator::Regex) && it.matches_value("")
    };
    if wish.matchers.iter().all(is_empty) {
        return invalid("matcher set 0: at least one matcher must not match the empty string");
    }
    if wish.ends_at < wish.starts_at {
        return invalid("end time must not be before start time");
    }
    Ok(())
}

/// Whether a silence may become another (`silence.canUpdate`): with the same matchers, and without rewriting what is past.
fn can_change(old: &Silence, new: &Silence, now: Timestamp) -> bool {
    same_matchers(&old.matchers, &new.matchers)
        && match old.state(now) {
            SilenceState::Active => {
                old.starts_at.as_second() == new.starts_at.as_second() && new.ends_at >= now
            }
            SilenceState::Pending => new.starts_at >= now,
            SilenceState::Expired => false,
        }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{
        Silence, SilenceError, SilenceId, SilenceLimits, SilenceState, Silences, Wish, keys_of,
    };
    use crate::{alert::Pairs, matcher::Matcher};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn wish(id: Option<SilenceId>, matchers: &str, starts: i64, ends: i64) -> Wish {
        Wish {
            id,
            matchers: Matcher::parse_all(matchers).unwrap(),
            starts_at: at(starts),
            ends_at: at(ends),
            created_by: "me".to_owned(),
            comment: "c".to_owned(),
            annotations: Pairs::new(),
        }
    }

    const NO_LIMITS: SilenceLimits = SilenceLimits { count: 0, size: 0 };

    #[test]
    fn ids() {
        let id = SilenceId::random([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(SilenceId::from_bytes(id.bytes()), id);
        for text in [
            "",
            "x",
            "ffffffffffff4fffbfffffffffffffff",
            "gfffffff-ffff-4fff-bfff-ffffffffffff",
        ] {
            assert_eq!(text.parse::<SilenceId>(), Err(()), "{text}");
        }
    }

    #[test]
    fn changes() {
        let mut silences = Silences::default();
        let id = |number: u8| SilenceId::random([number; 16]);
        let (first, _) = silences
            .set(wish(None, "a=b", 10, 100), id(1), NO_LIMITS, at(20))
            .unwrap();
        // A start that is past is now.
        assert_eq!(silences.get(first).unwrap().starts_at, at(20));
        // The same matchers: it is changed, and stays what it is.
        let (same, undo) = silences
            .set(wish(Some(first), "a=b", 20, 200), id(2), NO_LIMITS, at(30))
            .unwrap();
        assert_eq!(
            (same, silences.get(first).unwrap().ends_at),
            (first, at(200))
        );
        silences.undo(undo);
        assert_eq!(silences.get(first).unwrap().ends_at, at(100));
        // Others: the first ends, a second begins.
        let (second, undo) = silences
            .set(wish(Some(first), "a=c", 20, 200), id(2), NO_LIMITS, at(30))
            .unwrap();
        assert_eq!(second, id(2));
        assert_eq!(
            silences.get(first).unwrap().state(at(30)),
            SilenceState::Expired
        );
        assert_eq!(
            silences.get(second).unwrap().state(at(30)),
            SilenceState::Active
        );
        silences.undo(undo);
        assert_eq!(silences.get(second), None);
        assert_eq!(
            silences.get(first).unwrap().state(at(30)),
            SilenceState::Active
        );
        silences.expire(first, at(40)).unwrap();
        assert_eq!(silences.expire(first, at(50)).unwrap(), Vec::new());
        assert_eq!(silences.get(first).unwrap().ends_at, at(40));
        for (wish, limits, expect) in [
            (
                wish(Some(id(9)), "a=b", 0, 100),
                NO_LIMITS,
                SilenceError::NotFound,
            ),
            (
                wish(None, "a=b", 0, 100),
                SilenceLimits { count: 1, size: 0 },
                SilenceError::TooMany { count: 1, limit: 1 },
            ),
            (
                wish(None, "a=b", 0, 100),
                SilenceLimits { count: 0, size: 10 },
                SilenceError::TooLarge {
                    size: 73,
                    limit: 10,
                },
            ),
            (
                wish(None, "a=~\"b|\"", 0, 100),
                NO_LIMITS,
                SilenceError::Invalid(
                    "matcher set 0: at least one matcher must not match the empty string"
                        .to_owned(),
                ),
            ),
        ] {
            let found = silences.set(wish, id(3), limits, at(50));
            assert_eq!(found.map(|it| it.0), Err(expect));
        }
    }

    /// Whatever the matchers, what is found by keys is what is found by asking each.
    #[test]
    fn found_by_keys_or_one_by_one() {
        let mut silences = Silences::default();
        let all = [
            "a=x",
            "a!=x,b=c",
            "a=~\"x|y\"",
            "a=~\"x.*\"",
            "a=~\"(?i)x.*\"",
            "a=~\"(x|yy)[0-9]+\"",
            "a=~\".*1\"",
            "a!~\"x.*\",b=c",
            "a=~\"x?\",b=c",
            "a=~\"\",b=c",
            "a=~\"x1\"",
            "b=~\"c+\",a=x1",
            "a=~\"^x1$\"",
            "a=~\"[xy]1\"",
            "a=~\"x1|\",b=\"c\"",
        ];
        for (number, matchers) in (0_u8..).zip(all) {
            let wish = wish(None, matchers, 0, 100);
            silences
                .set(wish, SilenceId::random([number; 16]), NO_LIMITS, at(0))
                .unwrap();
        }
        let indexed = all.iter().filter(|it| {
            Matcher::parse_all(it)
                .unwrap()
                .iter()
                .any(|it| keys_of(it).is_some())
        });
        assert!(indexed.count() >= 10);
        for a in ["", "x", "X1", "x1", "x12", "y", "y1", "yy7", "z1"] {
            for b in ["", "c", "cc"] {
                let mut labels = Pairs::new();
                for (name, value) in [("a", a), ("b", b)] {
                    if !value.is_empty() {
                        labels.insert(name.to_owned(), value.to_owned());
                    }
                }
                let pairs = labels
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()));
                let found = silences.silencing(&labels, pairs, at(50));
                let expect: Vec<_> = silences
                    .iter()
                    .filter(|it| it.matches(&labels))
                    .map(|it| it.id)
                    .collect();
                assert_eq!(found, expect, "{labels:?}");
                let over = silences.silencing(&labels, [].into_iter(), at(100));
                assert_eq!(over, Vec::new());
            }
        }
        let gone: Vec<_> = silences.iter().map(|it| it.id).collect();
        for id in gone {
            assert!(
                silences
                    .remove(id)
                    .is_some_and(|it: std::sync::Arc<Silence>| it.id == id)
            );
        }
        assert_eq!((silences.by_key.len(), silences.others.len()), (0, 0));
    }
}
