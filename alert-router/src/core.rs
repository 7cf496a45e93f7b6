//! The state machine: alerts in, notifications out. No I/O, no clock, no threads: `now` is an argument, so a day of alerts
//! runs in a millisecond and is the same every time.
//!
//! Whoever drives it gives it what happened, keeps what [`Core::take_records`] gives where a crash cannot reach it, then calls
//! [`Core::poll`] until it gives nothing more (and keeps the records of that before anything is sent), and again when
//! [`Core::next_deadline`] has come. After a crash, [`Core::restore`] takes the records.

mod dedup;
mod digest;
mod group;
mod heartbeat;
mod inhibit;
pub(crate) mod record;
mod restore;
mod retry;
pub(crate) mod silence;
pub(crate) mod store;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use self::{
    dedup::{News, Owed, Reason, Told},
    digest::Digests,
    group::{Line, REST, group_labels, integration_key, kept_key, rest_labels},
    heartbeat::Heartbeats,
    record::Record,
    silence::{SilenceError, SilenceId, SilenceLimits, SilenceUndo, Silences, Wish},
    store::{AlertId, AlertLimits, Mark, Put, Store, Undo},
};
pub(crate) use self::{
    group::{Group, GroupId, Groups, label_order, order as alert_order},
    inhibit::Inhibitor,
    record::IntegrationKey,
    restore::Cursor,
    retry::Pauses,
};
use crate::{
    alert::{Alert, AlertError, Fingerprint, Life, Pairs, Posted, after, packed::Packed},
    config::{Config, Integration, Route},
};

/// Notifications that are on their way to one integration at a time; more wait, and tell the newer state when it is their turn.
const UNDER_WAY: usize = 16;
/// A receiver that fails for so long has what it should have been told go to its fallback, too.
const PATIENCE: Duration = Duration::from_secs(300);
/// More silences that are over are not looked for at once.
const GC_INTERVAL: Duration = Duration::from_secs(60);

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// A notification arrived.
    Sent { id: u64, memory: Memory },
    /// It did not.
    Failed {
        id: u64,
        retry: Retry,
        memory: Memory,
    },
    /// The configuration changed.
    Reload(Arc<Config>),
}

/// What a failure means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Again, with growing pauses.
    Backoff,
    /// Again, but not earlier: the receiver said so.
    After(Duration),
    /// The receiver refuses it; it is tried again with the next notification of the group.
    No,
}

/// What is to be done: tell people.
#[derive(Debug, Clone)]
pub(crate) struct Notification {
    /// For the answer, [`Input::Sent`] or [`Input::Failed`].
    pub(crate) id: u64,
    pub(crate) integration: Arc<Integration>,
    pub(crate) group_key: String,
    pub(crate) group_labels: Pairs,
    /// In Alertmanager's order. Without the resolved ones where nobody wants to hear of them.
    pub(crate) alerts: Vec<(Fingerprint, Alert, Status)>,
    /// Counted from 1.
    pub(crate) attempt: u32,
    /// For templates: those of the route.
    pub(crate) route_labels: Pairs,
    /// Why people are told, in Alertmanager's words; for templates.
    pub(crate) reason: &'static str,
    /// What the integration noted when it last told of this group; see [`Memory`].
    pub(crate) memory: Memory,
}

/// What an integration wants to remember of a group, and gets back with the next notification of it, also after a restart: the
/// message to update (Slack's `channel` and `ts`), who has a mail that others have not.
pub(crate) type Memory = BTreeMap<String, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Firing,
    Resolved,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// How much is held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) alerts: AlertLimits,
    pub(crate) silences: SilenceLimits,
    /// Further groups of a route are one.
    pub(crate) groups: usize,
}

/// How long what is over is kept, when notifications begin, and how far apart tries are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) retention: Duration,
    /// Nothing is told before.
    pub(crate) start: Timestamp,
    pub(crate) pauses: Pauses,
}

/// Everything that is known.
pub(crate) struct Core {
    config: Arc<Config>,
    limits: Limits,
    times: Times,
    store: Store,
    silences: Silences,
    inhibitor: Inhibitor,
    groups: Groups,
    /// The clock of the last record, while they are restored.
    alive: Timestamp,
    is_restoring: bool,
    /// All groups are being made anew: after a restart, or for another configuration.
    is_rebuilding: bool,
    /// Then, whether people were told of something in a group of all the rest.
    has_told_rest: bool,
    /// What was told of groups that are not there (yet): while records are restored, and while a configuration changes.
    told: BTreeMap<String, Lines>,
    heartbeats: Heartbeats,
    digests: Digests,
    /// Notifications on their way, by their ids.
    under_way: BTreeMap<u64, UnderWay>,
    /// How many of them for each integration, and whose turn is next.
    places: BTreeMap<IntegrationKey, Place>,
    ready: VecDeque<Notification>,
    next_id: u64,
    /// Silences that are long over are looked for then.
    gc_at: Timestamp,
    records: Vec<u8>,
    /// What changed, for the history.
    changes: Vec<Change>,
    pub(crate) counts: Counts,
}

/// An alert began or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) status: Status,
    pub(crate) texts: Packed,
}

/// What counters show.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) inhibited: u64,
    pub(crate) silenced: u64,
    pub(crate) muted: u64,
    pub(crate) inactive: u64,
    /// Alerts refused because there are too many.
    pub(crate) limited: u64,
    /// Alerts that are in the group of all the rest, because there are too many groups.
    pub(crate) groups_limited: u64,
    pub(crate) digests: u64,
    pub(crate) fallbacks: u64,
}

/// The lines of a group that is not there.
type Lines = BTreeMap<IntegrationKey, Kept>;

/// What is kept of a line when its group is not there.
#[derive(Debug, Default, Clone)]
struct Kept {
    told: Option<Told>,
    owed: Option<Owed>,
    memory: Memory,
    /// The notification that is on its way for it, and its place there.
    under_way: Option<(u64, usize)>,
}

/// A notification on its way.
#[derive(Debug)]
struct UnderWay {
    lines: Vec<Carried>,
    integration: IntegrationKey,
    /// Whether it stands for them in a digest.
    is_digest: bool,
}

