//! Lives of a program that ends with a kill, again and again, over one storage folder.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use testkit::request;

use crate::{
    checks,
    gate::Gate,
    journal, load,
    promises::{Alert, Posts, Promises, now},
    random::Random,
    receivers::Receivers,
    recorder::Recorder,
    router::{Home, Router},
};

/// Every so many lives there is no load, and all that is owed must be said.
const CALM: u64 = 10;
const PATIENCE: Duration = Duration::from_secs(30);
/// Numbers of alerts that are torn off the journal again.
const TORN: u64 = 1 << 40;

struct Lives {
    home: Home,
    receivers: Receivers,
    gate: Arc<Gate>,
    promises: Arc<Promises>,
    random: Random,
    /// When each life ended.
    kills: Vec<Instant>,
    /// The journal's end was torn, so the next start must say so.
    torn: bool,
    tears: usize,
}

pub(crate) fn run() {
    let seed = Random::seed();
    let rounds = crate::number("CRASH_ROUNDS").unwrap_or(200);
    let mut random = Random::new(seed);
    let receivers = Receivers::start(Recorder::new(random.fork()));
    let mut lives = Lives {
        home: Home::temporary(&receivers.config()),
        receivers,
        gate: Arc::default(),
        promises: Arc::default(),
        random,
        kills: Vec::new(),
        torn: false,
        tears: 0,
    };
    let threads = load::start(&lives.gate, &lives.promises, &mut lives.random);
    let mut broken = Vec::new();
    for round in 1..=rounds {
        broken = lives.round(round % CALM == 0 || round == rounds);
        if !broken.is_empty() {
            broken.insert(0, format!("round {round} of {rounds}"));
            break;
        }
    }
    lives.gate.end();
    for thread in threads {
        thread.join().unwrap();
    }
    broken.truncate(20);
    assert!(
        broken.is_empty(),
        "CRASH_SEED={seed}: {}",
        broken.join("\n")
    );
    let told = lives.promises.told();
    let heard = lives.receivers.recorder.heard();
    assert!(lives.tears > 0 || rounds < 50, "no journal was torn");
    #[expect(
        clippy::print_stderr,
        reason = "shown beside the test, for who runs it longer"
    )]
    {
        eprintln!(
            "{rounds} lives, {} torn ends, {} alerts, {} silences, {} notifications",
            lives.tears,
            told.alerts.len(),
            told.silences.len(),
            heard.len()
        );
    }
}

impl Lives {
    /// One life: what it knows, then load and a kill, or calm and a kill. What is broken.
    fn round(&mut self, calm: bool) -> Vec<String> {
        self.receivers.recorder.begins(self.kills.len());
        let router = self.home.start();
        let mut broken = self.known(&router);
        if std::mem::take(&mut self.torn) && !router.running.log().contains("journal-") {
            broken.push(format!(
                "the torn end is not reported:\n{}",
                router.running.log()
            ));
        }
        if !broken.is_empty() {
            return broken;
        }
        if calm {
            broken = self.calm();
        } else {
            self.receivers.recorder.faults(true);
            self.gate.open(router.address);
            let life = Duration::from_millis(self.random.within(50, 300));
            std::thread::park_timeout(life);
        }
        self.end(router);
        broken.extend(self.complaints());
        broken
    }

    /// Most lives end by a kill in the midst of all, some when they are asked to end, and some with a torn journal.
    fn end(&mut self, router: Router) {
        match self.random.within(0, 10) {
            0 => {
                self.gate.close();
                self.kills.push(Instant::now());
                router.running.terminate();
            }
            1 => {
                self.gate.close();
                let journal = self.tear_off(router);
                self.torn = journal;
            }
            other => {
                self.kills.push(Instant::now());
                drop(router);
                self.gate.close();
                if other == 2
                    && let Some((journal, _)) = journal::newest(&self.home.storage())
                {
                    journal::append_garbage(&journal, &mut self.random);
                    self.torn = true;
                }
            }
        }
        self.tears += usize::from(self.torn);
        if let Some(kill) = self.kills.last() {
            self.promises.excuse(*kill);
        }
        self.receivers.drain();
    }

    /// Posts one more alert, kills the program, and tears a part of that off the journal. Whether it could be.
    fn tear_off(&mut self, router: Router) -> bool {
        let before = journal::newest(&self.home.storage());
        let number = TORN + u64::try_from(self.kills.len()).unwrap();
        let ends = now() + jiff::SignedDuration::from_hours(24);
        let body = json!([{
            "labels": {"alertname": "Torn", "number": number.to_string()},
            "startsAt": now().to_string(),
            "endsAt": ends.to_string(),
        }]);
        let headers = [("Content-Type", "application/json")];
        let body = body.to_string();
        // Answered or not, nothing is promised of it.
        drop(request(
            router.address,
            "POST",
            "/api/v2/alerts",
            &headers,
            body.as_bytes(),
        ));
        self.kills.push(Instant::now());
        drop(router);
        let mut alert = Alert {
            silence: None,
            posts: Posts::default(),
        };
        // Nothing is promised of it: it may be known or not.
        alert.posts.posted(ends, false);
        self.promises.told().alerts.insert(number, alert);
        let (Some((path, from)), Some((same, to))) =
            (before, journal::newest(&self.home.storage()))
        else {
            return false;
        };
        if path != same || to <= from + 1 {
            return false;
        }
        journal::cut(&path, self.random.within(from + 1, to));
        true
    }

    fn known(&self, router: &Router) -> Vec<String> {
        let alerts = router.json("/api/v2/alerts");
        let silences = router.json("/api/v2/silences");
        checks::known(&self.promises.told(), &alerts, &silences)
    }

    /// Without load and faults: waits until all that is owed was said, and then a little longer for what was said too often.
    fn calm(&self) -> Vec<String> {
        let recorder = &self.receivers.recorder;
        recorder.faults(false);
        let end = Instant::now() + PATIENCE;
        loop {
            let heard = recorder.heard();
            let owed = checks::owed(&self.promises.told(), &heard, &self.kills);
            if owed.is_empty() {
                break;
            }
            if Instant::now() > end {
                return owed;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        // Longer than what may have been lost: what is said again after this is said twice.
        std::thread::park_timeout(checks::LOST + Duration::from_millis(500));
        let heard = recorder.heard();
        let told = self.promises.told();
        let mut broken = checks::twice(&heard, &self.kills);
        broken.extend(checks::quiet(&told, &heard));
        broken
    }

    fn complaints(&self) -> Vec<String> {
        let told = self.promises.told();
        let mut broken: Vec<String> = told.complaints.iter().map(|it| it.what.clone()).collect();
        broken.extend(self.receivers.recorder.errors());
        broken
    }
}
