//! Senders: some like Prometheus, one like a person with silences.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testkit::request;

use crate::{
    gate::Gate,
    promises::{Alert, Posts, Promises, Silence, now},
    random::Random,
};

/// Senders of alerts, and how many alerts of each fire at most.
const SENDERS: usize = 4;
const FIRING: usize = 12;
const GROUPS: u64 = 12;
/// Silences that are made in all, every fourth of them with a group of its own that it keeps quiet.
const SILENCES: usize = 300;
/// Nothing ends by itself.
const DAY: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Clone)]
struct Shared {
    gate: Arc<Gate>,
    promises: Arc<Promises>,
    /// Of the next alert.
    number: Arc<AtomicU64>,
}

/// Starts all senders; they end with the gate.
pub(crate) fn start(
    gate: &Arc<Gate>,
    promises: &Arc<Promises>,
    random: &mut Random,
) -> Vec<JoinHandle<()>> {
    let shared = Shared {
        gate: Arc::clone(gate),
        promises: Arc::clone(promises),
        number: Arc::default(),
    };
    let mut threads = Vec::new();
    for _ in 0..SENDERS {
        let sender = Sender {
            shared: shared.clone(),
            random: random.fork(),
            alerts: BTreeMap::new(),
        };
        threads.push(std::thread::spawn(|| sender.run()));
    }
    let person = Person {
        shared,
        random: random.fork(),
        silences: Vec::new(),
    };
    threads.push(std::thread::spawn(|| person.run()));
    threads
}

/// The time between two requests of a sender.
fn pause(random: &mut Random) {
    std::thread::park_timeout(Duration::from_micros(random.within(500, 8_000)));
}

impl Shared {
    /// Whether it was answered with 200; None when the load is over.
    fn post_alerts(&self, alerts: &[Value]) -> Option<bool> {
        let body = Value::from(alerts).to_string();
        let answer = self.ask("POST", "/api/v2/alerts", &body)?;
        Some(answer.is_some())
    }

    /// The body of a 200; None within when there was no answer, and None when the load is over.
    fn ask(&self, method: &str, path: &str, body: &str) -> Option<Option<String>> {
        let headers = [("Content-Type", "application/json")];
        let answer = self.gate.pass(|address| {
            request(address, method, path, &headers, body.as_bytes()).or_else(|| {
                // Only a kill is an excuse.
                let complaint = format!("no answer to {method} {path}");
                self.promises.complain(complaint, true);
                None
            })
        })?;
        Some(answer.and_then(|(status, _, answer)| {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            if status == 200 {
                return Some(answer);
            }
            let complaint = format!("{method} {path}: {status} {answer}: {body}");
            self.promises.complain(complaint, false);
            None
        }))
    }
}

/// What a sender knows of its alert.
#[derive(Debug, Clone)]
struct Owned {
    group: String,
    starts: Timestamp,
    fires: bool,
    /// It is not repeated, once it was taken.
    once: bool,
    /// What it is was answered with 200.
    taken: bool,
}

/// A Prometheus: says that alerts fire, again and again or once, and that they are over, until it is heard.
struct Sender {
    shared: Shared,
    random: Random,
    alerts: BTreeMap<u64, Owned>,
}

impl Sender {
    fn run(mut self) {
        let shared = self.shared.clone();
        while shared.gate.step(|| self.step()).is_some() {
            pause(&mut self.random);
        }
    }

    fn step(&mut self) -> Option<()> {
        let kind = self.random.within(0, 10);
        let open = self.of(|it| !it.taken);
        let batch = if !open.is_empty() && kind < 5 {
            open
        } else if kind < 3 {
            self.of(|it| it.fires && !it.once)
        } else if kind < 6 && self.of(|it| it.fires).len() < FIRING {
            (0..self.random.within(1, 4))
                .map(|_| self.new_alert())
                .collect()
        } else {
            let (fires, count) = (kind < 9, self.random.within(1, 3));
            let candidates = self.of(|it| it.fires == fires && it.taken);
            (0..count)
                .filter_map(|_| self.random.one_of(&candidates).copied())
                .inspect(|it| {
                    let alert = self.alerts.get_mut(it).unwrap();
                    alert.fires = !fires;
                    if alert.fires {
                        alert.starts = now();
                    }
                })
                .collect()
        };
        self.post(batch)
    }

