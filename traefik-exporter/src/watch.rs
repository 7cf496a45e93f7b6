//! Configuration that Traefik rejects: nothing of its API or metrics tells, but its log does, which is followed here.

mod line;

use std::{collections::BTreeMap, path::PathBuf};

use exposition::{Desc, Family, Kind};

use self::line::{Level, Message};
use crate::follow::{Lines, Log};

const READABLE: Desc = Desc::new(
    "traefik_log_readable",
    Kind::Gauge,
    "Whether Traefik's log can be read.",
);
const LINES: Desc = Desc::new(
    "traefik_log_lines_total",
    Kind::Counter,
    "Lines of Traefik's log: read, unknown, such as the further lines of a message in text, or too long to be read.",
)
.labels(&["result"]);
const MESSAGES: Desc = Desc::new(
    "traefik_log_messages_total",
    Kind::Counter,
    "Lines of Traefik's log by their level.",
)
.labels(&["level"]);
const FILES: Desc = Desc::new(
    "traefik_log_restarts_total",
    Kind::Counter,
    "How often Traefik's log began anew: rotated to another file, or truncated.",
)
.labels(&["how"]);
const PROVIDER_ERRORS: Desc = Desc::new(
    "traefik_log_provider_errors_total",
    Kind::Counter,
    "Errors with configuration, by where it came from: a file that is rejected is one, and keeps what was configured before.",
)
.labels(&["provider"]);
const LAST_TIME: Desc = Desc::new(
    "traefik_log_last_provider_error_timestamp_seconds",
    Kind::Gauge,
    "When the last such error was, in seconds since 1970.",
)
.labels(&["provider"]);
const LAST_ERROR: Desc = Desc::new(
    "traefik_log_last_provider_error_info",
    Kind::Gauge,
    "The last such error, though it may be mended; always 1.",
)
.labels(&["provider", "error"]);
const CERTIFICATE_ERRORS: Desc = Desc::new(
    "traefik_log_certificate_errors_total",
    Kind::Counter,
    "Certificates of the configuration that could not be used.",
);

#[cfg(test)]
pub(crate) const DESCS: &[Desc] = &[
    READABLE,
    LINES,
    MESSAGES,
    FILES,
    PROVIDER_ERRORS,
    LAST_TIME,
    LAST_ERROR,
    CERTIFICATE_ERRORS,
];

/// What is read of a log that is there when we start: errors of before may still be true.
const BEFORE: u64 = 1 << 20;
/// Providers that are told apart.
const MAX_PROVIDERS: usize = 64;
/// Characters of an error that are shown.
const MAX_ERROR: usize = 300;

/// What the lines of Traefik's log come to.
pub(crate) struct Counts {
    levels: [u64; Level::ALL.len()],
    providers: BTreeMap<String, Errors>,
    certificates: u64,
}

#[derive(Default)]
struct Errors {
    count: u64,
    last: String,
    time: Option<jiff::Timestamp>,
}

/// Traefik's log at this path, and what counts its lines.
pub(crate) fn open(path: PathBuf) -> (Log, Counts) {
    let log = Log {
        collector: "config-watch",
        path,
        before_end: BEFORE,
        checkpoint: None,
        readable: &READABLE,
        lines: &LINES,
        restarts: &FILES,
    };
    (log, Counts::new())
}

impl Counts {
    /// The provider that most have is there from the start, so that its first error is a step.
    pub(crate) fn new() -> Self {
        Self {
            levels: [0; Level::ALL.len()],
            providers: BTreeMap::from([("file".to_owned(), Errors::default())]),
            certificates: 0,
        }
    }

    fn take(&mut self, message: Message) {
        for (level, count) in Level::ALL.into_iter().zip(&mut self.levels) {
            *count += u64::from(level == message.level);
        }
        if !message.level.is_error() {
            return;
        }
        self.certificates += u64::from(message.is_certificate);
        let Some(provider) = message.provider else {
            return;
        };
        let is_known = self.providers.contains_key(&provider);
        let provider = if is_known || self.providers.len() < MAX_PROVIDERS {
            provider
        } else {
            "other".to_owned()
        };
        let errors = self.providers.entry(provider).or_default();
        errors.count += 1;
        errors.last = message.text.chars().take(MAX_ERROR).collect();
        errors.time = message.time;
    }
}

impl Lines for Counts {
    fn line(&mut self, line: &[u8]) -> bool {
        let message = Message::parse(line);
        message.map(|it| self.take(it)).is_some()
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts fit 53 bits for centuries"
    )]
    fn families(&self, out: &mut Vec<Family>) {
        let mut messages = Family::of(&MESSAGES);
        for (level, count) in Level::ALL.into_iter().zip(self.levels) {
            messages.push(&[level.word()], count as f64);
        }
        let mut errors = Family::of(&PROVIDER_ERRORS);
        let mut times = Family::of(&LAST_TIME);
        let mut texts = Family::of(&LAST_ERROR);
        for (provider, its) in &self.providers {
            errors.push(&[provider], its.count as f64);
            if let Some(time) = its.time {
                times.push(&[provider], time.as_duration().as_secs_f64());
            }
            if its.count > 0 {
                texts.push(&[provider, &its.last], 1.0);
            }
        }
        out.extend([
            Family::single(&CERTIFICATE_ERRORS, self.certificates as f64),
            messages,
            errors,
            times,
            texts,
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;
    use crate::follow::Lines as _;

    #[test]
    fn providers_are_bounded() {
        let mut counts = Counts::new();
        for at in 0..200 {
            let line = format!(
                r#"{{"level":"error","providerName":"p{at}","message":"{}"}}"#,
                "é".repeat(1000)
            );
            assert!(counts.line(line.as_bytes()));
        }
        assert!(counts.line(br#"{"level":"warn","providerName":"file","message":"m"}"#));
        assert!(!counts.line(b"hello"));
        assert_eq!(counts.providers.len(), 65);
        assert_eq!(counts.providers["other"].count, 137);
        assert_eq!(counts.providers["p0"].last.chars().count(), 300);
        assert_eq!(counts.providers["file"].count, 0);
        assert_eq!(counts.levels, [0, 0, 0, 1, 200, 0]);
    }
}
