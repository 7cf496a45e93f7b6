//! The one event loop: what comes from people, senders and receivers goes to the core; what the core wants kept goes to the journal,
//! and when it is there, answers and notifications go out. It has a thread of its own, as it waits for the disk.

pub(crate) mod metrics;
mod record;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

pub(crate) use self::metrics::Metrics;
pub(crate) use self::record::Record;
use crate::{
    alert::{AlertError, Posted, since},
    config::Config,
    core::{
        Core, Cursor, Input, Notification, Retry, Status,
        record::Record as Kept,
        silence::{SilenceError, SilenceId, SilenceUndo, Wish},
    },
    history::History,
    journal::{Journal, Snapshot},
    receivers::{Context, Delivered, Failure, Senders},
};

/// Requests that wait for the loop.
const QUEUE: usize = 1024;
/// Requests that are taken before what they ask to be kept is on disk, together.
const TOGETHER: usize = 128;
/// How many notifications the short history in memory holds.
const HISTORY: usize = 1000;
/// For what is on its way when the program ends.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// Bytes of a snapshot that are made between two looks at what came.
const SLICE: usize = 256 << 10;
/// How often a disk that refuses writes is tried.
const PROBE: Duration = Duration::from_millis(500);
/// After a snapshot that failed.
const SNAPSHOT_PAUSE: Duration = Duration::from_secs(60);

/// What the disk did not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal<E> {
    #[error("{0}")]
    Wrong(E),
    /// Nothing of it is kept.
    #[error("cannot keep it: {0}")]
    NotKept(String),
}

type Posts = Result<Vec<Result<Status, AlertError>>, String>;

/// What comes from outside the loop.
enum Event {
    Post(Vec<Posted>, oneshot::Sender<Posts>),
    SetSilence(
        Box<Wish>,
        SilenceId,
        oneshot::Sender<Result<SilenceId, Refusal<SilenceError>>>,
    ),
    ExpireSilence(
        SilenceId,
        oneshot::Sender<Result<(), Refusal<SilenceError>>>,
    ),
    /// Looks at what there is.
    Look(Box<dyn FnOnce(&Core, Timestamp) + Send>),
    History(Option<String>, oneshot::Sender<Vec<Record>>),
    Senders(oneshot::Sender<Arc<Senders>>),
    Measure(oneshot::Sender<()>),
    Reload(oneshot::Sender<Result<(), String>>),
    Sent(Box<Outcome>),
    SnapshotSynced(Box<Snapshot>, std::io::Result<()>),
    Stop(oneshot::Sender<()>),
}

struct Outcome {
    told: Notification,
    result: Result<Delivered, Failure>,
    took: Duration,
}

/// Speaks to the loop.
#[derive(Clone)]
pub(crate) struct Engine {
    events: mpsc::Sender<Event>,
}

/// The loop has ended: the program is stopping.
#[derive(Debug, thiserror::Error)]
#[error("alert-router is stopping")]
pub(crate) struct Stopping;

/// What the loop works with.
pub(crate) struct Parts {
    pub(crate) path: PathBuf,
    pub(crate) load: Load,
    pub(crate) context: Context,
    pub(crate) metrics: Metrics,
    pub(crate) core: Core,
    pub(crate) journal: Journal,
    pub(crate) history: History,
    /// What `/-/ready` says.
    pub(crate) ready: Arc<AtomicBool>,
}

/// Reads the configuration.
pub(crate) type Load = Box<dyn Fn() -> Result<Config, String> + Send>;

