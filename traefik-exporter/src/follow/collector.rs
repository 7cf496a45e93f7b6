//! A log that is followed on a thread of its own, as a collector: what its lines come to, and how the reading goes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};

use super::{Follower, Place, Seen};

/// What the lines of a log come to.
pub(crate) trait Lines: Send + 'static {
    /// Takes a line. False when it is none of such a log.
    fn line(&mut self, line: &[u8]) -> bool;

    fn families(&self, out: &mut Vec<Family>);
}

/// Which log it is, and how it is read and shown.
pub(crate) struct Log {
    pub(crate) collector: &'static str,
    pub(crate) path: PathBuf,
    /// Where reading begins in what is there at the start: so many bytes before its end.
    pub(crate) before_end: u64,
    /// Where the place is kept over restarts.
    pub(crate) checkpoint: Option<PathBuf>,
    /// Whether it can be read.
    pub(crate) readable: &'static Desc,
    /// By `result`.
    pub(crate) lines: &'static Desc,
    /// By `how`.
    pub(crate) restarts: &'static Desc,
}

/// A log, as a collector.
pub(crate) struct Followed<T> {
    log: Arc<Log>,
    read: Arc<Mutex<Read<T>>>,
}

struct Read<T> {
    lines: T,
    seen: Seen,
    unknown: u64,
    /// Whether it could be read at the last look, or why not; None before the first.
    last: Option<Result<(), String>>,
}

/// Between looks at the file.
const PAUSE: Duration = Duration::from_millis(500);
/// What is read while a scrape waits.
const PIECE: u64 = 1 << 20;
/// Between writings of the place.
const CHECKPOINT: Duration = Duration::from_secs(2);
/// A larger one is none of ours.
const MAX_PLACE: u64 = 1 << 16;

impl<T: Lines> Followed<T> {
    /// Follows the log from now on, or from where the checkpoint is.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(log: Log, lines: T) -> io::Result<Self> {
        let log = Arc::new(log);
        let read = Arc::new(Mutex::new(Read {
            lines,
            seen: Seen::default(),
            unknown: 0,
            last: None,
        }));
        let (its, all) = (Arc::clone(&log), Arc::clone(&read));
        std::thread::Builder::new()
            .name(log.collector.to_owned())
            .spawn(move || follow(&its, &all))?;
        Ok(Self { log, read })
    }
}

fn follow<T: Lines>(log: &Log, read: &Mutex<Read<T>>) {
    let mut follower = Follower::new(log.path.clone(), log.before_end);
    let mut written = log.checkpoint.as_deref().and_then(restore);
    if let Some(place) = &written {
        follower.resume(place);
    }
    let mut checked = Instant::now();
    loop {
        let is_behind = lock(read).look(&mut follower, log);
        if let Some(path) = &log.checkpoint
            && checked.elapsed() > CHECKPOINT
        {
            let place = follower.place();
            if place.is_some() && place != written {
                if let Err(error) = keep(path, place.as_ref()) {
                    tracing::warn!(path = %path.display(), %error, "the place in the log cannot be kept");
                }
                written = place;
            }
            checked = Instant::now();
        }
        if !is_behind {
            std::thread::park_timeout(PAUSE);
        }
    }
}

impl<T: Lines> Read<T> {
    /// True when there is more of it.
    fn look(&mut self, follower: &mut Follower, log: &Log) -> bool {
        let polled = follower.poll(PIECE, |line| {
            self.unknown += u64::from(!self.lines.line(line));
        });
        self.seen = follower.seen;
        let polled = polled.map_err(|error| error.to_string());
        if let Err(error) = &polled
            && self.last.as_ref().and_then(|it| it.as_ref().err()) != Some(error)
        {
            tracing::warn!(path = %log.path.display(), error, "Traefik's log cannot be read");
        }
        let is_behind = polled.as_ref().is_ok_and(|it| *it);
        self.last = Some(polled.map(drop));
        is_behind
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts fit 53 bits for centuries"
    )]
    fn families(&self, log: &Log, out: &mut Vec<Family>) {
        let is_readable = matches!(self.last, Some(Ok(())));
        let mut lines = Family::of(log.lines);
        let known = self.seen.lines.saturating_sub(self.unknown);
        lines.push(&["read"], known as f64);
        lines.push(&["unknown"], self.unknown as f64);
        lines.push(&["long"], self.seen.long as f64);
        let mut restarts = Family::of(log.restarts);
        restarts.push(&["rotated"], self.seen.rotated as f64);
        restarts.push(&["truncated"], self.seen.truncated as f64);
        let readable = Family::single(log.readable, f64::from(u8::from(is_readable)));
        out.extend([readable, lines, restarts]);
        self.lines.families(out);
    }
}

impl<T: Lines> Collector for Followed<T> {
    fn name(&self) -> &'static str {
        self.log.collector
    }

    fn collect(&self, _scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let read = lock(&self.read);
        read.families(&self.log, out);
        match &read.last {
            Some(Err(error)) => Err(CollectError::failed(error.clone())),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

fn lock<T>(read: &Mutex<Read<T>>) -> MutexGuard<'_, Read<T>> {
    read.lock().unwrap_or_else(PoisonError::into_inner)
}

fn restore(path: &Path) -> Option<Place> {
    let size = fs::metadata(path).ok()?.len();
    let text = (size < MAX_PLACE).then(|| fs::read(path).ok())??;
    serde_json::from_slice(&text).ok()
}

/// Whole or not at all.
fn keep(path: &Path, place: Option<&Place>) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(&place)?)?;
    fs::rename(new, path)
}
