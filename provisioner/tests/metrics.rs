//! promtool's opinion of every program's metrics.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{collections::BTreeSet, fs, path::Path};

use testkit::{Program, Running, get};

/// What promtool says of a program's metrics, line by line.
fn said(running: &Running, folder: &Path) -> BTreeSet<String> {
    let (status, text) = get(running.address(), "/metrics").unwrap();
    assert_eq!(status, 200);
    exposition::parse::text_strict(&text).unwrap();
    let file = folder.join("metrics");
    fs::write(&file, &text).unwrap();
    let promtool = parts::find("promtool").unwrap().path;
    let ended = Program::at("sh")
        .args(["-c", "exec \"$0\" check metrics <\"$1\""])
        .args([&promtool, &file])
        .run();
    let said = ended.stdout + &ended.stderr;
    said.lines().map(str::to_owned).collect()
}

#[test]
fn promtool_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("router.yml");
    fs::write(&config, "route: {receiver: a}\nreceivers: [{name: a}]\n").unwrap();
    let listen = "--web.listen-address=127.0.0.1:0";
    for program in ["cassandra-exporter", "traefik-exporter", "alert-router"] {
        let mut started = Program::new(program).args([listen]);
        if program == "alert-router" {
            started = started
                .arg_path("--config.file", &config)
                .arg_path("--storage.path", &folder.path().join("data"));
        }
        let running = started.start();
        assert_eq!(said(&running, folder.path()), BTreeSet::new(), "{program}");
        assert!(running.terminate().success());
    }
    // Its names are node_exporter's, at some of which promtool shakes its head: at those, and no others.
    let theirs = Program::at(parts::find("node_exporter").unwrap().path)
        .args([listen])
        .start();
    let ours = Program::new("node-exporter").args([listen]).start();
    let theirs = said(&theirs, folder.path());
    let ours: Vec<_> = said(&ours, folder.path())
        .into_iter()
        // The kernel's names of memory that node_exporter does not know.
        .filter(|it| {
            !(theirs.contains(it)
                || it.starts_with("node_memory_") && it.ends_with("not 'camelCase'"))
        })
        .collect();
    assert_eq!(ours, Vec::<String>::new());
}