impl Engine {
    /// Starts the loop.
    ///
    /// # Errors
    /// When a receiver cannot be used, or there is no thread to be had.
    pub(crate) fn start(parts: Parts) -> Result<Self, String> {
        let config = Arc::clone(parts.core.config());
        let senders = Senders::new(Arc::clone(&config), parts.context.clone())?;
        parts.metrics.loaded(&config, Timestamp::now());
        let (events, receive) = mpsc::channel(QUEUE);
        let state = Loop {
            load: parts.load,
            path: parts.path,
            context: parts.context,
            metrics: parts.metrics,
            core: parts.core,
            journal: parts.journal,
            history: parts.history,
            ready: parts.ready,
            senders: Arc::new(senders),
            runtime: Handle::current(),
            events: events.clone(),
            sending: 0,
            recent: VecDeque::new(),
            lines: (Vec::new(), 0),
            answers: Vec::new(),
            notifications: Vec::new(),
            snapshot: None,
            no_snapshot_before: Timestamp::MIN,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| format!("cannot make the loop's runtime: {error}"))?;
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || runtime.block_on(state.run(receive)))
            .map_err(|error| format!("cannot start the loop's thread: {error}"))?;
        Ok(Self { events })
    }

    async fn ask<T>(&self, event: impl FnOnce(oneshot::Sender<T>) -> Event) -> Result<T, Stopping> {
        let (answer, answered) = oneshot::channel();
        self.events
            .send(event(answer))
            .await
            .map_err(|_closed| Stopping)?;
        answered.await.map_err(|_closed| Stopping)
    }

    /// Gives alerts to the core; when this answers, those that are not refused are on disk. The error is that of the disk.
    pub(crate) async fn post(&self, posted: Vec<Posted>) -> Result<Posts, Stopping> {
        self.ask(|answer| Event::Post(posted, answer)).await
    }

    pub(crate) async fn set_silence(
        &self,
        wish: Wish,
        fresh: SilenceId,
    ) -> Result<Result<SilenceId, Refusal<SilenceError>>, Stopping> {
        self.ask(|answer| Event::SetSilence(Box::new(wish), fresh, answer))
            .await
    }

    pub(crate) async fn expire_silence(
        &self,
        id: SilenceId,
    ) -> Result<Result<(), Refusal<SilenceError>>, Stopping> {
        self.ask(|answer| Event::ExpireSilence(id, answer)).await
    }

    /// Looks at what there is. What is done there keeps all others waiting: a little at a time.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Core, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Stopping> {
        self.ask(|answer| {
            Event::Look(Box::new(move |core, now| {
                drop(answer.send(look(core, now)));
            }))
        })
        .await
    }

    /// Notifications of late, newest first; of one alert when it is named.
    pub(crate) async fn history(
        &self,
        fingerprint: Option<String>,
    ) -> Result<Vec<Record>, Stopping> {
        self.ask(|answer| Event::History(fingerprint, answer)).await
    }

    /// What sends the notifications, for those that no alert is behind.
    pub(crate) async fn senders(&self) -> Result<Arc<Senders>, Stopping> {
        self.ask(Event::Senders).await
    }

    /// Brings the metrics up to date.
    pub(crate) async fn measure(&self) -> Result<(), Stopping> {
        self.ask(Event::Measure).await
    }

    /// Reads the configuration again; a wrong one changes nothing.
    pub(crate) async fn reload(&self) -> Result<(), String> {
        self.ask(Event::Reload)
            .await
            .map_err(|error| error.to_string())?
    }

    /// Ends the loop once what is on its way has arrived, or the patience is over.
    pub(crate) async fn stop(&self) {
        drop(self.ask(Event::Stop).await);
    }
}

/// An answer that goes out when what it promises is on disk; given the disk's error, what it was for is refused.
type Answer = Box<dyn FnOnce(Option<&str>) + Send>;

struct Loop {
    path: PathBuf,
    load: Load,
    context: Context,
    metrics: Metrics,
    core: Core,
    journal: Journal,
    history: History,
    ready: Arc<AtomicBool>,
    senders: Arc<Senders>,
    /// Where notifications are sent.
    runtime: Handle,
    /// Its own queue, for what those who send have to say.
    events: mpsc::Sender<Event>,
    sending: usize,
    recent: VecDeque<Record>,
    /// Lines for the history, and how many.
    lines: (Vec<u8>, u64),
    answers: Vec<Answer>,
    notifications: Vec<Notification>,
    snapshot: Option<Writing>,
    no_snapshot_before: Timestamp,
}

/// A snapshot on its way.
enum Writing {
    Slices(Box<Snapshot>, Cursor),
    /// Another thread waits for the disk.
    Syncing,
}

