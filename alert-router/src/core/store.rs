//! The alerts that are held, each once: by fingerprint, and by each of their labels.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasherDefault, Hasher},
    ops::Bound::{Excluded, Unbounded},
};

// Looked up by its keys, never walked: its order is nobody's.
use hashbrown::{HashMap, hash_map::Entry};
use jiff::Timestamp;

use super::group::GroupId;
use crate::{
    alert::{Alert, AlertError, Fingerprint, Labels as _, Life, Posted, packed::Packed},
    matcher::{Matcher, Operator},
};

/// Where an alert is held. Another may be there once it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AlertId(u32);

impl AlertId {
    const fn at(self) -> usize {
        self.0 as usize
    }
}

/// An alert as it is held.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) life: Life,
    pub(crate) texts: Packed,
    /// The groups that it is in.
    pub(super) groups: Groups,
    /// Whether it has left one of the groups of its routes.
    pub(super) left: bool,
    /// The heartbeat whose absence it is: such an alert is ours to make.
    pub(super) heartbeat: Option<u32>,
}

impl Held {
    pub(crate) fn alert(&self) -> Alert {
        Alert {
            labels: self.texts.labels().to_pairs(),
            annotations: self.texts.annotations().to_pairs(),
            starts_at: self.life.starts_at,
            ends_at: self.life.ends_at,
            generator_url: self.texts.generator_url().to_owned(),
        }
    }
}

/// Mostly one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum Groups {
    #[default]
    None,
    One(GroupId),
    Many(Box<[GroupId]>),
}

impl Groups {
    pub(super) fn as_slice(&self) -> &[GroupId] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub(super) fn of(groups: Vec<GroupId>) -> Self {
        match groups.as_slice() {
            [] => Self::None,
            [one] => Self::One(*one),
            _ => Self::Many(groups.into_boxed_slice()),
        }
    }

    fn without(&self, group: GroupId) -> Self {
        let rest = self.as_slice().iter().filter(|it| **it != group);
        Self::of(rest.copied().collect())
    }
}

/// What was last decided about an alert, for `alertmanager_alerts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Unprocessed,
    Active,
    Suppressed,
}

/// How many alerts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AlertLimits {
    pub(crate) all: usize,
    /// Of one name; 0 for as many as there may be at all.
    pub(crate) of_name: usize,
}

/// What an alert was before it was put, to take it back.
#[derive(Debug)]
pub(crate) enum Undo {
    New(AlertId),
    Changed {
        id: AlertId,
        life: Life,
        /// None when they are the same.
        texts: Option<Packed>,
    },
}

/// An alert that was put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Put {
    pub(crate) id: AlertId,
    pub(crate) is_new: bool,
    pub(crate) same_texts: bool,
}

/// Keys are hashes already (FNV-1a); the table wants their high bits mixed, too.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Those with a label of one value.
#[derive(Debug)]
enum Posting {
    One(AlertId),
    Many(Box<Many>),
}

#[derive(Debug)]
struct Many {
    /// In the order in which they came; those that are gone are taken out when they are half of it.
    ids: Vec<AlertId>,
    gone: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    held: Vec<Option<Held>>,
    /// Beside `held`, so that counting reads a megabyte and not all of it.
    marks: Vec<(Timestamp, Mark)>,
    free: Vec<AlertId>,
    by_fingerprint: BTreeMap<Fingerprint, AlertId>,
    by_label: HashMap<u64, Posting, BuildHasherDefault<AsItIs>>,
}

impl Store {
    pub(crate) fn len(&self) -> usize {
        self.by_fingerprint.len()
    }

    pub(crate) fn find(&self, fingerprint: Fingerprint) -> Option<AlertId> {
        self.by_fingerprint.get(&fingerprint).copied()
    }

    pub(crate) fn get(&self, id: AlertId) -> Option<&Held> {
        self.held.get(id.at())?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: AlertId) -> Option<&mut Held> {
        self.held.get_mut(id.at())?.as_mut()
    }

    pub(crate) fn by_fingerprint(&self, fingerprint: Fingerprint) -> Option<&Held> {
        self.get(self.find(fingerprint)?)
    }

    /// Those after a fingerprint, in their order.
    pub(crate) fn after(
        &self,
        fingerprint: Option<Fingerprint>,
    ) -> impl Iterator<Item = (AlertId, &Held)> {
        let from = fingerprint.map_or(Unbounded, Excluded);
        let ids = self.by_fingerprint.range((from, Unbounded));
        ids.filter_map(|(_, id)| Some((*id, self.get(*id)?)))
    }

