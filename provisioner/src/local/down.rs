//! `local down`: nothing of the local network runs afterwards, also when its supervisor was killed.

use std::{
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use super::{
    control::{self, Request},
    state::State,
};
use crate::output;

const GRACE: Duration = Duration::from_secs(15);

/// Stops everything.
pub(super) fn down(state: &State, purge: bool) -> anyhow::Result<ExitCode> {
    let asked = control::ask(state, &Request::Down)?;
    let left = sweep(state)?;
    if purge && state.folder.exists() {
        // Only a folder that is ours is removed.
        if !state.path("network.json").exists() {
            bail!(
                "{} is no state folder of a local network; it is not removed",
                state.folder.display()
            );
        }
        fs::remove_dir_all(&state.folder)
            .with_context(|| format!("cannot remove {}", state.folder.display()))?;
    }
    output::say(match (asked.is_some(), left) {
        (true, _) => "the local network is down".to_owned(),
        (false, 0) => "no local network runs".to_owned(),
        (false, left) => format!("ended {left} processes that a killed supervisor had left behind"),
    });
    Ok(ExitCode::SUCCESS)
}

/// Ends what is left of the processes that were noted, and waits until they are gone; gives their number.
pub(super) fn sweep(state: &State) -> anyhow::Result<usize> {
    let noted = state.processes();
    let left: Vec<_> = noted.iter().filter(|it| it.lives()).copied().collect();
    let begin = Instant::now();
    let mut killed = false;
    // The supervisor first: it ends the others, and starts them again otherwise.
    left.iter().for_each(|it| it.signal(Signal::TERM));
    while left.iter().any(|it| it.lives()) {
        if begin.elapsed() > GRACE {
            if killed {
                bail!("processes of the local network do not end: {left:?}");
            }
            left.iter().for_each(|it| it.signal(Signal::KILL));
            killed = true;
            std::thread::sleep(Duration::from_secs(1));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(fs::remove_file(state.socket()));
    if !noted.is_empty() {
        state.set_processes(&[])?;
    }
    Ok(left.len())
}
