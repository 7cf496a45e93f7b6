//! Lets the load through while the program runs, and holds it back while it does not.

use std::{
    net::SocketAddr,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Where the program listens, while the gate is open.
    open: Option<SocketAddr>,
    /// How often it was opened.
    opened: u64,
    /// Steps that are under way.
    inside: usize,
    over: bool,
}

impl Gate {
    pub(crate) fn open(&self, address: SocketAddr) {
        let mut state = self.lock();
        state.open = Some(address);
        state.opened += 1;
        self.changed.notify_all();
    }

    /// Lets no more through, and waits for what is under way.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.open = None;
        let still = |state: &mut State| state.inside > 0;
        drop(
            self.changed
                .wait_while(state, still)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Ends the load.
    pub(crate) fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// What a sender does at a time, with what it notes of it: waits until the gate is open; None when the load is over.
    pub(crate) fn step(&self, step: impl FnOnce() -> Option<()>) -> Option<()> {
        let closed = |state: &mut State| state.open.is_none() && !state.over;
        let waited = self.changed.wait_while(self.lock(), closed);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.over {
            return None;
        }
        state.inside += 1;
        drop(state);
        let done = step();
        self.lock().inside -= 1;
        self.changed.notify_all();
        done
    }

    /// One request of a step; None when the load is over. It fails, which it says by None, when the gate was closed meanwhile; one
    /// that fails closes the gate until it is opened again.
    pub(crate) fn pass<T>(
        &self,
        request: impl FnOnce(SocketAddr) -> Option<T>,
    ) -> Option<Option<T>> {
        let state = self.lock();
        if state.over {
            return None;
        }
        let (open, opened) = (state.open, state.opened);
        drop(state);
        let Some(address) = open else {
            return Some(None);
        };
        let answer = request(address);
        let mut state = self.lock();
        if answer.is_none() && state.opened == opened {
            state.open = None;
        }
        Some(answer)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