    /// Takes an alert, merged with what is known of it.
    pub(super) fn put(
        &mut self,
        posted: Posted,
        life: Life,
        limits: AlertLimits,
    ) -> Result<(Put, Undo), AlertError> {
        let fingerprint = posted.texts.fingerprint();
        if let Some(id) = self.find(fingerprint)
            && let Some(held) = self.held.get_mut(id.at()).and_then(Option::as_mut)
        {
            let before = held.life;
            held.life = before.merged(life);
            let same_texts = held.texts == posted.texts;
            let texts = (!same_texts).then(|| std::mem::replace(&mut held.texts, posted.texts));
            if let Some((ends_at, _)) = self.marks.get_mut(id.at()) {
                *ends_at = held.life.ends_at;
            }
            let undo = Undo::Changed {
                id,
                life: before,
                texts,
            };
            let put = Put {
                id,
                is_new: false,
                same_texts,
            };
            return Ok((put, undo));
        }
        if self.len() >= limits.all {
            return Err(AlertError::Full(limits.all));
        }
        if limits.of_name > 0 {
            let name = posted.texts.value("alertname").unwrap_or("");
            if self.count_label("alertname", name) >= limits.of_name {
                return Err(AlertError::FullOfName(name.to_owned(), limits.of_name));
            }
        }
        let id = self.insert(fingerprint, life, posted.texts);
        let put = Put {
            id,
            is_new: true,
            same_texts: false,
        };
        Ok((put, Undo::New(id)))
    }

    fn insert(&mut self, fingerprint: Fingerprint, life: Life, texts: Packed) -> AlertId {
        for (name, value) in texts.labels() {
            // The place is known below; it is the same as here.
            let id = self.free.last().copied().unwrap_or_else(|| self.next_id());
            match self.by_label.entry(hash(name, value)) {
                Entry::Vacant(place) => {
                    place.insert(Posting::One(id));
                }
                Entry::Occupied(mut place) => match place.get_mut() {
                    Posting::One(first) => {
                        let ids = vec![*first, id];
                        place.insert(Posting::Many(Box::new(Many { ids, gone: 0 })));
                    }
                    Posting::Many(many) => many.ids.push(id),
                },
            }
        }
        let mark = (life.ends_at, Mark::Unprocessed);
        let held = Held {
            fingerprint,
            life,
            texts,
            groups: Groups::None,
            left: false,
            heartbeat: None,
        };
        let id = match self.free.pop() {
            Some(id) => {
                if let (Some(place), Some(its)) =
                    (self.held.get_mut(id.at()), self.marks.get_mut(id.at()))
                {
                    (*place, *its) = (Some(held), mark);
                }
                id
            }
            None => {
                let id = self.next_id();
                self.held.push(Some(held));
                self.marks.push(mark);
                id
            }
        };
        self.by_fingerprint.insert(fingerprint, id);
        id
    }

