//! What all receivers heard, when, and whether they could answer; and which faults they are to have.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::random::Random;

/// The integrations of the one receiver.
pub(crate) const INTEGRATIONS: [&str; 3] = ["webhook", "slack", "email"];

/// A message about a group of alerts.
#[derive(Debug, Clone)]
pub(crate) struct Notification {
    pub(crate) integration: &'static str,
    pub(crate) group: String,
    /// By number: whether it fires.
    pub(crate) alerts: BTreeMap<u64, bool>,
    /// In which life of the program it came.
    pub(crate) life: usize,
    pub(crate) heard: Instant,
    /// When its good answer was written.
    pub(crate) answered: Option<Instant>,
}

/// What a receiver is to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Answer,
    /// With a status that asks for another try.
    Refuse,
    /// Ends the connection without an answer.
    Hang,
}

#[derive(Debug)]
pub(crate) struct Recorder {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    heard: Vec<Notification>,
    life: usize,
    alive: bool,
    /// Receivers have faults.
    faults: bool,
    /// Connections that are open.
    open: usize,
    /// Messages that should not be.
    errors: Vec<String>,
    random: Random,
}

impl Recorder {
    pub(crate) fn new(random: Random) -> Self {
        let state = State {
            heard: Vec::new(),
            life: 0,
            alive: false,
            faults: false,
            open: 0,
            errors: Vec::new(),
            random,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn heard(&self) -> Vec<Notification> {
        self.lock().heard.clone()
    }

    pub(crate) fn errors(&self) -> Vec<String> {
        self.lock().errors.clone()
    }

    pub(crate) fn faults(&self, faults: bool) {
        self.lock().faults = faults;
        self.changed.notify_all();
    }

    /// The program is about to start.
    pub(crate) fn begins(&self, life: usize) {
        let mut state = self.lock();
        state.life = life;
        state.alive = true;
    }

    /// The program is gone: waits until nothing of it is left in a connection.
    pub(crate) fn ended(&self) {
        let mut state = self.lock();
        state.alive = false;
        self.changed.notify_all();
        let still = |state: &mut State| state.open > 0;
        drop(
            self.changed
                .wait_while(state, still)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// A connection, until what is returned is dropped.
    pub(crate) fn opened(self: &Arc<Self>) -> Open {
        self.lock().open += 1;
        Open(Arc::clone(self))
    }

    /// Records a message of `@firing GROUP NUMBER` lines, waits as a slow receiver does, and says what becomes of it; the number is
    /// for [`Self::answered`].
    pub(crate) fn hear(&self, integration: &'static str, text: &str) -> (usize, Fate) {
        let mut state = self.lock();
        let Some((group, alerts)) = parse(text) else {
            state
                .errors
                .push(format!("{integration}: not made by the template: {text}"));
            return (usize::MAX, Fate::Hang);
        };
        let notification = Notification {
            integration,
            group,
            alerts,
            life: state.life,
            heard: Instant::now(),
            answered: None,
        };
        let index = state.heard.len();
        state.heard.push(notification);
        let fate = match state.random.within(0, 40) {
            _ if !state.faults => Fate::Answer,
            0 => Fate::Refuse,
            1 => Fate::Hang,
            _ => Fate::Answer,
        };
        let hold = state.random.within(0, 400);
        if state.faults && state.random.once_in(20) {
            let hold = Duration::from_millis(hold);
            let alive = |state: &mut State| state.alive && state.faults;
            let waited = self.changed.wait_timeout_while(state, hold, alive);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let fate = if state.alive { fate } else { Fate::Hang };
        (index, fate)
    }

    /// A good answer was written.
    pub(crate) fn answered(&self, index: usize) {
        if let Some(it) = self.lock().heard.get_mut(index) {
            it.answered = Some(Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to a receiver.
pub(crate) struct Open(Arc<Recorder>);

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open -= 1;
        if std::thread::panicking() {
            state.errors.push("a receiver panicked".to_owned());
        }
        self.0.changed.notify_all();
    }
}

/// The group and its alerts, of lines `@firing GROUP NUMBER`.
fn parse(text: &str) -> Option<(String, BTreeMap<u64, bool>)> {
    let mut alerts = BTreeMap::new();
    let mut group = None;
    for line in text.lines().filter_map(|it| it.trim().strip_prefix('@')) {
        let mut words = line.split(' ');
        let fires = match words.next()? {
            "firing" => true,
            "resolved" => false,
            _ => return None,
        };
        group = Some(words.next()?.to_owned());
        alerts.insert(words.next()?.parse().ok()?, fires);
    }
    Some((group?, alerts))
}
