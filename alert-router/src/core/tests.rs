//! Days of alerts as text: a configuration, then lines of what happens and of what people hear.

mod property;

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    Core, Input, Limits, Memory, Notification, Pauses, Retry, Status, Times,
    record::{Frame, HEAD, Restored, frame},
    silence::{SilenceId, SilenceLimits, Wish},
    store::AlertLimits,
};
use crate::{
    alert::{Pairs, Posted, after, packed::Packed, since},
    config::Config,
    matcher::Matcher,
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
    let mut alerts: Vec<_> = told.alerts.iter().collect();
    alerts.sort_by_key(|it| it.2);
    for (_, alert, its) in alerts {
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
    /// Everything that was kept: what a crash leaves.
    journal: Vec<u8>,
    silences: BTreeMap<String, SilenceId>,
}

const LIMITS: Limits = Limits {
    alerts: AlertLimits {
        all: 1000,
        of_name: 0,
    },
    silences: SilenceLimits { count: 0, size: 0 },
    groups: 1000,
};

fn core(config: Arc<Config>, limits: Limits, start: Timestamp) -> Core {
    let times = Times {
        retention: Duration::from_secs(5 * 86_400),
        start,
        pauses: Pauses {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(60),
            jitter: 0,
        },
    };
    Core::new(config, limits, times)
}

/// What is left after a crash.
fn restored(config: &Arc<Config>, limits: Limits, journal: &[u8], now: Timestamp) -> Core {
    let mut core = core(Arc::clone(config), limits, now);
    let mut rest = journal;
    while !rest.is_empty() {
        let Frame::Good(payload) = frame(rest) else {
            panic!("a bad record");
        };
        core.restore(Restored::read(payload).unwrap());
        rest = &rest[HEAD + payload.len()..];
    }
    core.restored(now);
    core
}

/// Everything that is known, as a snapshot has it.
fn snapshot(core: &Core, now: Timestamp) -> Vec<u8> {
    let (mut bytes, mut cursor) = (Vec::new(), super::Cursor::default());
    while let Some(next) = core.write(cursor, 100, now, &mut bytes) {
        cursor = next;
    }
    bytes
}

/// Gives alerts to the core as the engine does.
fn post(
    core: &mut Core,
    journal: &mut Vec<u8>,
    posted: Vec<Posted>,
    now: Timestamp,
) -> Vec<Result<Status, crate::alert::AlertError>> {
    let prepared = core.prepare(posted, now);
    super::record::Record::Now(now).write(journal);
    journal.extend_from_slice(core.prepared_records(&prepared));
    core.commit(prepared, now)
}

impl Day {
    /// Everything until `end`, in the order of time.
    fn run(&mut self, mut now: Timestamp, end: Timestamp) {
        for _ in 0..10_000 {
            while let Some(told) = self.core.poll(now) {
                self.journal.extend(self.core.take_records());
                self.told.push(show(now, &told));
                let outcome = self.outcomes.get(told.integration.name());
                if self.manual {
                    self.open.push(told.id);
                    continue;
                }
                let input = match outcome.copied().flatten() {
                    None => Input::Sent {
                        id: told.id,
                        memory: Memory::new(),
                    },
                    Some(retry) => Input::Failed {
                        id: told.id,
                        retry,
                        memory: Memory::new(),
                    },
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
            texts: Packed::of(
                &labels(line.rest.split(' ').next().unwrap()),
                &Pairs::new(),
                "",
            ),
            ends_at,
            starts_at: line
                .rest
                .split(' ')
                .nth(1)
                .map(|it| after(start(), duration(it))),
        };
        match line.word {
            "fire" => {
                let posted = vec![posted(None)];
                drop(post(&mut self.core, &mut self.journal, posted, now));
            }
            "resolve" => {
                let posted = vec![posted(Some(now))];
                drop(post(&mut self.core, &mut self.journal, posted, now));
            }
            // NAME DURATION MATCHERS
            "silence" => {
                let mut words = line.rest.splitn(3, ' ');
                let (name, lasts) = (words.next().unwrap(), words.next().unwrap());
                let wish = Wish {
                    id: self.silences.get(name).copied(),
                    matchers: Matcher::parse_all(words.next().unwrap()).unwrap(),
                    starts_at: now,
                    ends_at: after(now, duration(lasts)),
                    created_by: "story".to_owned(),
                    comment: String::new(),
                    annotations: Pairs::new(),
                };
                let fresh = SilenceId::random([u8::try_from(self.silences.len()).unwrap(); 16]);
                let (id, _) = self.core.set_silence(wish, fresh, now).unwrap();
                self.silences.insert(name.to_owned(), id);
            }
            "unsilence" => {
                let id = self.silences[line.rest];
                self.core.expire_silence(id, now).unwrap();
            }
            // kill -9, and a new start.
            "crash" => {
                self.journal.extend(self.core.take_records());
                let config = Arc::clone(self.core.config());
                self.core = restored(&config, LIMITS, &self.journal, now);
                self.open.clear();
            }
            // The journal is replaced by a snapshot.
            "snapshot" => {
                self.journal.extend(self.core.take_records());
                self.journal = snapshot(&self.core, now);
            }
            "reload" => {
                let text = fs::read_to_string(story(line.rest)).unwrap();
                let config = Arc::new(config(&text));
                self.core.handle(Input::Reload(config), now);
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
                    self.core.handle(
                        Input::Sent {
                            id,
                            memory: Memory::new(),
                        },
                        now,
                    );
                }
            }
            "end" => {
                let held = self.core.store().len();
                if held.to_string() != line.rest {
                    let at = since(now, start());
                    self.told.push(format!("{at:?}: {held} alerts are held"));
                }
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
        core: core(Arc::new(config(text)), LIMITS, start()),
        told: Vec::new(),
        outcomes: BTreeMap::new(),
        open: Vec::new(),
        manual: false,
        journal: Vec::new(),
        silences: BTreeMap::new(),
    };
    let mut expect = Vec::new();
    let (mut now, mut end) = (start(), start());
    let lines = lines
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty() && !it.starts_with('#'));
    for line in lines {
        let parsed = parse(line);
        if parsed.word == "->" {
            let time = line.split(' ').next().unwrap();
            end = end.max(parsed.at);
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
    day.run(now, end);
    (day.told, expect)
}

#[test]
fn stories() {
    let (mut count, mut wrong) = (0, String::new());
    for entry in fs::read_dir(story("")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "txt") {
            let (told, expect) = play(&fs::read_to_string(&path).unwrap());
            let (told, expect) = (told.join("\n"), expect.join("\n"));
            if told != expect {
                let name = path.file_name().unwrap().to_string_lossy();
                write!(wrong, "\n{name}:\n{told}\n  but expected\n{expect}\n").unwrap();
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 40, "only {count} stories");
}
