//! The state machine: alerts in, notifications out. No I/O, no clock, no threads: `now` is an argument, so a day of alerts
//! runs in a millisecond and is the same every time.
//!
//! Whoever drives it calls [`Core::handle`] with what happened, then [`Core::poll`] until it gives nothing more, and again
//! when [`Core::next_deadline`] has come.

mod dedup;
mod group;
mod inhibit;
mod retry;
mod store;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

pub(crate) use self::group::{GroupKey, IntegrationKey};
use self::{
    dedup::{Log, LogEntry},
    group::Group,
    inhibit::Inhibitor,
    store::Store,
};
use crate::{
    alert::{Alert, AlertError, Fingerprint, Pairs, Posted},
    config::{Config, Integration},
};

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// A notification arrived.
    Sent { id: u64 },
    /// It did not.
    Failed { id: u64, retry: Retry },
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
    /// Firing before resolved, each by start. Without the resolved ones where nobody wants to hear of them.
    pub(crate) alerts: Vec<(Fingerprint, Alert, Status)>,
    /// Counted from 1.
    pub(crate) attempt: u32,
}

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

/// Everything that is known.
pub(crate) struct Core {
    config: Arc<Config>,
    store: Store,
    inhibitor: Inhibitor,
    groups: BTreeMap<GroupKey, Group>,
    log: Log,
    /// Notifications under way: what to remember when they arrive.
    under_way: BTreeMap<u64, UnderWay>,
    ready: VecDeque<Notification>,
    next_id: u64,
}

struct UnderWay {
    group: GroupKey,
    integration: IntegrationKey,
    entry: LogEntry,
}

impl Core {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let store = Store::default();
        Self {
            inhibitor: Inhibitor::new(&config, &store),
            config,
            store,
            groups: BTreeMap::new(),
            log: Log::default(),
            under_way: BTreeMap::new(),
            ready: VecDeque::new(),
            next_id: 1,
        }
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Takes alerts from a sender; says of each that is refused why. The others are taken.
    pub(crate) fn post(
        &mut self,
        posted: Vec<Posted>,
        now: Timestamp,
    ) -> Vec<Result<Status, AlertError>> {
        posted
            .into_iter()
            .map(|posted| {
                let alert = posted.check(now, self.config.resolve_timeout)?;
                let status = status(&alert, now);
                let alert = self.store.put(alert)?;
                self.inhibitor.add(&alert);
                self.route(&alert, now);
                Ok(status)
            })
            .collect()
    }