/// A line that a notification tells.
#[derive(Debug)]
struct Carried {
    group: GroupId,
    at: usize,
    /// What it is told then.
    told: Told,
    /// What it is owed then: of alerts that are kept quiet.
    rest: Option<Owed>,
    /// What it was owed before: so it is again when this one is refused.
    owed: Option<Owed>,
}

impl Prepared {
    /// Whether all of it was refused.
    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty()
    }
}

/// How many notifications are on their way to an integration, and who waits for a place.
#[derive(Debug, Default)]
struct Place {
    taken: usize,
    waiting: VecDeque<(GroupId, usize)>,
    /// Since when nothing arrives there.
    failing_since: Option<Timestamp>,
}

/// Alerts of one sender that were put and wait to be kept.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) results: Vec<Result<Status, AlertError>>,
    undo: Vec<Undo>,
    puts: Vec<(Put, Status, Status)>,
    /// Where their records begin.
    records: usize,
}

impl Core {
    pub(crate) fn new(config: Arc<Config>, limits: Limits, times: Times) -> Self {
        let store = Store::default();
        let mut core = Self {
            inhibitor: Inhibitor::new(&config, &store),
            heartbeats: Heartbeats::new(&config, times.start),
            digests: Digests::default(),
            config,
            limits,
            times,
            store,
            silences: Silences::default(),
            groups: Groups::default(),
            alive: Timestamp::MIN,
            is_restoring: false,
            is_rebuilding: false,
            has_told_rest: false,
            told: BTreeMap::new(),
            under_way: BTreeMap::new(),
            places: BTreeMap::new(),
            ready: VecDeque::new(),
            next_id: 1,
            gc_at: times.start,
            records: Vec::new(),
            changes: Vec::new(),
            counts: Counts::default(),
        };
        core.gc_at = after(times.start, GC_INTERVAL);
        core
    }

