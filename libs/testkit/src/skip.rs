//! A test that cannot run here says so where it is counted.

use std::{fs, io::Write, panic::Location};

/// Records that the calling test is skipped and why; the test then returns. `make test` lists the records at its end and
/// fails on one that is not in `tests/skips.txt`.
///
/// # Panics
/// When the record cannot be written: a skip that nobody hears of is a failure.
#[track_caller]
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let file = Location::caller().file();
    let folder = crate::root().join("target");
    fs::create_dir_all(&folder).expect("the target folder can be made");
    let path = std::env::var_os("TEST_SKIPS").map_or_else(|| folder.join("skips.txt"), Into::into);
    let mut log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
    let line = format!("{file} {test}: {why}\n");
    // One write: tests of other processes append too.
    log.write_all(line.as_bytes())
        .expect("the record can be written");
    #[expect(clippy::print_stderr, reason = "shown beside the test that is skipped")]
    {
        eprintln!("skipped: {line}");
    }
}
