//! What was posted, and what the program said to it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::Timestamp;

/// All that senders know.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
pub(crate) struct Told {
    /// By number.
    pub(crate) alerts: BTreeMap<u64, Alert>,
    /// By id.
    pub(crate) silences: BTreeMap<String, Silence>,
    pub(crate) complaints: Vec<Complaint>,
}

/// An answer that nobody should get, or none.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) at: Instant,
    pub(crate) what: String,
    /// There was no answer, which a kill excuses.
    pub(crate) unanswered: bool,
}

#[derive(Debug)]
pub(crate) struct Alert {
    /// The silence that there was before it.
    pub(crate) silence: Option<String>,
    /// Its end as it was posted.
    pub(crate) posts: Posts<Timestamp>,
}

#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// Its end as it was posted; None for a deletion.
    pub(crate) posts: Posts<Option<Timestamp>>,
    /// When its deletion was first asked for.
    pub(crate) deleted: Option<Instant>,
}

/// What may hold of a thing: what was promised last, and what was posted since without an answer.
#[derive(Debug)]
pub(crate) struct Posts<T> {
    possible: Vec<T>,
    promised: bool,
}

impl<T> Default for Posts<T> {
    fn default() -> Self {
        Self {
            possible: Vec::new(),
            promised: false,
        }
    }
}

impl<T> Posts<T> {
    pub(crate) fn posted(&mut self, what: T, promised: bool) {
        if promised {
            self.possible.clear();
            self.promised = true;
        }
        self.possible.push(what);
    }

    /// Something was promised, and whatever holds now has this property.
    pub(crate) fn surely(&self, property: impl Fn(&T) -> bool) -> bool {
        self.promised && self.possible.iter().all(property)
    }

    /// It may be there and have this property.
    pub(crate) fn perhaps(&self, property: impl Fn(&T) -> bool) -> bool {
        self.possible.iter().any(property)
    }
}

impl Alert {
    /// It fires, whatever became of posts without an answer.
    pub(crate) fn fires(&self, now: Timestamp) -> bool {
        self.posts.surely(|ends| *ends > now)
    }

    /// It was posted, and is over.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.posts.surely(|ends| *ends <= now)
    }
}

impl Promises {
    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn complain(&self, what: String, unanswered: bool) {
        let at = Instant::now();
        self.told().complaints.push(Complaint {
            at,
            what,
            unanswered,
        });
    }

    /// The program was killed: who got no answer since has no reason to complain.
    pub(crate) fn excuse(&self, killed: Instant) {
        let mut told = self.told();
        told.complaints
            .retain(|it| !it.unanswered || it.at < killed);
    }
}

/// In milliseconds, as the API shows times.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).expect("milliseconds of a time")
}