    pub(crate) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) const fn silences(&self) -> &Silences {
        &self.silences
    }

    pub(crate) const fn inhibitor(&self) -> &Inhibitor {
        &self.inhibitor
    }

    pub(crate) const fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Receivers that wait, longest queue first counted: notifications that are due and have no place yet.
    pub(crate) fn waiting(&self) -> usize {
        self.places.values().map(|it| it.waiting.len()).sum()
    }

    /// Takes alerts from a sender; says of each that is refused why. The others are put, and their records made: [`Core::commit`]
    /// when these are kept, else [`Core::undo`].
    pub(crate) fn prepare(&mut self, posted: Vec<Posted>, now: Timestamp) -> Prepared {
        let mut prepared = Prepared {
            results: Vec::with_capacity(posted.len()),
            undo: Vec::with_capacity(posted.len()),
            puts: Vec::with_capacity(posted.len()),
            records: self.records.len(),
        };
        for posted in posted {
            let result = self.prepare_one(posted, now, &mut prepared);
            if matches!(
                result,
                Err(AlertError::Full(_) | AlertError::FullOfName(..))
            ) {
                self.counts.limited += 1;
            }
            prepared.results.push(result);
        }
        prepared
    }

    fn prepare_one(
        &mut self,
        posted: Posted,
        now: Timestamp,
        prepared: &mut Prepared,
    ) -> Result<Status, AlertError> {
        let life = posted.check(now, self.config.resolve_timeout)?;
        let said = status_of(life.resolved(now));
        let (put, undo) = self.store.put(posted, life, self.limits.alerts)?;
        let before = match &undo {
            Undo::New(_) => Status::Resolved,
            Undo::Changed { life, .. } => status_of(life.resolved(now)),
        };
        if let Some(held) = self.store.get(put.id) {
            let record = if put.same_texts {
                Record::Life {
                    fingerprint: held.fingerprint,
                    life: held.life,
                }
            } else {
                Record::Alert {
                    life: held.life,
                    texts: &held.texts,
                }
            };
            record.write(&mut self.records);
        }
        prepared.undo.push(undo);
        prepared.puts.push((put, before, said));
        Ok(said)
    }

    /// The records of what was prepared.
    pub(crate) fn prepared_records(&self, prepared: &Prepared) -> &[u8] {
        self.records.get(prepared.records..).unwrap_or_default()
    }

    /// What was prepared could not be kept: it never was.
    pub(crate) fn undo(&mut self, prepared: Prepared) {
        self.records.truncate(prepared.records);
        for undo in prepared.undo.into_iter().rev() {
            self.store.undo(undo);
        }
    }

    /// What was prepared is kept.
    pub(crate) fn commit(
        &mut self,
        prepared: Prepared,
        now: Timestamp,
    ) -> Vec<Result<Status, AlertError>> {
        self.records.truncate(prepared.records);
        for (put, before, _) in prepared.puts {
            let Some(held) = self.store.get(put.id) else {
                continue;
            };
            let status = status_of(held.life.resolved(now));
            if status != before {
                self.changes.push(Change {
                    fingerprint: held.fingerprint,
                    status,
                    texts: held.texts.clone(),
                });
            }
            if put.is_new {
                self.inhibitor.add(held.fingerprint, &held.texts);
            }
            if status == Status::Firing {
                let seen = self.heartbeats.saw(&held.texts, now);
                for name in seen {
                    Record::Heartbeat {
                        name: &name,
                        seen: now,
                    }
                    .write(&mut self.records);
                }
            }
            self.route(put.id, now);
        }
        self.beat(now);
        prepared.results
    }

    /// Makes or changes a silence; what changed is taken back by [`Core::undo_silence`] when it cannot be kept.
    pub(crate) fn set_silence(
        &mut self,
        wish: Wish,
        fresh: SilenceId,
        now: Timestamp,
    ) -> Result<(SilenceId, SilenceUndo), SilenceError> {
        let (id, undo) = self.silences.set(wish, fresh, self.limits.silences, now)?;
        self.record_silences(&undo);
        Ok((id, undo))
    }

    pub(crate) fn expire_silence(
        &mut self,
        id: SilenceId,
        now: Timestamp,
    ) -> Result<SilenceUndo, SilenceError> {
        let undo = self.silences.expire(id, now)?;
        self.record_silences(&undo);
        Ok(undo)
    }

    pub(crate) fn undo_silence(&mut self, undo: SilenceUndo) {
        self.silences.undo(undo);
    }

    fn record_silences(&mut self, changed: &SilenceUndo) {
        for (id, _) in changed {
            if let Some(silence) = self.silences.get(*id) {
                Record::Silence(silence).write(&mut self.records);
            }
        }
    }

    /// What must be kept before anybody is told or answered, since the last time.
    pub(crate) fn take_records(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.records)
    }

    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Takes what happened.
    pub(crate) fn handle(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Sent { id, memory } => self.sent(id, &memory, now),
            Input::Failed { id, retry, memory } => self.failed(id, retry, &memory, now),
            Input::Reload(config) => self.reload(config, now),
        }
    }

    fn sent(&mut self, id: u64, memory: &Memory, now: Timestamp) {
        let Some(done) = self.under_way.remove(&id) else {
            return;
        };
        // A digest's message is not the group's, to be updated by the next one.
        let none = Memory::new();
        let memory = if done.is_digest { &none } else { memory };
        for Carried {
            group,
            at,
            mut told,
            rest,
            ..
        } in done.lines
        {
            told.memory.clone_from(memory);
            let Some(line) = self.line_under_way(group, at, id) else {
                continue;
            };
            line.told = Some(told);
            line.owed = rest;
            line.memory.clone_from(memory);
            line.under_way = None;
            line.rest();
            // What there was to tell meanwhile is told now.
            let has_missed = std::mem::take(&mut line.has_missed);
            line.waits |= has_missed;
            self.record_told(group, at);
            if has_missed {
                self.poke(group);
            }
            self.settle(group, now);
        }
        self.free_place(&done.integration, None);
    }

    fn failed(&mut self, id: u64, retry: Retry, memory: &Memory, now: Timestamp) {
        let Some(failed) = self.under_way.remove(&id) else {
            return;
        };
        let pauses = self.times.pauses;
        for Carried {
            group, at, owed, ..
        } in failed.lines
        {
            let key = self.groups.get(group).map(Group::kept_key);
            let key = key.as_deref().unwrap_or_default();
            let Some(line) = self.line_under_way(group, at, id) else {
                continue;
            };
            line.under_way = None;
            // It is told what there is by then.
            line.has_missed = false;
            line.is_open = true;
            line.failures = line.failures.saturating_add(1);
            line.failing_since.get_or_insert(now);
            line.memory.clone_from(memory);
            line.is_refused = retry == Retry::No;
            let due = pauses.next(retry, line.failures, id, now);
            let (mut records, mut again) = (Vec::new(), None);
            let is_refused = retry == Retry::No && line.owed != owed;
            if is_refused {
                // It is known not to have heard this, and may have heard what was told before.
                line.owed = owed;
                Record::Refused {
                    group: key,
                    integration: &failed.integration,
                }
                .write(&mut records);
            }
            if !memory.is_empty() || (is_refused && line.owed.is_some()) {
                Record::Intent {
                    group: key,
                    integration: &failed.integration,
                    owed: line.owed.as_ref().unwrap_or(&Owed::default()),
                    memory,
                }
                .write(&mut records);
            }
            if failed.is_digest
                && let Some(due) = due
            {
                // A digest that failed is made anew, with what fires by then.
                line.in_digest = true;
                again = Some(due);
            } else {
                line.retry_at = due;
            }
            self.records.append(&mut records);
            if let (Some(due), Some(held)) = (again, self.groups.get(group)) {
                self.digests.add(held.route.index, (group, at), due);
            }
            // A fallback may have to be told.
            self.poke(group);
        }
        self.free_place(&failed.integration, Some(now));
    }

    /// Has a group looked at before its time.
    fn poke(&mut self, id: GroupId) {
        if let Some(group) = self.groups.get_mut(id) {
            group.poked = true;
        }
        self.groups.schedule(id);
    }

    /// A line, when a notification is on its way for it.
    fn line_under_way(&mut self, group: GroupId, at: usize, id: u64) -> Option<&mut Line> {
        let line = self.groups.get_mut(group)?.lines.get_mut(at)?;
        (line.under_way == Some(id)).then_some(line)
    }

    fn record_told(&mut self, group: GroupId, at: usize) {
        let Some(group) = self.groups.get(group) else {
            return;
        };
        if let Some(line) = group.lines.get(at)
            && let Some(told) = &line.told
        {
            let (group, integration) = (&group.kept_key(), &integration_key(&line.integration));
            Record::Told {
                group,
                integration,
                told,
            }
            .write(&mut self.records);
            // With the record before it nothing is owed.
            if let Some(owed) = &line.owed {
                Record::Intent {
                    group,
                    integration,
                    owed,
                    memory: &line.memory,
                }
                .write(&mut self.records);
            }
        }
    }

    /// A notification is not on its way any more; `failed` says when it failed, where it did.
    fn free_place(&mut self, integration: &IntegrationKey, failed: Option<Timestamp>) {
        if let Some(place) = self.places.get_mut(integration) {
            place.taken = place.taken.saturating_sub(1);
            place.failing_since = failed.map(|now| place.failing_since.unwrap_or(now));
            if place.taken == 0 && place.waiting.is_empty() && place.failing_since.is_none() {
                self.places.remove(integration);
            }
        }
    }

    /// Lets groups look again that wait for a place where there is one; says whether there are any.
    fn wake_waiting(&mut self) -> bool {
        let mut woken = Vec::new();
        for place in self.places.values_mut() {
            let free = UNDER_WAY.saturating_sub(place.taken);
            let count = free.min(place.waiting.len());
            woken.extend(place.waiting.drain(..count));
        }
        for (id, at) in &woken {
            if let Some(line) = self.line(*id, *at) {
                line.is_queued = false;
            }
            self.poke(*id);
        }
        !woken.is_empty()
    }

    fn reload(&mut self, config: Arc<Config>, now: Timestamp) {
        let mut places = BTreeMap::new();
        for (id, under_way) in &mut self.under_way {
            for (place, line) in under_way.lines.iter_mut().enumerate() {
                places.insert((line.group, line.at), (*id, place));
                line.at = usize::MAX;
            }
        }
        // Groups begin anew; what was told of them, and what is on its way, is found again by their keys.
        for (id, group) in self.groups.iter() {
            let kept = group.lines.iter().enumerate().map(|(at, line)| {
                let kept = Kept {
                    told: line.told.clone(),
                    owed: line.owed.clone(),
                    memory: line.memory.clone(),
                    under_way: places.get(&(id, at)).copied(),
                };
                (integration_key(&line.integration), kept)
            });
            self.told.insert(group.kept_key(), kept.collect());
        }
        self.groups = Groups::default();
        self.config = config;
        self.ready.clear();
        self.places.clear();
        for under_way in self.under_way.values() {
            let place = self.places.entry(under_way.integration.clone());
            place.or_default().taken += 1;
        }
        self.digests = Digests::default();
        self.inhibitor = Inhibitor::new(&self.config, &self.store);
        self.heartbeats.reload(&self.config, now);
        self.route_all(now);
    }

    /// Puts every alert into its groups, and forgets what was told of groups that are no more.
    fn route_all(&mut self, now: Timestamp) {
        let all: Vec<AlertId> = self.store.after(None).map(|it| it.0).collect();
        self.is_rebuilding = true;
        self.has_told_rest = self.told.keys().any(|it| group::may_be_rest(it));
        for id in all {
            if let Some(held) = self.store.get_mut(id) {
                held.groups = store::Groups::None;
            }
            self.route(id, now);
        }
        self.is_rebuilding = false;
        for key in std::mem::take(&mut self.told).keys() {
            Record::GroupGone(key).write(&mut self.records);
        }
        self.beat(now);
    }

    /// The next notification that is due. To be called until there is none.
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<Notification> {
        if self.ready.is_empty() {
            self.beat(now);
            self.run_due(now);
            self.run_digests(now);
            self.collect_garbage(now);
        }
        self.ready.pop_front()
    }

    /// When [`Core::poll`] may have something to give without further input.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let told = [self.groups.next_deadline(), self.digests.next_deadline()];
        let told = told
            .into_iter()
            .flatten()
            .map(|it| it.max(self.times.start));
        let others = [
            self.heartbeats.next_deadline(),
            (self.silences.len() > 0).then_some(self.gc_at),
        ];
        told.chain(others.into_iter().flatten()).min()
    }

    /// The routes of an alert, in their order.
    fn routes(&self, held: &store::Held) -> Vec<Arc<Route>> {
        match held.heartbeat.and_then(|it| self.heartbeats.route(it)) {
            Some(route) => vec![route],
            None => self.config.route.matching(&held.texts),
        }
    }

    /// The receivers that an alert goes to, in the order of its routes.
    pub(crate) fn receivers(&self, held: &store::Held) -> Vec<Arc<Route>> {
        self.routes(held)
    }

    /// The same, where its groups tell: faster, as routes need not be matched again.
    pub(crate) fn receivers_by_groups<'a>(
        &'a self,
        held: &'a store::Held,
    ) -> Option<impl Iterator<Item = &'a str>> {
        let groups = held.groups.as_slice();
        (!held.left && !groups.is_empty()).then(|| {
            let groups = groups.iter().filter_map(|it| self.groups.get(*it));
            groups.map(|it| it.route.receiver.as_str())
        })
    }

    /// Puts an alert into the groups of its routes; one that is over, and of which nobody was told, is let go.
    fn route(&mut self, id: AlertId, now: Timestamp) {
        let Some(held) = self.store.get(id) else {
            return;
        };
        // Its labels are the same, so its groups are.
        if !held.left && !held.groups.as_slice().is_empty() {
            return;
        }
        let mut groups = Vec::new();
        for route in self.routes(held) {
            let Some(group) = self.group_for(&route, id, now) else {
                continue;
            };
            if let Some(held) = self.groups.get_mut(group) {
                held.alerts.insert(id);
            }
            groups.push(group);
        }
        if groups.is_empty() {
            self.let_go(id);
        } else if let Some(held) = self.store.get_mut(id) {
            held.groups = store::Groups::of(groups);
            held.left = false;
        }
    }

    /// The group of an alert in a route, made where there is none; None when it is over and nobody was told of it there.
    fn group_for(&mut self, route: &Arc<Route>, id: AlertId, now: Timestamp) -> Option<GroupId> {
        let held = self.store.get(id)?;
        let (fingerprint, life) = (held.fingerprint, held.life);
        let labels = group_labels(route, held.texts.labels());
        let own = Fingerprint::of_sorted(labels.iter().copied());
        let was_of_rest = self.was_of_rest(route, fingerprint);
        if let Some(group) = self.groups.find((route.index, own))
            && !was_of_rest
        {
            return self.joins(group, fingerprint, life, now);
        }
        let labels = labels.into_iter();
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (mut key, mut labels) = ((route.index, own), labels.collect());
        let mut kept_key = self.kept_key(route, &labels);
        // One that there was before is there again.
        let is_full = self.groups.len() >= self.limits.groups && kept_key.is_none();
        if is_full || was_of_rest {
            key = (route.index, REST);
            if let Some(group) = self.groups.find(key) {
                self.counts.groups_limited += 1;
                return self.joins(group, fingerprint, life, now);
            }
            labels = rest_labels();
            kept_key = self.kept_key(route, &labels);
        }
        let kept = kept_key.as_ref().and_then(|it| self.told.get(it));
        let heard = |it: &Kept| it.has_heard_of(fingerprint);
        if life.resolved(now) && !kept.is_some_and(|it| it.values().any(heard)) {
            return None;
        }
        self.counts.groups_limited += u64::from(is_full);
        self.digests.began(route, now);
        let mut group = Group::new(Arc::clone(route), labels, key, now);
        if after(life.starts_at, route.group_wait) < now {
            // An alert that has waited elsewhere (before a restart, say) does not wait again.
            group.next_flush = now;
        } else if self.is_restoring {
            // What it waited before the restart counts.
            let waited = after(life.starts_at, route.group_wait);
            group.next_flush = group.next_flush.min(waited);
        }
        group.next_flush = group.next_flush.max(self.times.start);
        let group = self.groups.add(group);
        let kept = kept_key.and_then(|it| self.told.remove(&it));
        self.attach(group, kept.unwrap_or_default());
        Some(group)
    }

    /// Where it is kept what a group was told that is not there, if anything is.
    fn kept_key(&self, route: &Route, labels: &Pairs) -> Option<String> {
        if self.told.is_empty() {
            return None;
        }
        Some(kept_key(route, labels)).filter(|it| self.told.contains_key(it))
    }

    /// Whether an alert joins a group that is there: when groups are made anew, one that is over and of which nobody was told
    /// there has left it before.
    fn joins(
        &self,
        group: GroupId,
        alert: Fingerprint,
        life: Life,
        now: Timestamp,
    ) -> Option<GroupId> {
        let lines = || self.groups.get(group).into_iter().flat_map(|it| &it.lines);
        let has_left =
            self.is_rebuilding && life.resolved(now) && !lines().any(|it| it.has_heard_of(alert));
        (!has_left).then_some(group)
    }

    /// Whether people were told of an alert in the group of all the rest, when groups are made anew.
    fn was_of_rest(&self, route: &Route, alert: Fingerprint) -> bool {
        if !self.is_rebuilding || !self.has_told_rest {
            return false;
        }
        let group = self.groups.find((route.index, REST));
        let mut lines = group
            .and_then(|it| self.groups.get(it))
            .into_iter()
            .flat_map(|it| &it.lines);
        let kept = self.told.get(&kept_key(route, &rest_labels()));
        let mut kept = kept.into_iter().flat_map(BTreeMap::values);
        lines.any(|it| it.has_heard_of(alert)) || kept.any(|it| it.has_heard_of(alert))
    }

    /// Gives a new group what was told of it under another configuration, or before a restart.
    fn attach(&mut self, id: GroupId, kept: Lines) {
        for (key, kept) in kept {
            let integrations = self.config.receivers.iter().flat_map(|it| &it.integrations);
            let mut same = integrations.filter(|it| integration_key(it) == key);
            let Some(integration) = same.next() else {
                continue;
            };
            let Some(group) = self.groups.get_mut(id) else {
                return;
            };
            let mut line = Line::new(integration, key.receiver != group.route.receiver);
            line.told = kept.told;
            line.owed = kept.owed;
            line.memory = kept.memory;
            if let Some((number, place)) = kept.under_way
                && let Some(under_way) = self.under_way.get_mut(&number)
                && let Some(its) = under_way.lines.get_mut(place)
            {
                (its.group, its.at) = (id, group.lines.len());
                line.under_way = Some(number);
            }
            group.lines.push(line);
        }
    }

    fn let_go(&mut self, id: AlertId) {
        if let Some(gone) = self.store.remove(id) {
            self.inhibitor.remove(gone.fingerprint, &gone.texts);
        }
    }

    fn run_due(&mut self, now: Timestamp) {
        if now < self.times.start {
            return;
        }
        loop {
            while let Some(id) = self.groups.due(now) {
                self.run(id, now);
                self.settle(id, now);
            }
            if !self.wake_waiting() {
                return;
            }
        }
    }

    /// What of a group is not kept quiet, and what keeps the rest quiet.
    fn loud(&self, group: &Group, now: Timestamp) -> Loud {
        let mut loud = Loud::default();
        let inside = |it: &&Arc<crate::calendar::TimeIntervals>| it.contains(now);
        let (active, mute) = (
            &group.route.active_time_intervals,
            &group.route.mute_time_intervals,
        );
        let name = |it: &Arc<crate::calendar::TimeIntervals>| it.name.clone();
        let is_inactive = !active.is_empty() && !active.iter().any(|it| it.contains(now));
        if is_inactive {
            loud.muted_by = active.iter().map(name).collect();
        } else {
            loud.muted_by = mute.iter().filter(inside).map(name).collect();
        }
        for id in &group.alerts {
            let Some(held) = self.store.get(*id) else {
                continue;
            };
            let all = loud.alerts.len();
            let is_inhibited = self
                .inhibitor
                .inhibited_by(&held.texts, &self.store, now)
                .is_some();
            let is_silenced = !self
                .silences
                .silencing(&held.texts, held.texts.labels(), now)
                .is_empty();
            let mark = if is_inhibited || is_silenced {
                Mark::Suppressed
            } else {
                Mark::Active
            };
            loud.marks.push((*id, mark));
            if is_inhibited {
                loud.inhibited += 1;
            } else if is_inactive {
                loud.inactive += 1;
            } else if !loud.muted_by.is_empty() {
                loud.muted += 1;
            } else if is_silenced {
                loud.silenced += 1;
            } else {
                let status = status_of(held.life.resolved(now));
                loud.alerts.push((*id, held.fingerprint, status));
            }
            if loud.alerts.len() == all {
                loud.quiet.push(held.fingerprint);
                if held.life.resolved(now) {
                    loud.quiet_ends.push(held.fingerprint);
                }
            }
        }
        loud.quiet.sort_unstable();
        loud.quiet_ends.sort_unstable();
        loud
    }

    /// Sees whom of a group's receivers to tell now.
    fn run(&mut self, id: GroupId, now: Timestamp) {
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        let flushed = group.flush_if_due(now);
        let poked = std::mem::take(&mut group.poked);
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let route = Arc::clone(&group.route);
        let loud = self.loud(group, now);
        for (alert, mark) in &loud.marks {
            self.store.mark(*alert, *mark);
        }
        if flushed {
            self.counts.inhibited += loud.inhibited;
            self.counts.inactive += loud.inactive;
            self.counts.muted += loud.muted;
            self.counts.silenced += loud.silenced;
        }
        let news = loud.news();
        let told_of_rest = self.add_lines(id, &route, now);
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        group.muted_by.clone_from(&loud.muted_by);
        if !loud.quiet_ends.is_empty() {
            self.owe_ends(id, &loud.quiet_ends);
        }
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        if loud.alerts.is_empty() {
            // Nothing is said of the group, and what was told of it stays told, as in Alertmanager. Ends that are owed wait.
            for line in &mut group.lines {
                if line.under_way.is_none() {
                    line.rest();
                    line.in_digest = false;
                }
            }
            self.groups.schedule(id);
            return;
        }
        let lines = group.lines.len();
        for at in 0..lines {
            let Some(line) = self.groups.get(id).and_then(|it| it.lines.get(at)) else {
                continue;
            };
            let is_due = flushed
                || line.waits
                || line.retry_at.is_some_and(|it| it <= now)
                || (line.is_fallback && poked);
            if line.under_way.is_some() {
                if is_due && let Some(line) = self.line(id, at) {
                    line.has_missed = true;
                }
                continue;
            }
            if line.in_digest || !is_due {
                continue;
            }
            if line.is_fallback && told_of_rest.contains(&line.integration.receiver) {
                // It is not needed any more; it hears the end of what it was told of.
                let news = news.of(line);
                let wants = line.integration.send_resolved || news.firing.is_empty();
                if wants && news.resolved.iter().any(|it| line.has_heard_of(*it)) {
                    let alerts = loud.alerts.iter().filter(|it| news.has(it.1));
                    let alerts: Vec<_> = alerts.copied().collect();
                    self.consider(id, at, &news, &alerts, &loud.quiet, now);
                } else if let Some(line) = self.line(id, at) {
                    line.rest();
                }
                continue;
            }
            self.consider(id, at, &news, &loud.alerts, &loud.quiet, now);
        }
        self.groups.schedule(id);
    }

    /// People do not hear now that alerts are over. When these are not kept quiet any more they are told how it went on: of the end, or
    /// of another beginning.
    fn owe_ends(&mut self, id: GroupId, ends: &[Fingerprint]) {
        let lines = self.groups.get(id).map_or(0, |it| it.lines.len());
        for at in 0..lines {
            if self.line(id, at).is_some_and(|it| it.owe_ends(ends)) {
                self.record_told(id, at);
            }
        }
    }

    /// Sees that a group has a line for each integration of its receiver, and of those that stand in for it. Gives the receivers that
    /// stood in and need not any more.
    fn add_lines(&mut self, id: GroupId, route: &Route, now: Timestamp) -> Vec<String> {
        let config = Arc::clone(&self.config);
        let Some(group) = self.groups.get_mut(id) else {
            return Vec::new();
        };
        let mut receiver = config.receiver(&route.receiver);
        let mut is_fallback = false;
        let mut needed = Vec::new();
        // No configuration has cycles of fallbacks.
        while let Some(its) = receiver {
            needed.push(its.name.clone());
            for integration in &its.integrations {
                if !group.lines.iter().any(|it| it.is_of(integration)) {
                    group.lines.push(Line::new(integration, is_fallback));
                    if is_fallback {
                        self.counts.fallbacks += 1;
                    }
                }
            }
            let lines = group
                .lines
                .iter()
                .filter(|it| it.integration.receiver == its.name);
            let mut failing = lines.filter(|it| {
                let long = |since| after(since, PATIENCE) <= now;
                let place = self.places.get(&integration_key(&it.integration));
                // Who waits behind those that fail is no better off.
                let blocked = place.filter(|_| it.waits).and_then(|it| it.failing_since);
                it.is_refused || it.failing_since.or(blocked).is_some_and(long)
            });
            if its.unsent.is_empty() && failing.next().is_none() {
                break;
            }
            receiver = its.fallback.as_deref().and_then(|it| config.receiver(it));
            is_fallback = true;
        }
        let others = group.lines.iter().filter(|it| it.is_fallback);
        let others = others.filter(|it| !needed.contains(&it.integration.receiver));
        others.map(|it| it.integration.receiver.clone()).collect()
    }

    fn line(&mut self, group: GroupId, at: usize) -> Option<&mut Line> {
        self.groups.get_mut(group)?.lines.get_mut(at)
    }

    /// Sees whether a line is to be told, and tells it.
    fn consider(
        &mut self,
        id: GroupId,
        at: usize,
        news: &News,
        alerts: &[(AlertId, Fingerprint, Status)],
        quiet: &[Fingerprint],
        now: Timestamp,
    ) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let Some(line) = group.lines.get(at) else {
            return;
        };
        let integration = Arc::clone(&line.integration);
        let reason = dedup::needs_update(
            line.told.as_ref(),
            line.owed.as_ref(),
            news,
            quiet,
            integration.send_resolved,
            group.route.repeat_interval,
            now,
        );
        let Some(reason) = reason else {
            if let Some(line) = self.line(id, at) {
                line.rest();
            }
            return;
        };
        let told = line.told_then(news, quiet, now);
        let rest = line.rest_of(quiet);
        if news.firing.is_empty() && !integration.send_resolved {
            // Nobody wants to hear of the end, but what was told is remembered.
            if let Some(line) = self.line(id, at) {
                line.told = Some(told);
                line.owed = rest;
                line.rest();
            }
            self.record_told(id, at);
            return;
        }
        if let Some(due) = self.digests.takes(&group.route, reason, now) {
            self.digests.add(group.route.index, (id, at), due);
            if let Some(line) = self.line(id, at) {
                line.in_digest = true;
                line.waits = false;
                line.retry_at = None;
            }
            return;
        }
        let integration_key = integration_key(&integration);
        let place = self.places.entry(integration_key.clone()).or_default();
        if place.taken >= UNDER_WAY {
            if !line.is_queued {
                place.waiting.push_back((id, at));
            }
            if let Some(line) = self.line(id, at) {
                line.is_queued = true;
                line.waits = true;
                line.retry_at = None;
            }
            return;
        }
        place.taken += 1;
        let notification = self.notification(id, &integration, reason, alerts);
        let Some(notification) = notification else {
            return;
        };
        let owed = self.start(notification.id, (id, at), news);
        let mut notification = notification;
        if let Some(line) = self.line(id, at) {
            notification.memory.clone_from(&line.memory);
            notification.attempt = line.failures.saturating_add(1);
        }
        self.under_way.insert(
            notification.id,
            UnderWay {
                lines: vec![Carried {
                    group: id,
                    at,
                    told,
                    rest,
                    owed,
                }],
                integration: integration_key,
                is_digest: false,
            },
        );
        self.ready.push_back(notification);
    }

    /// Notes that a line is about to be told, where a crash does not reach it. Gives what it was owed before.
    fn start(&mut self, id: u64, (group, at): (GroupId, usize), news: &News) -> Option<Owed> {
        let held = self.groups.get_mut(group)?;
        let key = held.kept_key();
        let line = held.lines.get_mut(at)?;
        let before = line.owed.clone();
        line.under_way = Some(id);
        line.waits = false;
        line.in_digest = false;
        line.retry_at = None;
        let knows = |all: Option<&Vec<Fingerprint>>, it: &Fingerprint| {
            all.is_some_and(|all| all.binary_search(it).is_ok())
        };
        let (told, owed) = (line.told.as_ref(), line.owed.as_ref());
        let is_known =
            news.firing.iter().all(|it| {
                knows(told.map(|it| &it.firing), it) || knows(owed.map(|it| &it.firing), it)
            }) && news.resolved.iter().all(|it| {
                knows(told.map(|it| &it.resolved), it) || knows(owed.map(|it| &it.resolved), it)
            });
        if is_known {
            return before;
        }
        let mut owed = line.owed.take().unwrap_or_default();
        owed.add(&news.firing, &news.resolved);
        let mut record = Vec::new();
        Record::Intent {
            group: &key,
            integration: &integration_key(&line.integration),
            owed: &owed,
            memory: &line.memory,
        }
        .write(&mut record);
        line.owed = Some(owed);
        self.records.append(&mut record);
        before
    }

    fn notification(
        &mut self,
        id: GroupId,
        integration: &Arc<Integration>,
        reason: Reason,
        alerts: &[(AlertId, Fingerprint, Status)],
    ) -> Option<Notification> {
        let group = self.groups.get(id)?;
        let alerts = self.shown(alerts.iter().copied(), integration.send_resolved);
        let number = self.next_id;
        self.next_id += 1;
        Some(Notification {
            id: number,
            integration: Arc::clone(integration),
            group_key: group.key_text(),
            group_labels: group.labels.clone(),
            alerts,
            attempt: 1,
            route_labels: group.route.labels.clone(),
            reason: reason.as_str(),
            memory: Memory::new(),
        })
    }

    /// Alerts in the clear, in Alertmanager's order.
    fn shown(
        &self,
        alerts: impl Iterator<Item = (AlertId, Fingerprint, Status)>,
        with_resolved: bool,
    ) -> Vec<(Fingerprint, Alert, Status)> {
        let wanted = alerts.filter(|it| with_resolved || it.2 == Status::Firing);
        let mut shown: Vec<_> = wanted
            .filter_map(|(id, fingerprint, status)| {
                Some((fingerprint, self.store.get(id)?.alert(), status))
            })
            .collect();
        shown.sort_by(|a, b| group::order(&a.1.labels, &b.1.labels));
        shown
    }

    /// Tells of many groups at once.
    fn run_digests(&mut self, now: Timestamp) {
        while let Some(lines) = self.digests.due(now) {
            let mut by_integration: BTreeMap<IntegrationKey, Vec<(GroupId, usize)>> =
                BTreeMap::new();
            for (id, at) in lines {
                if let Some(line) = self.groups.get(id).and_then(|it| it.lines.get(at))
                    && line.in_digest
                    && line.under_way.is_none()
                {
                    let key = integration_key(&line.integration);
                    by_integration.entry(key).or_default().push((id, at));
                }
            }
            for (key, lines) in by_integration {
                self.digest(key, &lines, now);
            }
        }
    }

    fn digest(&mut self, key: IntegrationKey, lines: &[(GroupId, usize)], now: Timestamp) {
        let (mut told_of, mut alerts) = (Vec::<(Carried, News)>::new(), BTreeMap::new());
        let (mut common, mut first): (Option<Pairs>, Option<(Arc<Integration>, Arc<Route>)>) =
            (None, None);
        let (mut attempt, mut memory) = (1, Memory::new());
        for (id, at) in lines.iter().copied() {
            let Some(group) = self.groups.get(id) else {
                continue;
            };
            let Some(line) = group.lines.get(at) else {
                continue;
            };
            let loud = self.loud(group, now);
            let news = loud.news();
            let reason = dedup::needs_update(
                line.told.as_ref(),
                line.owed.as_ref(),
                &news,
                &loud.quiet,
                line.integration.send_resolved,
                group.route.repeat_interval,
                now,
            );
            if reason.is_none() || loud.alerts.is_empty() {
                if let Some(line) = self.line(id, at) {
                    line.in_digest = false;
                    line.rest();
                }
                self.settle(id, now);
                continue;
            }
            for (alert, fingerprint, status) in loud.alerts {
                alerts.insert(fingerprint, (alert, fingerprint, status));
            }
            match &mut common {
                None => common = Some(group.labels.clone()),
                Some(common) => {
                    common.retain(|name, value| group.labels.get(name) == Some(value));
                }
            }
            first.get_or_insert_with(|| (Arc::clone(&line.integration), Arc::clone(&group.route)));
            if line.failures > 0 {
                attempt = attempt.max(line.failures.saturating_add(1));
                memory.clone_from(&line.memory);
            }
            let carried = Carried {
                group: id,
                at,
                told: line.told_then(&news, &loud.quiet, now),
                rest: line.rest_of(&loud.quiet),
                owed: None,
            };
            told_of.push((carried, news));
        }
        let Some((integration, route)) = first else {
            return;
        };
        let number = self.next_id;
        self.next_id += 1;
        let told_of = told_of.into_iter().map(|(mut carried, news)| {
            carried.owed = self.start(number, (carried.group, carried.at), &news);
            carried
        });
        let told_of = told_of.collect();
        self.counts.digests += 1;
        let shown = self.shown(
            alerts.into_values().take(digest::MAX_ALERTS),
            integration.send_resolved,
        );
        self.places.entry(key.clone()).or_default().taken += 1;
        self.ready.push_back(Notification {
            id: number,
            integration,
            group_key: format!("{}:digest", route.key),
            group_labels: common.unwrap_or_default(),
            alerts: shown,
            attempt,
            route_labels: route.labels.clone(),
            reason: Reason::First.as_str(),
            memory,
        });
        self.under_way.insert(
            number,
            UnderWay {
                lines: told_of,
                integration: key,
                is_digest: true,
            },
        );
    }

    /// Lets go of resolved alerts that everybody was told of, and of groups that are empty.
    fn settle(&mut self, id: GroupId, now: Timestamp) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let gone = group.settled(&self.store, now);
        for alert in &gone {
            if let Some(group) = self.groups.get_mut(id) {
                group.alerts.remove(alert);
            }
            self.store.leave(*alert, id);
            if let Some(held) = self.store.get(*alert)
                && held.groups.as_slice().is_empty()
            {
                // One that its sender did not resolve ended by itself.
                if held.life.ends_at > held.life.updated_at {
                    self.changes.push(Change {
                        fingerprint: held.fingerprint,
                        status: Status::Resolved,
                        texts: held.texts.clone(),
                    });
                }
                self.let_go(*alert);
            }
        }
        if self.groups.get(id).is_some_and(Group::is_over)
            && let Some(group) = self.groups.remove(id)
            && group.lines.iter().any(Line::is_known)
        {
            Record::GroupGone(&group.kept_key()).write(&mut self.records);
        }
    }

    /// Sees whether an alert that must fire is missing, or back.
    fn beat(&mut self, now: Timestamp) {
        for event in self.heartbeats.turn(now) {
            match event {
                heartbeat::Turn::Missing { beat, texts, life } => {
                    let posted = Posted {
                        texts,
                        starts_at: None,
                        ends_at: None,
                    };
                    let no_limits = AlertLimits {
                        all: usize::MAX,
                        of_name: 0,
                    };
                    let Ok((put, _)) = self.store.put(posted, life, no_limits) else {
                        continue;
                    };
                    if let Some(held) = self.store.get_mut(put.id) {
                        held.heartbeat = Some(beat);
                    }
                    if let Some(held) = self.store.get(put.id) {
                        if put.is_new {
                            self.inhibitor.add(held.fingerprint, &held.texts);
                        }
                        self.changes.push(Change {
                            fingerprint: held.fingerprint,
                            status: Status::Firing,
                            texts: held.texts.clone(),
                        });
                    }
                    self.route(put.id, now);
                }
                heartbeat::Turn::Back { fingerprint } => {
                    if let Some(id) = self.store.find(fingerprint) {
                        self.store.set_ends_at(id, now);
                        if let Some(held) = self.store.get_mut(id) {
                            held.life.updated_at = now;
                            self.changes.push(Change {
                                fingerprint,
                                status: Status::Resolved,
                                texts: held.texts.clone(),
                            });
                        }
                    }
                }
            }
        }
    }

    fn collect_garbage(&mut self, now: Timestamp) {
        if now < self.gc_at {
            return;
        }
        self.gc_at = after(now, GC_INTERVAL);
        let retention = jiff::SignedDuration::try_from(self.times.retention)
            .unwrap_or(jiff::SignedDuration::MAX);
        let before = now.saturating_sub(retention).unwrap_or(Timestamp::MIN);
        for id in self.silences.over(before) {
            self.silences.remove(id);
            Record::SilenceGone(id).write(&mut self.records);
        }
        self.store.shrink();
    }
}

