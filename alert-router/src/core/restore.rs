//! From records to a state, and from a state to records, a piece at a time.

use jiff::Timestamp;

use super::{
    Core, Kept,
    dedup::Owed,
    group::{integration_key, kept_key},
    record::{Record, Restored},
    silence::SilenceId,
};
use crate::alert::{Fingerprint, after, since};

/// For alerts whose time ran out while nobody was here to hear that they still fire.
const GRACE: std::time::Duration = std::time::Duration::from_secs(300);

/// How far the state was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Cursor {
    #[default]
    Start,
    Alerts(Fingerprint),
    Silences(Option<SilenceId>),
    Groups(u32),
}

impl Cursor {
    /// Back to where groups begin, if it is behind that: they have been made anew.
    pub(crate) const fn before_groups(self) -> Self {
        match self {
            Self::Groups(_) => Self::Groups(0),
            before => before,
        }
    }
}

impl Core {
    /// Takes a record, in the order in which they were written.
    pub(crate) fn restore(&mut self, record: Restored) {
        match record {
            Restored::Now(now) => self.alive = self.alive.max(now),
            Restored::Alert { life, texts } => self.store.restore(life, texts),
            Restored::Life { fingerprint, life } => self.store.restore_life(fingerprint, life),
            Restored::Silence(silence) => drop(self.silences.put(*silence)),
            Restored::SilenceGone(id) => drop(self.silences.remove(id)),
            Restored::Told {
                group,
                integration,
                told,
            } => {
                let kept = self.kept(group, integration);
                kept.memory.clone_from(&told.memory);
                kept.told = Some(told);
                kept.owed = None;
            }
            Restored::Intent {
                group,
                integration,
                owed,
                memory,
            } => {
                let kept = self.kept(group, integration);
                if owed != Owed::default() {
                    kept.owed = Some(owed);
                }
                kept.memory = memory;
            }
            Restored::Refused { group, integration } => {
                self.kept(group, integration).owed = None;
            }
            Restored::GroupGone(group) => drop(self.told.remove(&group)),
            Restored::Heartbeat { name, seen } => self.heartbeats.restore(&name, seen),
            Restored::End => {}
        }
    }

    /// Takes a record of format 1, where a group had its key without its receiver.
    pub(crate) fn restore_first(&mut self, record: Restored) {
        if let Restored::GroupGone(group) = record {
            let end = format!(" {group}");
            self.told.retain(|key, _| !key.ends_with(&end));
        } else if let Some((group, receiver)) = record.line() {
            for key in self.keys_of_first(group, receiver) {
                self.restore(record.clone().of_group(key));
            }
        } else {
            self.restore(record);
        }
    }

    /// The group of a receiver, and of those for whom it stands in.
    fn keys_of_first(&self, group: &str, receiver: &str) -> Vec<String> {
        let stands_in = |it: &&crate::config::Receiver| {
            let mut next = Some(*it);
            // No configuration has cycles of fallbacks.
            while let Some(here) = next {
                if here.name == receiver {
                    return true;
                }
                let fallback = here.fallback.as_deref();
                next = fallback.and_then(|it| self.config.receiver(it));
            }
            false
        };
        let receivers = self.config.receivers.iter().filter(stands_in);
        receivers.map(|it| format!("{} {group}", it.name)).collect()
    }

    fn kept(&mut self, group: String, integration: super::IntegrationKey) -> &mut Kept {
        let lines = self.told.entry(group).or_default();
        lines.entry(integration).or_default()
    }

    /// The last record was taken: groups are made, and life goes on.
    pub(crate) fn restored(&mut self, now: Timestamp) {
        let alive = self.alive;
        let lapsed: Vec<_> = self
            .store
            .after(None)
            .filter(|(_, held)| {
                let life = held.life;
                // Not resolved by its sender, but not heard of again either: how could it.
                life.resolved(now) && life.ends_at > life.updated_at && life.ends_at > alive
            })
            .map(|(id, held)| (id, since(held.life.ends_at, held.life.updated_at)))
            .collect();
        for (id, lease) in lapsed {
            self.store.set_ends_at(id, after(now, lease.min(GRACE)));
            if let Some(held) = self.store.get(id) {
                Record::Life {
                    fingerprint: held.fingerprint,
                    life: held.life,
                }
                .write(&mut self.records);
            }
        }
        self.inhibitor = super::Inhibitor::new(&self.config, &self.store);
        let told = &self.told;
        self.heartbeats.restored(alive, now, |route, labels| {
            let kept = told.get(&kept_key(route, labels));
            kept.is_some_and(|it| it.values().any(Kept::has_heard))
        });
        // Before routes are taken: what was told of it is found by the group that it makes.
        self.is_restoring = true;
        self.beat(now);
        self.route_all(now);
        self.is_restoring = false;
    }

    /// Writes a piece of the state of at least `size` bytes; gives where the next begins, None after the last.
    pub(crate) fn write(
        &self,
        cursor: Cursor,
        size: usize,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Option<Cursor> {
        let end = out.len() + size;
        let mut at = cursor;
        loop {
            at = match at {
                Cursor::Start | Cursor::Alerts(_) => {
                    let last = match at {
                        Cursor::Alerts(last) => Some(last),
                        _ => {
                            Record::Now(now).write(out);
                            None
                        }
                    };
                    let mut next = Cursor::Silences(None);
                    for (_, held) in self.store.after(last) {
                        // Heartbeats' alerts are made anew.
                        if held.heartbeat.is_none() {
                            Record::Alert {
                                life: held.life,
                                texts: &held.texts,
                            }
                            .write(out);
                        }
                        if out.len() >= end {
                            next = Cursor::Alerts(held.fingerprint);
                            break;
                        }
                    }
                    next
                }
                Cursor::Silences(last) => {
                    let mut next = Cursor::Groups(0);
                    for silence in self.silences.after(last) {
                        Record::Silence(silence).write(out);
                        if out.len() >= end {
                            next = Cursor::Silences(Some(silence.id));
                            break;
                        }
                    }
                    next
                }
                Cursor::Groups(first) => {
                    let mut next = None;
                    for (number, group) in self.groups.from(first) {
                        self.write_group(group, out);
                        if out.len() >= end {
                            next = Some(Cursor::Groups(number + 1));
                            break;
                        }
                    }
                    let Some(next) = next else {
                        for (name, seen) in self.heartbeats.seen() {
                            Record::Heartbeat { name, seen }.write(out);
                        }
                        Record::End.write(out);
                        return None;
                    };
                    next
                }
            };
            if out.len() >= end {
                return Some(at);
            }
        }
    }

    fn write_group(&self, group: &super::Group, out: &mut Vec<u8>) {
        let mut key = None;
        for line in &group.lines {
            if line.told.is_none() && line.owed.is_none() && line.memory.is_empty() {
                continue;
            }
            let key = key.get_or_insert_with(|| group.kept_key());
            let integration = integration_key(&line.integration);
            if let Some(told) = &line.told {
                Record::Told {
                    group: key,
                    integration: &integration,
                    told,
                }
                .write(out);
            }
            if line.owed.is_some() || line.told.as_ref().is_none_or(|it| it.memory != line.memory) {
                Record::Intent {
                    group: key,
                    integration: &integration,
                    owed: line.owed.as_ref().unwrap_or(&Owed::default()),
                    memory: &line.memory,
                }
                .write(out);
            }
        }
    }
}