impl Loop {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut batch = Vec::with_capacity(TOGETHER);
        loop {
            self.turn();
            tokio::select! {
                count = events.recv_many(&mut batch, TOGETHER) => {
                    if count == 0 {
                        return;
                    }
                    let mut batch = batch.drain(..);
                    while let Some(event) = batch.next() {
                        match event {
                            Event::Stop(answer) => {
                                self.turn();
                                for event in batch {
                                    self.hear_last(event);
                                }
                                self.last_words(&mut events).await;
                                // Fails when nobody waits any more.
                                return answer.send(()).unwrap_or(());
                            }
                            event => self.handle(event),
                        }
                    }
                }
                () = sleep(self.pause()) => {}
            }
        }
    }

    /// Until there is something to do without anything happening.
    fn pause(&self) -> Option<Duration> {
        if matches!(self.snapshot, Some(Writing::Slices(..))) {
            return Some(Duration::ZERO);
        }
        let deadline = self.core.next_deadline();
        let deadline = deadline.map(|it| since(it, Timestamp::now()));
        let probe = self.journal.failing.is_some().then_some(PROBE);
        deadline.into_iter().chain(probe).min()
    }

    /// Keeps what is to be kept, then answers and tells.
    fn turn(&mut self) {
        let now = Timestamp::now();
        while let Some(told) = self.core.poll(now) {
            self.notifications.push(told);
        }
        self.keep_pending(now);
        if self.journal.failing.is_some() && self.answers.is_empty() {
            self.journal.probe();
        }
        self.note_changes(now);
        let error = self.journal.sync().err().map(|it| it.to_string());
        // Before the answers: who is refused finds that it is not ready.
        let is_ready = self.journal.failing.is_none();
        self.ready.store(is_ready, Ordering::Release);
        for answer in self.answers.drain(..) {
            answer(error.as_deref());
        }
        self.send();
        self.go_on_with_snapshot(now);
    }

    fn handle(&mut self, event: Event) {
        let now = Timestamp::now();
        match event {
            Event::Post(posted, answer) => self.post(posted, answer, now),
            Event::SetSilence(wish, fresh, answer) => {
                let is_change = wish.id.is_some();
                self.keep_pending(now);
                let made = self.core.set_silence(*wish, fresh, now);
                let kept = made.map_err(Refusal::Wrong).and_then(|(id, undo)| {
                    self.keep_silence(undo, now)?;
                    let word = if is_change { "updated" } else { "created" };
                    self.note_silence(id, word, now);
                    Ok(id)
                });
                self.answer(answer, kept);
            }
            Event::ExpireSilence(id, answer) => {
                self.keep_pending(now);
                let made = self.core.expire_silence(id, now);
                let kept = made.map_err(Refusal::Wrong).and_then(|undo| {
                    let changed = !undo.is_empty();
                    self.keep_silence(undo, now)?;
                    if changed {
                        self.note_silence(id, "expired", now);
                    }
                    Ok(())
                });
                self.answer(answer, kept);
            }
            Event::Look(look) => look(&self.core, now),
            Event::History(fingerprint, answer) => {
                let wanted =
                    |it: &&Record| fingerprint.as_ref().is_none_or(|wanted| it.is_of(wanted));
                drop(answer.send(self.recent.iter().rev().filter(wanted).cloned().collect()));
            }
            Event::Senders(answer) => drop(answer.send(Arc::clone(&self.senders))),
            Event::Measure(answer) => {
                self.metrics
                    .measure(&self.core, &self.journal, &self.history, self.sending, now);
                // Fails when nobody waits any more.
                answer.send(()).unwrap_or(());
            }
            Event::Reload(answer) => drop(answer.send(self.reload(now))),
            Event::Sent(outcome) => self.sent(*outcome, now),
            Event::SnapshotSynced(snapshot, synced) => {
                let ended = synced.and_then(|()| self.journal.end_snapshot(&snapshot));
                self.snapshot = None;
                if let Err(error) = ended {
                    self.give_up_snapshot(&error, now);
                }
            }
            // Handled where the loop can end.
            Event::Stop(answer) => drop(answer),
        }
    }

    fn post(&mut self, posted: Vec<Posted>, answer: oneshot::Sender<Posts>, now: Timestamp) {
        let prepared = self.core.prepare(posted, now);
        let records = with_clock(self.core.prepared_records(&prepared), now);
        let kept = if prepared.is_empty() {
            Ok(())
        } else {
            self.journal.append(&records)
        };
        let results = match kept {
            Ok(()) => Ok(self.core.commit(prepared, now)),
            Err(error) => {
                self.core.undo(prepared);
                Err(error.to_string())
            }
        };
        self.metrics.posted(&results);
        self.answers.push(Box::new(move |error| {
            let results = match error {
                Some(error) => Err(error.to_owned()),
                None => results,
            };
            drop(answer.send(results));
        }));
    }

    /// Appends what happened and cannot be refused.
    fn keep_pending(&mut self, now: Timestamp) {
        let records = self.core.take_records();
        if !records.is_empty() {
            self.journal.append_always(&with_clock(&records, now));
        }
    }

    /// Appends what a silence is, the only thing that is pending; when that cannot be, it is as it was.
    fn keep_silence(
        &mut self,
        undo: SilenceUndo,
        now: Timestamp,
    ) -> Result<(), Refusal<SilenceError>> {
        let records = self.core.take_records();
        let kept = self.journal.append(&with_clock(&records, now));
        kept.map_err(|error| {
            self.core.undo_silence(undo);
            Refusal::NotKept(error.to_string())
        })
    }

    fn answer<T: Send + 'static, E: Send + 'static>(
        &mut self,
        answer: oneshot::Sender<Result<T, Refusal<E>>>,
        result: Result<T, Refusal<E>>,
    ) {
        self.answers.push(Box::new(move |error| {
            let result = match error {
                Some(error) if result.is_ok() => Err(Refusal::NotKept(error.to_owned())),
                _ => result,
            };
            drop(answer.send(result));
        }));
    }

    fn reload(&mut self, now: Timestamp) -> Result<(), String> {
        let loaded = (self.load)().and_then(|config| {
            let config = Arc::new(config);
            let senders = Senders::new(Arc::clone(&config), self.context.clone())?;
            Ok((config, senders))
        });
        match loaded {
            Ok((config, senders)) => {
                self.metrics.loaded(&config, now);
                self.senders = Arc::new(senders);
                self.core.handle(Input::Reload(config), now);
                if let Some(Writing::Slices(_, cursor)) = &mut self.snapshot {
                    // Groups have other places now.
                    *cursor = cursor.before_groups();
                }
                tracing::info!(file = %self.path.display(), "Completed loading of configuration file");
                Ok(())
            }
            Err(error) => {
                self.metrics.not_loaded();
                tracing::error!(error, "the configuration is wrong; the one before stays");
                Err(error)
            }
        }
    }

    /// Sends what the core wants told.
    fn send(&mut self) {
        for told in self.notifications.drain(..) {
            self.sending += 1;
            let senders = Arc::clone(&self.senders);
            let events = self.events.clone();
            self.runtime.spawn(async move {
                let begin = Instant::now();
                let result = senders.send(&told).await;
                let outcome = Outcome {
                    told,
                    result,
                    took: begin.elapsed(),
                };
                // Fails when the loop has ended.
                drop(events.send(Event::Sent(Box::new(outcome))).await);
            });
        }
    }

    fn sent(&mut self, outcome: Outcome, now: Timestamp) {
        self.sending = self.sending.saturating_sub(1);
        let Outcome { told, result, took } = outcome;
        self.metrics.sent(&told, result.as_ref().err(), took);
        if let Ok(delivered) = &result {
            let has_complaint = delivered.complaint.is_some();
            self.metrics
                .delivered(delivered.refused.len(), has_complaint);
        }
        let record = Record::new(&told, &result, now);
        record.write(&mut self.lines.0, &told);
        self.lines.1 += 1;
        if self.recent.len() >= HISTORY {
            self.recent.pop_front();
        }
        self.recent.push_back(record);
        let (receiver, name) = (&told.integration.receiver, told.integration.name());
        let input = match result {
            Ok(delivered) => {
                tracing::info!(
                    receiver,
                    integration = name,
                    group = told.group_key,
                    alerts = told.alerts.len(),
                    "notified"
                );
                Input::Sent {
                    id: told.id,
                    memory: delivered.memory,
                }
            }
            Err(failure) => {
                let again = if failure.retry == Retry::No {
                    "with the next look at the group"
                } else {
                    "soon"
                };
                tracing::warn!(
                    receiver,
                    integration = name,
                    group = told.group_key,
                    attempt = told.attempt,
                    error = failure.error,
                    again,
                    "notification failed"
                );
                Input::Failed {
                    id: told.id,
                    retry: failure.retry,
                    memory: failure.memory,
                }
            }
        };
        self.core.handle(input, now);
    }

    fn note_silence(&mut self, id: SilenceId, word: &str, now: Timestamp) {
        if let Some(silence) = self.core.silences().get(id) {
            record::write_silence(&mut self.lines.0, silence, word, now);
            self.lines.1 += 1;
        }
    }

    fn note_changes(&mut self, now: Timestamp) {
        for change in self.core.take_changes() {
            record::write_change(&mut self.lines.0, &change, now);
            self.lines.1 += 1;
        }
        self.history.append(&self.lines.0, self.lines.1, now);
        self.lines.0.clear();
        self.lines.1 = 0;
        self.lines.0.shrink_to(SLICE);
    }

    /// Makes a piece of a snapshot, where one is wanted.
    fn go_on_with_snapshot(&mut self, now: Timestamp) {
        match self.snapshot.take() {
            None => {
                if self.journal.wants_snapshot() && now >= self.no_snapshot_before {
                    match self.journal.begin_snapshot() {
                        Ok(snapshot) => {
                            let start = Cursor::default();
                            self.snapshot = Some(Writing::Slices(Box::new(snapshot), start));
                        }
                        Err(error) => self.give_up_snapshot(&error, now),
                    }
                }
            }
            Some(Writing::Syncing) => self.snapshot = Some(Writing::Syncing),
            Some(Writing::Slices(mut snapshot, cursor)) => {
                let mut slice = Vec::new();
                let next = self.core.write(cursor, SLICE, now, &mut slice);
                if let Err(error) = snapshot.append(&slice) {
                    self.give_up_snapshot(&error, now);
                    return;
                }
                self.snapshot = Some(match next {
                    Some(next) => Writing::Slices(snapshot, next),
                    None => {
                        let events = self.events.clone();
                        self.runtime.spawn_blocking(move || {
                            let mut snapshot = snapshot;
                            let synced = snapshot.sync();
                            // Fails when the loop has ended: the journals are still there.
                            drop(events.blocking_send(Event::SnapshotSynced(snapshot, synced)));
                        });
                        Writing::Syncing
                    }
                });
            }
        }
    }

    fn give_up_snapshot(&mut self, error: &std::io::Error, now: Timestamp) {
        tracing::error!(%error, "cannot write a snapshot; the journals stay, and it is tried again in a minute");
        self.journal.drop_snapshot();
        self.no_snapshot_before = crate::alert::after(now, SNAPSHOT_PAUSE);
    }

    /// What comes when the program ends: only what receivers say is heard, nobody is answered any more.
    fn hear_last(&mut self, event: Event) {
        if let Event::Sent(outcome) = event {
            self.sent(*outcome, Timestamp::now());
        }
    }

    /// Lets what is on its way arrive, and keeps that it did.
    async fn last_words(&mut self, events: &mut mpsc::Receiver<Event>) {
        let patience = tokio::time::timeout(LAST_WORDS, async {
            while self.sending > 0 {
                match events.recv().await {
                    Some(event) => self.hear_last(event),
                    None => return,
                }
            }
        });
        if patience.await.is_err() {
            tracing::error!(
                notifications = self.sending,
                "notifications are cut off by the end of the program; they are sent again after the next start"
            );
        }
        let now = Timestamp::now();
        self.keep_pending(now);
        self.note_changes(now);
        if let Err(error) = self.journal.sync() {
            tracing::error!(%error, "the journal's last words are not on disk");
        }
    }
}

/// Records, and before them what time it is.
fn with_clock(records: &[u8], now: Timestamp) -> Vec<u8> {
    let mut all = Vec::with_capacity(records.len() + 32);
    Kept::Now(now).write(&mut all);
    all.extend_from_slice(records);
    all
}

/// Until the next deadline; for ever when there is none.
async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