impl Kept {
    fn has_heard(&self) -> bool {
        self.told.as_ref().is_some_and(|it| !it.firing.is_empty())
            || self.owed.as_ref().is_some_and(|it| !it.firing.is_empty())
    }

    fn has_heard_of(&self, alert: Fingerprint) -> bool {
        group::has_heard_of(self.told.as_ref(), self.owed.as_ref(), alert)
    }
}

/// What of a group is not kept quiet.
#[derive(Debug, Default)]
struct Loud {
    alerts: Vec<(AlertId, Fingerprint, Status)>,
    /// The others: sorted.
    quiet: Vec<Fingerprint>,
    /// Those of them that are over: sorted.
    quiet_ends: Vec<Fingerprint>,
    marks: Vec<(AlertId, Mark)>,
    muted_by: Vec<String>,
    inhibited: u64,
    silenced: u64,
    muted: u64,
    inactive: u64,
}

impl Loud {
    fn news(&self) -> News {
        let with = |wanted| {
            let some = self.alerts.iter().filter(move |it| it.2 == wanted);
            let mut some: Vec<_> = some.map(|it| it.1).collect();
            some.sort_unstable();
            some
        };
        News {
            firing: with(Status::Firing),
            resolved: with(Status::Resolved),
        }
    }
}

impl News {
    fn has(&self, alert: Fingerprint) -> bool {
        let all = [&self.firing, &self.resolved];
        all.iter().any(|it| it.binary_search(&alert).is_ok())
    }

    /// Of the alerts that a line has heard of.
    fn of(&self, line: &Line) -> Self {
        let heard = |it: &&Fingerprint| line.has_heard_of(**it);
        let ended = line.told.as_ref().map_or(&[][..], |it| &it.resolved);
        let heard_or_ended =
            |it: &&Fingerprint| line.has_heard_of(**it) || ended.binary_search(it).is_ok();
        Self {
            firing: self.firing.iter().filter(heard).copied().collect(),
            resolved: self
                .resolved
                .iter()
                .filter(heard_or_ended)
                .copied()
                .collect(),
        }
    }
}

pub(crate) const fn status_of(resolved: bool) -> Status {
    if resolved {
        Status::Resolved
    } else {
        Status::Firing
    }
}

#[cfg(test)]
mod tests;