    /// Takes what happened.
    pub(crate) fn handle(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Sent { id } => {
                let Some(done) = self.under_way.remove(&id) else {
                    return;
                };
                self.log
                    .set(done.group.clone(), done.integration.clone(), done.entry);
                if let Some(group) = self.groups.get_mut(&done.group) {
                    group.sent(&done.integration);
                }
                self.settle(&done.group, now);
            }
            Input::Failed { id, retry } => {
                let Some(failed) = self.under_way.remove(&id) else {
                    return;
                };
                if let Some(group) = self.groups.get_mut(&failed.group) {
                    group.failed(&failed.integration, retry, now);
                }
            }
            Input::Reload(config) => {
                self.config = config;
                self.inhibitor = Inhibitor::new(&self.config, &self.store);
                // What was not yet told is found again: groups begin anew, the log of what was told stays.
                self.groups.clear();
                self.ready.clear();
                let alerts: Vec<_> = self.store.iter().map(|(_, it)| it.clone()).collect();
                for alert in alerts {
                    self.route(&alert, now);
                }
                // What was told of groups that are no more is of no use.
                self.log.keep(|key| self.groups.contains_key(key));
            }
        }
    }

    /// The next notification that is due. To be called until there is none.
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<Notification> {
        if self.ready.is_empty() {
            self.run_due(now);
        }
        self.ready.pop_front()
    }

    /// When [`Core::poll`] may have something to give without further input.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.groups.values().filter_map(Group::next_deadline).min()
    }

    /// Alerts that are held, the resolved ones included.
    pub(crate) fn alerts(&self) -> impl Iterator<Item = (Fingerprint, &Alert)> {
        self.store.iter()
    }

    /// The alert that keeps another quiet at the moment.
    pub(crate) fn inhibited_by(&self, labels: &Pairs, now: Timestamp) -> Option<Fingerprint> {
        self.inhibitor.inhibited_by(labels, &self.store, now)
    }

    /// Groups that are held, with their alerts.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&GroupKey, &Group)> {
        self.groups.iter()
    }

    /// Puts an alert into the groups of its routes.
    fn route(&mut self, alert: &Alert, now: Timestamp) {
        for route in self.config.route.matching(&alert.labels) {
            let labels = route.group_labels(&alert.labels);
            let key = GroupKey::new(&route, &labels);
            let group = self.groups.get_mut(&key);
            if group.is_none() && alert.resolved(now) {
                // Nobody was told of it in this group, and it is over.
                if !self.log.has_firing(&key, alert.fingerprint()) {
                    continue;
                }
            }
            let group = self
                .groups
                .entry(key)
                .or_insert_with(|| Group::new(route, labels, now));
            group.insert(alert.clone(), now);
        }
        self.forget(alert, now);
    }

    fn run_due(&mut self, now: Timestamp) {
        let due = |group: &Group| group.next_deadline().is_some_and(|it| it <= now);
        let keys: Vec<_> = self
            .groups
            .iter()
            .filter(|(_, group)| due(group))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.run(&key, now);
            self.settle(&key, now);
        }
    }

    /// Sees whom of a group's receivers to tell now.
    fn run(&mut self, key: &GroupKey, now: Timestamp) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        let Some(receiver) = self.config.receiver(&group.route.receiver) else {
            return;
        };
        let flushed = group.flush_if_due(now);
        let mut alerts = group.snapshot(now);
        let (inhibitor, store) = (&self.inhibitor, &self.store);
        alerts.retain(|(_, it, _)| inhibitor.inhibited_by(&it.labels, store, now).is_none());
        if alerts.is_empty() {
            // Nothing is said of the group, and what was told of it stays told, as in Alertmanager.
            for integration in &receiver.integrations {
                group.quiet(&IntegrationKey::of(integration));
            }
            return;
        }
        for integration in &receiver.integrations {
            let which = IntegrationKey::of(integration);
            // After a reload, what the old group sent may still be under way.
            let mut others = self.under_way.values();
            let under_way = others.any(|it| it.group == *key && it.integration == which);
            if under_way || !(flushed || group.retry_is_due(&which, now)) {
                continue;
            }
            let entry = LogEntry::of(&alerts, now);
            let told = self.log.get(key, &which);
            if !dedup::needs_update(
                told,
                &entry,
                integration.send_resolved,
                group.route.repeat_interval,
                now,
            ) {
                group.sent(&which);
                continue;
            }
            let alerts: Vec<_> = alerts
                .iter()
                .filter(|(_, _, status)| integration.send_resolved || *status == Status::Firing)
                .cloned()
                .collect();
            if alerts.is_empty() {
                // Nobody wants to hear of the end, but what was told is remembered.
                self.log.set(key.clone(), which.clone(), entry);
                group.sent(&which);
                continue;
            }
            let id = self.next_id;
            self.next_id += 1;
            let attempt = group.start(which.clone());
            self.ready.push_back(Notification {
                id,
                integration: Arc::clone(integration),
                group_key: key.to_string(),
                group_labels: group.labels.clone(),
                alerts,
                attempt,
            });
            self.under_way.insert(
                id,
                UnderWay {
                    group: key.clone(),
                    integration: which,
                    entry,
                },
            );
        }
    }

    /// Lets go of resolved alerts that everybody was told of, and of groups that are empty.
    fn settle(&mut self, key: &GroupKey, now: Timestamp) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        let gone = group.settle(now);
        if group.is_empty() {
            self.groups.remove(key);
            self.log.forget(key);
        }
        for alert in gone {
            self.forget(&alert, now);
        }
    }

    /// Drops a resolved alert that no group holds.
    fn forget(&mut self, alert: &Alert, now: Timestamp) {
        if !alert.resolved(now) {
            return;
        }
        let fingerprint = alert.fingerprint();
        let held = self
            .config
            .route
            .matching(&alert.labels)
            .iter()
            .any(|route| {
                let key = GroupKey::new(route, &route.group_labels(&alert.labels));
                self.groups
                    .get(&key)
                    .is_some_and(|it| it.holds(fingerprint))
            });
        if !held && let Some(gone) = self.store.drop_resolved(fingerprint, now) {
            self.inhibitor.remove(&gone);
        }
    }
}

