//! Collectors, and one scrape of all of them that ends at its deadline whatever a collector does.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet, VecDeque},
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use exposition::{Family, Kind, Labels};
use tokio::sync::Notify;

use crate::{Shown, chain};

/// How many collectors of a scrape run at a time while all of them make progress: an agent leaves the processors to others.
const WORKERS: usize = 2;

/// When no collector has ended for this long, one more is started: those that run may hang.
const STALL: Duration = Duration::from_millis(100);

/// One thing that is read and shown.
pub trait Collector: Send + Sync + 'static {
    /// The name in flags, in the URL filter and in the label `collector`.
    fn name(&self) -> &'static str;

    /// Appends what there is to `out`; what is there when it fails is shown too.
    ///
    /// Blocks, on a thread of its own. When it is not back at `scrape.deadline` the scrape goes on without it, and it
    /// is not called again before it is back.
    ///
    /// # Errors
    /// [`CollectError::NoData`] when the machine has no such thing, [`CollectError::Failed`] when reading failed.
    fn collect(&self, scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError>;

    /// The same, for one that keeps families from scrape to scrape. This is what is called.
    ///
    /// # Errors
    /// As [`Collector::collect`].
    fn show(&self, scrape: &Scrape, out: &mut Shown) -> Result<(), CollectError> {
        self.collect(scrape, &mut out.families)
    }
}

/// What a collector is told about the scrape it is part of.
#[derive(Debug, Clone, Copy)]
pub struct Scrape {
    /// When the answer leaves.
    pub deadline: Instant,
}

impl Scrape {
    /// The time left until `margin` before the deadline; zero when it has passed.
    #[must_use]
    pub fn remaining(&self, margin: Duration) -> Duration {
        self.deadline
            .saturating_duration_since(Instant::now())
            .saturating_sub(margin)
    }
}

/// Why a collector gave nothing, or not all.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The machine has no such thing: no failure, but `success` is 0, as Prometheus' node_exporter has it.
    #[error("collector returned no data")]
    NoData,
    /// It has, but it could not be read.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
}

impl CollectError {
    /// A failure.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}

/// Which collectors a URL asks for: `collect[]=` names them, `exclude[]=` names the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these; all when empty.
    pub collect: Vec<String>,
    /// All but these.
    pub exclude: Vec<String>,
}

/// A filter that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Both kinds at once.
    #[error("combined collect and exclude queries are not allowed")]
    Both,
    /// No collector has this name.
    #[error("missing collector: {0}")]
    Missing(String),
    /// It exists and is switched off.
    #[error("disabled collector: {0}")]
    Disabled(String),
}

/// The collectors of a program.
pub struct Registry {
    duration: String,
    success: String,
    namespace: String,
    slots: Vec<Arc<Slot>>,
    disabled: BTreeSet<&'static str>,
}

struct Slot {
    collector: Box<dyn Collector>,
    /// Calls that were given up and are not back.
    hung: AtomicUsize,
    /// How the last scrape went; a change is worth a line in the log, a repetition is not.
    last: Mutex<String>,
}

/// A collector's call: the worker and the scrape agree here who was first, the result or the deadline.
#[derive(Default)]
struct Call {
    state: Mutex<CallState>,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum CallState {
    #[default]
    Waiting,
    Running(Instant),
    Done,
    GivenUp,
}

struct Outcome {
    index: usize,
    shown: Shown,
    result: Result<(), CollectError>,
    duration: Duration,
}

impl Registry {
    /// A registry whose metrics about itself start with `prefix` (`node` in `node_scrape_collector_success`).
    #[must_use]
    pub fn new(prefix: &str, namespace: &str, collectors: Vec<Box<dyn Collector>>) -> Self {
        Self {
            duration: format!("{prefix}_scrape_collector_duration_seconds"),
            success: format!("{prefix}_scrape_collector_success"),
            namespace: namespace.to_owned(),
            slots: collectors
                .into_iter()
                .map(|collector| {
                    Arc::new(Slot {
                        collector,
                        hung: AtomicUsize::new(0),
                        last: Mutex::new(String::new()),
                    })
                })
                .collect(),
            disabled: BTreeSet::new(),
        }
    }

    /// Names of collectors that exist but are switched off, for a better answer to a filter that names one.
    #[must_use]
    pub fn with_disabled(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.disabled = names.into_iter().collect();
        self
    }

    /// The names of the collectors, in the order given.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.slots.iter().map(|it| it.collector.name())
    }

