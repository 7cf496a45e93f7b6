//! A 200 is a promise: the program is killed at hundreds of random points under load, its journal is torn, its disk fills up and
//! fails, and after each start it must know all that it took, and in the end all that it owed must have been said, once.
//!
//! `CRASH_ROUNDS` is how often it is killed (200), `CRASH_SEED` repeats the choices of a run.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "crash/checks.rs"]
mod checks;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/gate.rs"]
mod gate;
#[path = "crash/journal.rs"]
mod journal;
#[path = "crash/kills.rs"]
mod kills;
#[path = "crash/load.rs"]
mod load;
#[path = "crash/promises.rs"]
mod promises;
#[path = "crash/random.rs"]
mod random;
#[path = "crash/receivers.rs"]
mod receivers;
#[path = "crash/recorder.rs"]
mod recorder;
#[path = "crash/router.rs"]
mod router;

#[test]
fn killed_at_random_points() {
    kills::run();
}

#[test]
fn writes_that_fail() {
    for faults in ["enospc-after=20000", "eio-after=20000"] {
        disk::refuses(faults);
    }
}

#[test]
fn a_write_that_is_torn() {
    disk::torn("torn-after=20000");
}

#[test]
fn a_disk_that_is_full_and_is_not_any_more() {
    if !rustix::process::geteuid().is_root() {
        return testkit::skip("mounting a small file system in a namespace needs root");
    }
    // A namespace belongs to a thread, and what it starts inherits it.
    std::thread::spawn(disk::full).join().unwrap();
}

/// A number in a variable of the environment.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}
