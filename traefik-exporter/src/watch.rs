//! Configuration that Traefik rejects: nothing of its API or metrics tells, but its log does, which is followed here.

mod line;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use self::line::Level;
pub(crate) use self::line::Message;
use crate::follow::{Follower, Seen};

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
/// Between looks at the file.
const PAUSE: Duration = Duration::from_millis(500);
/// What is read before the counts are shown.
const PIECE: u64 = 4 << 20;
/// Providers that are told apart.
const MAX_PROVIDERS: usize = 64;
/// Characters of an error that are shown.
const MAX_ERROR: usize = 300;

/// Traefik's log, as a collector.
pub(crate) struct Watch(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    seen: Seen,
    is_readable: bool,
    /// Why not, to be told once.
    failure: Option<String>,
    unknown: u64,
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

impl Watch {
    /// Follows this log from now on, on a thread of its own.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(path: PathBuf) -> io::Result<Self> {
        let counts = Arc::new(Mutex::new(Counts::new()));
        let its = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let mut follower = Follower::new(path.clone(), BEFORE);
                loop {
                    let mut batch = Vec::new();
                    let polled = follower.poll(PIECE, |line| batch.push(Message::parse(line)));
                    let is_behind = {
                        let mut counts = lock(&its);
                        batch.into_iter().for_each(|it| counts.take(it));
                        counts.seen = follower.seen;
                        counts.state(&path, polled)
                    };
                    if !is_behind {
                        std::thread::park_timeout(PAUSE);
                    }
                }
            })?;
        Ok(Self(counts))
    }
}

impl Counts {
    /// The provider that most have is there from the start, so that its first error is a step.
    fn new() -> Self {
        Self {
            providers: BTreeMap::from([("file".to_owned(), Errors::default())]),
            ..Self::default()
        }
    }

    fn take(&mut self, message: Option<Message>) {
        let Some(message) = message else {
            self.unknown += 1;
            return;
        };
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

    /// Notes whether the log can be read, and gives whether there is more of it.
    fn state(&mut self, path: &std::path::Path, polled: io::Result<bool>) -> bool {
        match polled {
            Ok(is_behind) => {
                self.is_readable = true;
                self.failure = None;
                is_behind
            }
            Err(error) => {
                let error = error.to_string();
                if self.failure.as_ref() != Some(&error) {
                    tracing::warn!(path = %path.display(), error, "Traefik's log cannot be read");
                }
                self.is_readable = false;
                self.failure = Some(error);
                false
            }
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts fit 53 bits for centuries"
    )]
    fn families(&self, out: &mut Vec<Family>) {
        let mut lines = Family::of(&LINES);
        lines.push(
            &["read"],
            self.seen.lines.saturating_sub(self.unknown) as f64,
        );
        lines.push(&["unknown"], self.unknown as f64);
        lines.push(&["long"], self.seen.long as f64);
        let mut messages = Family::of(&MESSAGES);
        for (level, count) in Level::ALL.into_iter().zip(self.levels) {
            messages.push(&[level.word()], count as f64);
        }
        let mut files = Family::of(&FILES);
        files.push(&["rotated"], self.seen.rotated as f64);
        files.push(&["truncated"], self.seen.truncated as f64);
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
        let readable = f64::from(u8::from(self.is_readable));
        out.extend([
            Family::single(&READABLE, readable),
            Family::single(&CERTIFICATE_ERRORS, self.certificates as f64),
            lines,
            messages,
            files,
            errors,
            times,
            texts,
        ]);
    }
}

impl Collector for Watch {
    fn name(&self) -> &'static str {
        "config-watch"
    }

    fn collect(&self, _scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let counts = lock(&self.0);
        counts.families(out);
        match &counts.failure {
            None => Ok(()),
            Some(error) => Err(CollectError::failed(error.clone())),
        }
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Counts, Message};

    #[test]
    fn providers_are_bounded() {
        let mut counts = Counts::new();
        for at in 0..200 {
            let line = format!(
                r#"{{"level":"error","providerName":"p{at}","message":"{}"}}"#,
                "é".repeat(1000)
            );
            counts.take(Message::parse(line.as_bytes()));
        }
        counts.take(Message::parse(
            br#"{"level":"warn","providerName":"file","message":"m"}"#,
        ));
        counts.take(None);
        assert_eq!(counts.providers.len(), 65);
        assert_eq!(counts.providers["other"].count, 137);
        assert_eq!(counts.providers["p0"].last.chars().count(), 300);
        assert_eq!(counts.providers["file"].count, 0);
        assert_eq!((counts.levels, counts.unknown), ([0, 0, 0, 1, 200, 0], 1));
    }
}
