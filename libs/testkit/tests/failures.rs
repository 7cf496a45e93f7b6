//! What `make test` tells at its end of what failed.

use testkit::{Program, golden, root};

/// Programs of tests that abort and that are killed, tests that panic, that give an error, that were to panic and did not, of documents, and
/// one that leaves no word: as cargo 1.95 wrote of them, without the lines of backtraces.
#[test]
fn of_every_kind() {
    let folder = root().join("libs/testkit/tests/failures");
    let ended = Program::at("awk")
        .args([
            "-f".as_ref(),
            root().join("scripts/failures.awk").as_os_str(),
        ])
        .args([folder.join("cargo-test.log")])
        .run();
    assert!(ended.status.success(), "{}", ended.stderr);
    golden::check("libs/testkit/tests/failures/told.txt", &ended.stdout);
}