pub(crate) fn status(alert: &Alert, now: Timestamp) -> Status {
    if alert.resolved(now) {
        Status::Resolved
    } else {
        Status::Firing
    }
}

#[cfg(test)]
mod tests {
    //! Days of alerts as text: a configuration, then lines of what happens and of what people hear.

    use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, sync::Arc, time::Duration};

    use jiff::Timestamp;

    use super::{Core, Input, Notification, Retry};
    use crate::{
        alert::{Pairs, Posted, after, since},
        config::Config,
    };

    /// A line `TIME WORD REST`.
    struct Line<'a> {
        at: Timestamp,
        word: &'a str,
        rest: &'a str,
    }

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn duration(text: &str) -> Duration {
        let split = text.find(|it: char| it.is_ascii_alphabetic()).unwrap();
        let (number, unit) = text.split_at(split);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => panic!("{text}"),
        };
        Duration::from_secs_f64(number.parse::<f64>().unwrap() * seconds)
    }

    fn parse(line: &str) -> Line<'_> {
        let (time, rest) = line.split_once(' ').unwrap();
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        Line {
            at: after(start(), duration(time)),
            word,
            rest,
        }
    }

    /// `Name{label=value,…}`.
    fn labels(text: &str) -> Pairs {
        let (name, rest) = text.split_once('{').unwrap_or((text, "}"));
        let mut labels = Pairs::from([("alertname".to_owned(), name.to_owned())]);
        for pair in rest.trim_end_matches('}').split_terminator(',') {
            let (name, value) = pair.split_once('=').unwrap();
            labels.insert(name.to_owned(), value.to_owned());
        }
        labels
    }

    fn show(at: Timestamp, told: &Notification) -> String {
        let integration = &told.integration;
        let mut line = format!(
            "{:?} -> {}/{}",
            since(at, start()),
            integration.receiver,
            integration.name()
        );
        let mut status = "";
        for (_, alert, its) in &told.alerts {
            if its.as_str() != status {
                status = its.as_str();
                write!(line, " {status}").unwrap();
            }
            let rest = alert.labels.iter().filter(|(name, _)| *name != "alertname");
            let rest: Vec<_> = rest
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let rest = if rest.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", rest.join(","))
            };
            write!(line, " {}{rest}", alert.name()).unwrap();
        }
        if told.attempt > 1 {
            write!(line, " (try {})", told.attempt).unwrap();
        }
        line
    }

    /// A day: what is told, and how the receivers take it.
    struct Day {
        core: Core,
        told: Vec<String>,
        outcomes: BTreeMap<String, Option<Retry>>,
        /// Ids whose answer the story gives later.
        open: Vec<u64>,
        manual: bool,
    }

    impl Day {
        /// Everything until `end`, in the order of time.
        fn run(&mut self, mut now: Timestamp, end: Timestamp) {
            for _ in 0..10_000 {
                while let Some(told) = self.core.poll(now) {
                    self.told.push(show(now, &told));
                    let outcome = self.outcomes.get(told.integration.name());
                    if self.manual {
                        self.open.push(told.id);
                        continue;
                    }
                    let input = match outcome.copied().flatten() {
                        None => Input::Sent { id: told.id },
                        Some(retry) => Input::Failed { id: told.id, retry },
                    };
                    self.core.handle(input, now);
                }
                match self.core.next_deadline() {
                    Some(next) if next <= end => {
                        assert!(
                            next > now || self.core.next_deadline() != Some(next) || next >= now,
                            "time stands still"
                        );
                        now = next.max(now);
                    }
                    _ => return,
                }
            }
            panic!(
                "the day does not end: {:#?}",
                self.told.iter().rev().take(20).collect::<Vec<_>>()
            );
        }

        fn happens(&mut self, line: &Line<'_>) {
            let now = line.at;
            let posted = |ends_at| Posted {
                labels: labels(line.rest.split(' ').next().unwrap()),
                ends_at,
                starts_at: line
                    .rest
                    .split(' ')
                    .nth(1)
                    .map(|it| after(start(), duration(it))),
                ..Posted::default()
            };
            match line.word {
                "fire" => drop(self.core.post(vec![posted(None)], now)),
                "resolve" => drop(self.core.post(vec![posted(Some(now))], now)),
                "reload" => {
                    let config = config(&fs::read_to_string(story(line.rest)).unwrap());
                    self.core.handle(Input::Reload(Arc::new(config)), now);
                }
                "receiver" => {
                    let (name, outcome) = line.rest.split_once(' ').unwrap();
                    let outcome = match outcome {
                        "works" => None,
                        "fails" => Some(Retry::Backoff),
                        "refuses" => Some(Retry::No),
                        after => Some(Retry::After(duration(
                            after.strip_prefix("says-after ").unwrap(),
                        ))),
                    };
                    self.outcomes.insert(name.to_owned(), outcome);
                }
                "hold" => self.manual = true,
                "arrive" => {
                    self.manual = false;
                    for id in std::mem::take(&mut self.open) {
                        self.core.handle(Input::Sent { id }, now);
                    }
                }
                "end" => {
                    assert_eq!(
                        self.core.alerts().count().to_string(),
                        line.rest,
                        "alerts held at the end"
                    );
                }
                other => panic!("unknown word {other}"),
            }
        }
    }

    fn story(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/story")
            .join(name)
    }

    fn config(text: &str) -> Config {
        let text = text.split("\n---\n").next().unwrap();
        Config::parse(Path::new("story.yml"), text).unwrap()
    }

    fn play(text: &str) -> (Vec<String>, Vec<String>) {
        let (_, lines) = text.split_once("\n---\n").unwrap();
        let mut day = Day {
            core: Core::new(Arc::new(config(text))),
            told: Vec::new(),
            outcomes: BTreeMap::new(),
            open: Vec::new(),
            manual: false,
        };
        let mut expect = Vec::new();
        let mut now = start();
        let lines = lines
            .lines()
            .map(str::trim)
            .filter(|it| !it.is_empty() && !it.starts_with('#'));
        for line in lines {
            let parsed = parse(line);
            if parsed.word == "->" {
                let time = line.split(' ').next().unwrap();
                expect.push(format!("{:?} -> {}", duration(time), parsed.rest));
                continue;
            }
            assert!(parsed.at >= now, "{line} is out of order");
            // What is due before this happens first.
            day.run(now, parsed.at);
            now = parsed.at;
            day.happens(&parsed);
            day.run(now, now);
        }
        (day.told, expect)
    }

    #[test]
    fn stories() {
        let mut count = 0;
        for entry in fs::read_dir(story("")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "txt") {
                let (told, expect) = play(&fs::read_to_string(&path).unwrap());
                assert_eq!(told.join("\n"), expect.join("\n"), "{}", path.display());
                count += 1;
            }
        }
        assert!(count >= 12, "only {count} stories");
    }
}
