//! Whatever the order of alerts, answers, crashes and restarts: nobody is left without a notification that is owed, and nobody is told
//! the same twice unless an answer was lost.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{core, post, restored, snapshot};
use crate::{
    alert::{Pairs, Posted, after, packed::Packed, since},
    config::Config,
    core::{Core, Input, Memory, Notification, Retry, Status},
};

const CONFIG: &str = "
route:
  receiver: team
  group_by: [group]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 30d
receivers:
- name: team
  webhook_configs: [{url: http://x/}]
  slack_configs: [{api_url: http://x/, send_resolved: true}]
";

/// Numbers by chance, the same for the same seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// What a receiver heard: of each alert, whether it fires; and of each group, what it was told last and whether that is certain.
#[derive(Default)]
struct Ear {
    alerts: BTreeMap<String, Status>,
    last: BTreeMap<String, (String, bool)>,
}

struct World {
    seed: u64,
    config: Arc<Config>,
    dice: Dice,
    core: Core,
    journal: Vec<u8>,
    now: Timestamp,
    /// Alerts as their sender has them: since when they fire, or None.
    truth: BTreeMap<String, Option<Timestamp>>,
    ears: BTreeMap<&'static str, Ear>,
    under_way: Vec<Notification>,
    is_calm: bool,
    log: Vec<String>,
}

impl World {
    fn new(seed: u64, config: &Arc<Config>) -> Self {
        let now = Timestamp::from_second(1_000_000).unwrap();
        Self {
            seed,
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            core: core(Arc::clone(config), now),
            config: Arc::clone(config),
            journal: Vec::new(),
            now,
            truth: BTreeMap::new(),
            ears: BTreeMap::new(),
            under_way: Vec::new(),
            is_calm: false,
            log: Vec::new(),
        }
    }

    fn keep(&mut self) {
        self.journal.extend(self.core.take_records());
    }

    fn send(&mut self, name: &str, ends_at: Timestamp) {
        let group = name.split('-').next().unwrap();
        let labels = Pairs::from([
            ("alertname".to_owned(), name.to_owned()),
            ("group".to_owned(), group.to_owned()),
        ]);
        let posted = Posted {
            texts: Packed::of(&labels, &Pairs::new(), ""),
            starts_at: self.truth.get(name).copied().flatten(),
            ends_at: Some(ends_at),
        };
        self.log
            .push(format!("{} post {name} until {ends_at}", self.now));
        for result in post(&mut self.core, &mut self.journal, vec![posted], self.now) {
            result.unwrap();
        }
        self.keep();
    }

    /// Something happens.
    fn step(&mut self) {
        match self.dice.below(10) {
            0..=3 => {
                let name = format!("{}-{}", self.dice.below(2), self.dice.below(3));
                if self.truth.get(&name).copied().flatten().is_some() {
                    let start = self.now;
                    self.truth.insert(name.clone(), None);
                    self.send(&name, start);
                } else {
                    self.truth.insert(name.clone(), Some(self.now));
                    self.send(&name, after(self.now, Duration::from_secs(4 * 3600)));
                }
            }
            4..=7 => {
                let pause = Duration::from_millis(self.dice.below(40_000));
                self.pass(pause);
            }
            8 => self.crash(),
            _ => {
                // The journal as a snapshot has it, and some of it twice.
                self.keep();
                let mut all = snapshot(&self.core, self.now);
                all.extend_from_slice(&snapshot(&self.core, self.now));
                self.journal = all;
            }
        }
    }

    fn crash(&mut self) {
        self.log.push(format!("{} crash", self.now));
        // What is on its way may have arrived; nobody learns of it.
        for told in std::mem::take(&mut self.under_way) {
            if self.dice.below(2) == 0 {
                self.hear(&told, false);
            } else {
                self.forget_certainty(&told);
            }
        }
        self.core = restored(&self.config, &self.journal, self.now);
        self.keep();
    }

    /// Time passes, and what is due then happens.
    fn pass(&mut self, pause: Duration) {
        let end = after(self.now, pause);
        for _ in 0..10_000 {
            while let Some(told) = self.core.poll(self.now) {
                self.under_way.push(told);
            }
            self.keep();
            while let Some(told) = self.under_way.pop() {
                if !self.is_calm && self.dice.below(4) == 0 {
                    self.crash_or_wait(told);
                } else {
                    self.answer(&told);
                }
            }
            match self.core.next_deadline() {
                Some(next) if next <= end => self.now = next.max(self.now),
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("seed {}: time stands still", self.seed);
    }

    fn crash_or_wait(&mut self, told: Notification) {
        self.under_way.push(told);
        self.crash();
    }

    fn answer(&mut self, told: &Notification) {
        let id = told.id;
        let memory = Memory::new();
        let fate = if self.is_calm { 0 } else { self.dice.below(6) };
        let input = match fate {
            0..=3 => {
                self.hear(told, true);
                Input::Sent { id, memory }
            }
            // The answer is lost on its way, whether it was heard or not.
            4 => {
                if self.dice.below(2) == 0 {
                    self.hear(told, false);
                }
                Input::Failed {
                    id,
                    retry: Retry::Backoff,
                    memory,
                }
            }
            _ => Input::Failed {
                id,
                retry: Retry::After(Duration::from_secs(self.dice.below(100))),
                memory,
            },
        };
        self.log.push(format!("{} {input:?}", self.now));
        if matches!(input, Input::Failed { .. }) {
            self.forget_certainty(told);
        }
        self.core.handle(input, self.now);
        self.keep();
    }

    /// For all that is known here it heard it: it must be told how it went on, even if that is what it heard before.
    fn forget_certainty(&mut self, told: &Notification) {
        let ear = self.ears.entry(told.integration.name()).or_default();
        if let Some(last) = ear.last.get_mut(&told.group_key) {
            last.1 = false;
        }
    }

    fn hear(&mut self, told: &Notification, is_certain: bool) {
        let ear = self.ears.entry(told.integration.name()).or_default();
        let mut said = String::new();
        for (_, alert, status) in &told.alerts {
            ear.alerts.insert(alert.name().to_owned(), *status);
            said.push_str(&format!("{} {} ", alert.name(), status.as_str()));
        }
        self.log.push(format!(
            "{} {} hears {said}",
            self.now,
            told.integration.name()
        ));
        let before = ear
            .last
            .insert(told.group_key.clone(), (said.clone(), is_certain));
        if let Some((before, was_certain)) = before {
            assert!(
                before != said || !was_certain,
                "seed {}: {said} is told twice:\n{}",
                self.seed,
                self.log.join("\n")
            );
        }
    }
}

#[test]
fn nothing_owed_is_missing() {
    // More are tried by `PROPERTY_SEEDS=100000 cargo test`.
    let seeds = std::env::var("PROPERTY_SEEDS").ok();
    let seeds: u64 = seeds.and_then(|it| it.parse().ok()).unwrap_or(500);
    let config = Arc::new(Config::parse(Path::new("p.yml"), CONFIG).unwrap());
    for seed in 1..=seeds {
        let mut world = World::new(seed, &config);
        for _ in 0..60 {
            world.step();
        }
        // From here on everything works.
        world.is_calm = true;
        world.pass(Duration::from_secs(600));
        for (name, ear) in &world.ears {
            for (alert, since) in &world.truth {
                let heard = ear.alerts.get(alert);
                let expect = match since {
                    Some(_) => heard == Some(&Status::Firing),
                    // Who never heard of it need not hear of its end.
                    None => heard != Some(&Status::Firing),
                };
                assert!(
                    expect,
                    "seed {seed}: {name} believes {heard:?} of {alert}, which fires since {since:?}:\n{}",
                    world.log.join("\n")
                );
            }
        }
        let lasts = since(world.now, Timestamp::from_second(1_000_000).unwrap());
        assert!(
            lasts < Duration::from_secs(4 * 3600),
            "alerts must not end by themselves here"
        );
    }
}