    fn of(&self, wanted: impl Fn(&Owned) -> bool) -> Vec<u64> {
        let alerts = self.alerts.iter().filter(|(_, it)| wanted(it));
        alerts.map(|(number, _)| *number).collect()
    }

    fn new_alert(&mut self) -> u64 {
        // Some that are over can fire again; of others nobody speaks any more.
        let over = self.of(|it| !it.fires && it.taken);
        for it in over.iter().rev().skip(6) {
            self.alerts.remove(it);
        }
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed);
        let alert = Owned {
            group: format!("Group{}", self.random.within(0, GROUPS)),
            starts: now(),
            fires: true,
            once: self.random.once_in(2),
            taken: false,
        };
        self.alerts.insert(number, alert);
        number
    }

    fn post(&mut self, mut batch: Vec<u64>) -> Option<()> {
        batch.sort_unstable();
        batch.dedup();
        if batch.is_empty() {
            return Some(());
        }
        let mut bodies = Vec::new();
        let mut ends = Vec::new();
        for number in &batch {
            let alert = &self.alerts[number];
            let end = if alert.fires { now() + DAY } else { now() };
            bodies.push(body(*number, &alert.group, alert.starts, end));
            ends.push(end);
        }
        let taken = self.shared.post_alerts(&bodies)?;
        let mut told = self.shared.promises.told();
        for (number, end) in batch.iter().zip(ends) {
            let owned = self.alerts.get_mut(number)?;
            owned.taken = taken;
            let alert = told.alerts.entry(*number).or_insert_with(|| Alert {
                silence: None,
                posts: Posts::default(),
            });
            alert.posts.posted(end, taken);
        }
        Some(())
    }
}

fn body(number: u64, group: &str, starts: Timestamp, ends: Timestamp) -> Value {
    json!({
        "labels": {"alertname": group, "number": number.to_string(), "instance": format!("node-{number}:9100"), "severity": "warning"},
        "annotations": {"summary": "it is not well"},
        "startsAt": starts.to_string(),
        "endsAt": ends.to_string(),
        "generatorURL": "http://prometheus.example.com/graph",
    })
}

/// What a person knows of a silence.
#[derive(Debug, Clone)]
struct Made {
    id: String,
    name: String,
    ends: Timestamp,
    /// It is to be deleted, until that is answered.
    deleting: bool,
    /// The alert that it keeps quiet, and whether that was taken.
    quiet: Option<(u64, bool)>,
}

/// A person: makes silences, moves their ends, and deletes them.
struct Person {
    shared: Shared,
    random: Random,
    silences: Vec<Made>,
}

impl Person {
    fn run(mut self) {
        let shared = self.shared.clone();
        while shared.gate.step(|| self.step()).is_some() {
            pause(&mut self.random);
        }
    }

    fn step(&mut self) -> Option<()> {
        let unfinished = self
            .silences
            .iter()
            .position(|it| it.deleting || it.quiet.is_some_and(|(_, taken)| !taken));
        if let Some(at) = unfinished {
            let made = self.silences[at].clone();
            return if made.deleting {
                self.delete(at, &made)
            } else {
                self.post_quiet(at, &made)
            };
        }
        let known = u64::try_from(self.silences.len()).unwrap();
        match self.random.within(0, 4) {
            0 if known > 0 => {
                let at = usize::try_from(self.random.within(0, known)).unwrap();
                self.silences[at].deleting = self.random.once_in(2);
                Some(())
            }
            1 if known > 0 => {
                let at = usize::try_from(self.random.within(0, known)).unwrap();
                self.extend(at)
            }
            _ => self.make(),
        }
    }

