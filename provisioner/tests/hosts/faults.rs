//! What breaks in the middle of a change, while a program is on its way to a node.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::json;
use testkit::binary;

use crate::operator::Operator;

/// Three questions without an answer, five seconds each, and what a busy machine adds.
const ENDS: Duration = Duration::from_secs(40);

/// A tar on n1 that waits in the middle of what it is sent until it may go on, as one does at the end of a line that stalls.
const STALLS: &str = r#"printf '#!/bin/sh\n{ head -c 4000000; touch /run/half; while [ ! -e /run/on ]; do sleep 0.1; done; cat; } | /usr/bin/tar "$@"\n' \
    >/usr/local/bin/tar && chmod +x /usr/local/bin/tar"#;

/// Installs, and does harm when half of the program has come to n1. What is said has an end, names n1, and n1 runs what it ran.
fn broken_by(operator: &Operator, harm: impl FnOnce(), mend: impl FnOnce()) -> String {
    operator.shell("n1", "rm -f /run/half /run/on");
    let before = operator.version("n1");
    let ended = thread::scope(|scope| {
        let run = scope.spawn(|| operator.run(&["install"]));
        testkit::eventually("half of it has come", Duration::from_secs(60), || {
            let (is_half, _) = operator.hosts.shell("n1", "test -e /run/half");
            is_half.then_some(())
        });
        harm();
        let begin = Instant::now();
        let ended = run.join().unwrap();
        assert!(begin.elapsed() < ENDS, "{:?}", begin.elapsed());
        ended
    });
    mend();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("n1: "), "{said}");
    assert!(said.contains("nothing further was changed"), "{said}");
    let journal = fs::read_to_string(operator.path("env/journal.log")).unwrap();
    let failed = "\"node\":\"n1\",\"result\":\"failed: ";
    assert!(journal.contains(failed), "{journal}");
    for host in ["n1", "n2"] {
        assert_eq!(operator.version(host), before, "{host}");
        let state = operator.shell(host, "systemctl is-active node-exporter");
        assert_eq!(state, "active\n", "{host}");
    }
    said
}

#[test]
fn lost_in_the_middle() {
    let Some(operator) = Operator::start(&["scalardl", "scalardl"]) else {
        return;
    };
    let program = operator.path("node-exporter");
    fs::copy(binary("node-exporter"), &program).unwrap();
    // More than waits in pipes and windows on the way.
    assert!(fs::metadata(&program).unwrap().len() > 16_000_000);
    let version = |version: &str| {
        let artifact = json!({"path": &program, "version": version});
        operator.configure(&json!({"artifacts": {"node-exporter": artifact}}));
    };
    version("1.0.0");
    operator.ends(&["install"], 0);
    version("2.0.0");
    operator.shell("n1", STALLS);

    let said = broken_by(
        &operator,
        || {
            let fill =
                "fallocate -l $(df --output=avail -k / | tail -n 1)K /var/full; touch /run/on";
            operator.shell("n1", fill);
        },
        || drop(operator.shell("n1", "rm /var/full")),
    );
    assert!(said.contains("the disk is full"), "{said}");
    let left = operator.shell("n1", "ls /var/lib/scalar-dl-monitoring");
    assert!(!left.contains("staging"), "{left}");

    let said = broken_by(
        &operator,
        || operator.hosts.kill("n1"),
        || operator.hosts.boot("n1"),
    );
    assert!(
        said.contains("Run this again when it can be reached"),
        "{said}"
    );

    // For n1 nobody hangs up: what waits there for the rest of it goes on waiting.
    broken_by(
        &operator,
        || operator.hosts.kill("bastion"),
        || operator.hosts.boot("bastion"),
    );
    let waits = "pgrep -f '[l]ocal/bin/tar'";
    operator.shell("n1", waits);
    operator.shell("n1", "rm /usr/local/bin/tar");
    operator.ends(&["install"], 0);
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("0 differ"), "{said}");
    for host in ["bastion", "n1", "n2"] {
        let version = operator.version(host);
        assert!(version.starts_with("node-exporter-2.0.0-"), "{version}");
    }
    let left = operator.shell("n1", "ls /var/lib/scalar-dl-monitoring");
    assert!(!left.contains("staging"), "{left}");
}
