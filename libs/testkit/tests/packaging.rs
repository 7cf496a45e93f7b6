//! What is packaged is what its readers take.

use std::fs;

use testkit::{Program, root, skip};

/// systemd passes over what it does not understand, with a line in the journal: here such a line is a failure.
#[test]
fn units_are_what_systemd_takes() {
    let known = Program::at("sh").args(["-c", "command -v systemd-analyze"]);
    if !known.run().status.success() {
        return skip("there is no systemd-analyze on this machine");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for entry in fs::read_dir(root().join("packaging/systemd")).unwrap() {
        let entry = entry.unwrap();
        let text = fs::read_to_string(entry.path()).unwrap();
        // Programs must be there; ours are not.
        let text = text
            .lines()
            .map(|it| match it.strip_prefix("ExecStart=/usr/bin/") {
                Some(line) => format!("ExecStart=/bin/true {line}\n"),
                None => format!("{it}\n"),
            });
        let unit = folder.path().join(entry.file_name());
        fs::write(&unit, text.collect::<String>()).unwrap();
        units.push(unit);
    }
    assert!(units.len() >= 5);
    let ended = Program::at("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(&units)
        .run();
    let said = ended.stdout + &ended.stderr;
    assert!(ended.status.success() && said.is_empty(), "{said}");
}