    /// Checks a filter before anything is read.
    ///
    /// # Errors
    /// When it names both ways, or what does not exist or is switched off.
    pub fn check(&self, filter: &Filter) -> Result<(), FilterError> {
        if !filter.collect.is_empty() && !filter.exclude.is_empty() {
            return Err(FilterError::Both);
        }
        for name in filter.collect.iter().chain(&filter.exclude) {
            if self.disabled.contains(name.as_str()) {
                return Err(FilterError::Disabled(name.clone()));
            }
            if !self.names().any(|it| it == name) {
                return Err(FilterError::Missing(name.clone()));
            }
        }
        Ok(())
    }

    /// Runs the collectors that the filter lets through and returns at the deadline at the latest. A collector that fails,
    /// panics or is not back costs its own metrics; its `success` is then 0.
    pub async fn scrape(&self, filter: &Filter, deadline: Instant) -> Shown {
        let chosen = |slot: &Slot| {
            let name = slot.collector.name();
            let named = |list: &[String]| list.iter().any(|it| it == name);
            (filter.collect.is_empty() || named(&filter.collect)) && !named(&filter.exclude)
        };
        let slots: Vec<_> = self.slots.iter().filter(|it| chosen(it)).cloned().collect();
        let mut shown = Shown::default();
        let mut ends: BTreeMap<usize, (Result<(), CollectError>, Duration)> = BTreeMap::new();
        let queue = Arc::new(Queue::new(&slots, deadline));
        for index in queue.hung() {
            let error = CollectError::failed("still busy with an earlier scrape");
            ends.insert(index, (Err(error), Duration::ZERO));
        }
        let expected = slots.len();
        let mut workers = 0;
        let start = |workers: &mut usize| {
            *workers += 1;
            let queue = Arc::clone(&queue);
            tokio::task::spawn_blocking(move || queue.work());
        };
        while workers < WORKERS.min(queue.waiting()) {
            start(&mut workers);
        }
        let _guard = GiveUpOnDrop(Arc::clone(&queue));
        while queue.open() > 0 && Instant::now() < deadline {
            let before = queue.open();
            let tick = (Instant::now() + STALL).min(deadline);
            let ended = tokio::time::timeout_at(tick.into(), queue.ended.notified()).await;
            let stalled = ended.is_err() && queue.open() == before;
            if stalled && queue.waiting() > 0 && workers < expected {
                start(&mut workers);
            }
        }
        let given_up = queue.give_up();
        let mut outcomes = std::mem::take(&mut *lock(&queue.outcomes));
        // Whoever was faster: where two have a name in common, the earlier in the list has the say.
        outcomes.sort_by_key(|it| it.index);
        for outcome in outcomes {
            shown.families.extend(outcome.shown.families);
            shown.kept.extend(outcome.shown.kept);
            ends.insert(outcome.index, (outcome.result, outcome.duration));
        }
        for (index, started) in given_up {
            let took = started.map(|it| it.elapsed());
            let error = CollectError::failed(match took {
                Some(took) => format!("not back after {:.1} s", took.as_secs_f64()),
                None => "not started before the deadline of the scrape".to_owned(),
            });
            ends.entry(index)
                .or_insert((Err(error), took.unwrap_or_default()));
        }
        shown.families.extend(self.report(&slots, ends));
        shown
    }

    fn report(
        &self,
        slots: &[Arc<Slot>],
        ends: BTreeMap<usize, (Result<(), CollectError>, Duration)>,
    ) -> Vec<Family> {
        let [mut duration, mut success] = self.families();
        for (index, (result, took)) in ends {
            let Some(slot) = slots.get(index) else {
                continue;
            };
            let name = slot.collector.name();
            slot.log(&result);
            push(&mut duration, name, took.as_secs_f64());
            push(&mut success, name, if result.is_ok() { 1.0 } else { 0.0 });
        }
        vec![duration, success]
    }

    fn families(&self) -> [Family; 2] {
        [
            (&self.duration, "Duration of a collector scrape."),
            (&self.success, "Whether a collector succeeded."),
        ]
        .map(|(name, what)| {
            let help = format!("{}: {what}", self.namespace);
            Family::new(name.clone(), Kind::Gauge, help)
                .expect("the prefix of a registry is a metric name")
        })
    }

    /// What it says about collectors, of one that has no name.
    pub(crate) fn described(&self) -> [Family; 2] {
        self.families().map(|mut family| {
            push(&mut family, "", 0.0);
            family
        })
    }
}

fn push(family: &mut Family, collector: &'static str, value: f64) {
    let labels = Labels::new([("collector", collector)]).expect("collector is a label name");
    family.push_labels(labels, value);
}