    /// There is a bound on alerts far below what fits.
    fn next_id(&self) -> AlertId {
        AlertId(u32::try_from(self.held.len()).unwrap_or(u32::MAX))
    }

    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::New(id) => drop(self.remove(id)),
            Undo::Changed { id, life, texts } => {
                let Some(held) = self.held.get_mut(id.at()).and_then(Option::as_mut) else {
                    return;
                };
                held.life = life;
                if let Some(texts) = texts {
                    held.texts = texts;
                }
                if let Some((ends_at, _)) = self.marks.get_mut(id.at()) {
                    *ends_at = life.ends_at;
                }
            }
        }
    }

    /// Takes an alert as it was.
    pub(super) fn restore(&mut self, life: Life, texts: Packed) {
        let fingerprint = texts.fingerprint();
        match self.find(fingerprint) {
            None => drop(self.insert(fingerprint, life, texts)),
            Some(id) => {
                if let Some(held) = self.get_mut(id) {
                    held.texts = texts;
                }
                self.restore_life(fingerprint, life);
            }
        }
    }

    /// Takes an alert's times as they were.
    pub(super) fn restore_life(&mut self, fingerprint: Fingerprint, life: Life) {
        let Some(id) = self.find(fingerprint) else {
            return;
        };
        self.set_ends_at(id, life.ends_at);
        if let Some(held) = self.get_mut(id) {
            held.life = life;
        }
    }

    /// Lets go of an alert.
    pub(super) fn remove(&mut self, id: AlertId) -> Option<Held> {
        let held = self.held.get_mut(id.at())?.take()?;
        self.by_fingerprint.remove(&held.fingerprint);
        self.free.push(id);
        if let Some(mark) = self.marks.get_mut(id.at()) {
            // A place that is free counts as over.
            *mark = (Timestamp::MIN, Mark::Unprocessed);
        }
        for (name, value) in held.texts.labels() {
            let key = hash(name, value);
            let is_empty = match self.by_label.get_mut(&key) {
                None => false,
                Some(Posting::One(_)) => true,
                Some(Posting::Many(many)) => {
                    many.gone += 1;
                    if many.gone * 2 > many.ids.len() {
                        let slots = &self.held;
                        let has = |id: &AlertId| {
                            let held = slots.get(id.at()).and_then(Option::as_ref);
                            held.is_some_and(|it| it.texts.value(name) == Some(value))
                        };
                        many.ids.retain(has);
                        many.ids.sort_unstable();
                        many.ids.dedup();
                        many.ids.shrink_to_fit();
                        many.gone = 0;
                    }
                    many.ids.is_empty()
                }
            };
            if is_empty {
                self.by_label.remove(&key);
            }
        }
        Some(held)
    }

    pub(super) fn leave(&mut self, id: AlertId, group: GroupId) {
        if let Some(held) = self.get_mut(id) {
            held.groups = held.groups.without(group);
            held.left = true;
        }
    }

    pub(super) fn mark(&mut self, id: AlertId, mark: Mark) {
        if let Some((_, its)) = self.marks.get_mut(id.at()) {
            *its = mark;
        }
    }

    pub(super) fn set_ends_at(&mut self, id: AlertId, ends_at: Timestamp) {
        if let Some(held) = self.get_mut(id) {
            held.life.ends_at = ends_at;
        }
        if let Some((its, _)) = self.marks.get_mut(id.at()) {
            *its = ends_at;
        }
    }

    /// Firing alerts: active, suppressed, unprocessed.
    pub(crate) fn count(&self, now: Timestamp) -> [(&'static str, u64); 3] {
        let (mut active, mut suppressed, mut unprocessed) = (0, 0, 0);
        for (ends_at, mark) in &self.marks {
            if *ends_at <= now {
                continue;
            }
            match mark {
                Mark::Active => active += 1,
                Mark::Suppressed => suppressed += 1,
                Mark::Unprocessed => unprocessed += 1,
            }
        }
        [
            ("active", active),
            ("suppressed", suppressed),
            ("unprocessed", unprocessed),
        ]
    }

    fn count_label(&self, name: &str, value: &str) -> usize {
        match self.by_label.get(&hash(name, value)) {
            None => 0,
            Some(Posting::One(_)) => 1,
            Some(Posting::Many(many)) => many.ids.len().saturating_sub(many.gone),
        }
    }

    /// Alerts that may match, sorted by fingerprint, when a matcher tells by a label's value; None: any may.
    pub(crate) fn candidates(&self, matchers: &[Matcher]) -> Option<Vec<(Fingerprint, AlertId)>> {
        let equal = matchers
            .iter()
            .filter(|it| it.operator == Operator::Equal && !it.value.is_empty());
        let best = equal.min_by_key(|it| self.count_label(&it.name, &it.value))?;
        let ids: &[AlertId] = match self.by_label.get(&hash(&best.name, &best.value)) {
            None => &[],
            Some(Posting::One(one)) => std::slice::from_ref(one),
            Some(Posting::Many(many)) => &many.ids,
        };
        let found: BTreeSet<_> = ids
            .iter()
            .filter_map(|id| {
                let held = self.get(*id)?;
                let has = held.texts.value(&best.name) == Some(&best.value);
                has.then_some((held.fingerprint, *id))
            })
            .collect();
        Some(found.into_iter().collect())
    }

    /// The bytes that are free at the end of tables after a storm are given back.
    pub(crate) fn shrink(&mut self) {
        while matches!(self.held.last(), Some(None)) {
            self.held.pop();
            self.marks.pop();
        }
        let length = self.held.len();
        self.free.retain(|it| it.at() < length);
        self.free.sort_unstable_by_key(|it| Reverse(*it));
        self.held.shrink_to_fit();
        self.marks.shrink_to_fit();
        self.free.shrink_to_fit();
        self.by_label.shrink_to_fit();
    }
}

fn hash(name: &str, value: &str) -> u64 {
    Fingerprint::of_sorted(std::iter::once((name, value))).number()
}