    fn make(&mut self) -> Option<()> {
        let count = self.shared.promises.told().silences.len();
        if count >= SILENCES {
            return Some(());
        }
        let quiet = self.random.once_in(4);
        let name = format!(
            "Quiet{}",
            self.shared.number.fetch_add(1, Ordering::Relaxed)
        );
        let ends = now() + DAY;
        let id = self.post(None, &name, &now().to_string(), ends)?;
        // Without an answer nobody knows its id.
        let Some(id) = id else { return Some(()) };
        let mut silence = Silence::default();
        silence.posts.posted(Some(ends), true);
        self.shared
            .promises
            .told()
            .silences
            .insert(id.clone(), silence);
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed);
        self.silences.push(Made {
            id,
            name,
            ends,
            deleting: false,
            quiet: quiet.then_some((number, false)),
        });
        Some(())
    }

    /// The id that was answered.
    fn post(
        &self,
        id: Option<&str>,
        name: &str,
        starts: &str,
        ends: Timestamp,
    ) -> Option<Option<String>> {
        let body = json!({
            "id": id,
            "matchers": [{"name": "alertname", "value": name, "isRegex": false, "isEqual": true}],
            "startsAt": starts,
            "endsAt": ends.to_string(),
            "createdBy": "a person",
            "comment": name,
        });
        let answer = self
            .shared
            .ask("POST", "/api/v2/silences", &body.to_string())?;
        Some(answer.and_then(|it| {
            let answer: Value = serde_json::from_str(&it).ok()?;
            Some(answer["silenceID"].as_str()?.to_owned())
        }))
    }

    fn extend(&mut self, at: usize) -> Option<()> {
        let made = self.silences[at].clone();
        let ends = made.ends + SignedDuration::from_secs(60);
        // With another start it would be another silence.
        let path = format!("/api/v2/silence/{}", made.id);
        let Some(shown) = self.shared.ask("GET", &path, "")? else {
            return Some(());
        };
        let shown: Value = serde_json::from_str(&shown).unwrap_or_default();
        let Some(starts) = shown["startsAt"].as_str() else {
            return Some(());
        };
        let answer = self.post(Some(&made.id), &made.name, starts, ends)?;
        if let Some(id) = &answer
            && *id != made.id
        {
            let complaint =
                format!("a silence with a later end has another id: {id} after {made:?}");
            self.shared.promises.complain(complaint, false);
        }
        self.silences[at].ends = ends;
        self.posted(&made.id, Some(ends), answer.is_some());
        Some(())
    }

    fn delete(&mut self, at: usize, made: &Made) -> Option<()> {
        if let Some(it) = self.shared.promises.told().silences.get_mut(&made.id) {
            it.deleted.get_or_insert_with(Instant::now);
        }
        let path = format!("/api/v2/silence/{}", made.id);
        let answer = self.shared.ask("DELETE", &path, "")?;
        self.posted(&made.id, None, answer.is_some());
        if answer.is_some() {
            self.silences.swap_remove(at);
        }
        Some(())
    }

    /// Posts the alert that nobody is to hear of.
    fn post_quiet(&mut self, at: usize, made: &Made) -> Option<()> {
        let Some((number, _)) = made.quiet else {
            return Some(());
        };
        let ends = now() + DAY;
        let taken = self
            .shared
            .post_alerts(&[body(number, &made.name, now(), ends)])?;
        let mut told = self.shared.promises.told();
        let alert = told.alerts.entry(number).or_insert_with(|| Alert {
            silence: Some(made.id.clone()),
            posts: Posts::default(),
        });
        alert.posts.posted(ends, taken);
        self.silences[at].quiet = Some((number, taken));
        Some(())
    }

    fn posted(&self, id: &str, ends: Option<Timestamp>, promised: bool) {
        if let Some(it) = self.shared.promises.told().silences.get_mut(id) {
            it.posts.posted(ends, promised);
        }
    }
}