impl Slot {
    fn log(&self, result: &Result<(), CollectError>) {
        let collector = self.collector.name();
        let text = match result {
            Ok(()) => String::new(),
            Err(CollectError::NoData) => return,
            Err(CollectError::Failed(error)) => chain(error.as_ref()).to_string(),
        };
        let mut last = lock(&self.last);
        match (last.is_empty(), text.is_empty()) {
            (true, false) => tracing::warn!(collector, error = text, "collector failed"),
            (false, true) => tracing::info!(collector, "collector works again"),
            (false, false) => tracing::debug!(collector, error = text, "collector failed again"),
            (true, true) => {}
        }
        *last = text;
    }
}

/// The collectors of one scrape that wait for a worker.
struct Queue {
    deadline: Instant,
    waiting: Mutex<VecDeque<usize>>,
    calls: Vec<(Arc<Slot>, Call)>,
    outcomes: Mutex<Vec<Outcome>>,
    /// Calls that have not ended. The scrape is woken by the last of them alone: to wake it for each costs more than most
    /// collectors.
    open: AtomicUsize,
    ended: Notify,
}

impl Queue {
    fn new(slots: &[Arc<Slot>], deadline: Instant) -> Self {
        let free = |slot: &Slot| slot.hung.load(Ordering::Acquire) == 0;
        let waiting = slots.iter().enumerate().filter(|(_, slot)| free(slot));
        let waiting: VecDeque<_> = waiting.map(|(index, _)| index).collect();
        Self {
            deadline,
            open: AtomicUsize::new(waiting.len()),
            ended: Notify::new(),
            outcomes: Mutex::new(Vec::with_capacity(waiting.len())),
            waiting: Mutex::new(waiting),
            calls: slots
                .iter()
                .map(|it| (Arc::clone(it), Call::default()))
                .collect(),
        }
    }

    /// Those that an earlier scrape gave up and that are not back.
    fn hung(&self) -> Vec<usize> {
        let waiting = lock(&self.waiting);
        (0..self.calls.len())
            .filter(|it| !waiting.contains(it))
            .collect()
    }

    fn waiting(&self) -> usize {
        lock(&self.waiting).len()
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Runs collectors until none waits.
    fn work(&self) {
        loop {
            let next = lock(&self.waiting).pop_front();
            let Some(index) = next else { return };
            let Some((slot, call)) = self.calls.get(index) else {
                return;
            };
            let begin = Instant::now();
            {
                let mut state = lock(&call.state);
                if *state == CallState::GivenUp || begin >= self.deadline {
                    return;
                }
                *state = CallState::Running(begin);
            }
            let mut shown = Shown::default();
            let scrape = Scrape {
                deadline: self.deadline,
            };
            let result = catch_unwind(AssertUnwindSafe(|| {
                slot.collector.show(&scrape, &mut shown)
            }));
            let result = result.unwrap_or_else(|panic| {
                // What a panic left behind may be half a family.
                shown = Shown::default();
                Err(CollectError::failed(format!(
                    "panicked: {}",
                    message(&*panic)
                )))
            });
            let mut state = lock(&call.state);
            if *state == CallState::GivenUp {
                slot.hung.fetch_sub(1, Ordering::AcqRel);
                return;
            }
            *state = CallState::Done;
            let outcome = Outcome {
                index,
                shown,
                result,
                duration: begin.elapsed(),
            };
            // Under the lock of the state, so that whoever gave up the rest finds this among the outcomes.
            lock(&self.outcomes).push(outcome);
            drop(state);
            if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.ended.notify_one();
            }
        }
    }

    /// Marks every call that has not ended; those that run count as hung until they are back.
    fn give_up(&self) -> Vec<(usize, Option<Instant>)> {
        lock(&self.waiting).clear();
        let mut open = Vec::new();
        for (index, (slot, call)) in self.calls.iter().enumerate() {
            let mut state = lock(&call.state);
            match *state {
                CallState::Done | CallState::GivenUp => continue,
                CallState::Waiting => open.push((index, None)),
                CallState::Running(since) => {
                    slot.hung.fetch_add(1, Ordering::AcqRel);
                    open.push((index, Some(since)));
                }
            }
            *state = CallState::GivenUp;
        }
        open
    }
}

/// A client that goes away takes its scrape with it; what runs is then given up as at a deadline.
struct GiveUpOnDrop(Arc<Queue>);

impl Drop for GiveUpOnDrop {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|it| (*it).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

/// A panic in another holder leaves the data whole: every critical section is a few assignments.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
