//! What goes round an installation: hooks, Ctrl-C, a terminal, a report for programs.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::operator::Operator;

/// A hook that writes down how it was called, and ends so.
fn hook(operator: &Operator, name: &str, code: i32) {
    let path = operator.path(&format!("env/hooks/{name}"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let calls = operator.path("calls");
    let text = format!(
        "#!/bin/sh\necho {name} \"$1\" $PROVISIONER_COMMAND \"$PROVISIONER_NODES\" $PROVISIONER_RESULT >>{}\nexit {code}\n",
        calls.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn hooks_interrupts_and_reports() {
    let Some(operator) = Operator::start(&["host", "host"]) else {
        return;
    };
    let calls = || fs::read_to_string(operator.path("calls")).unwrap_or_default();

    // A hook before it that fails keeps everything as it is.
    hook(&operator, "before", 3);
    let said = operator.ends(&["install"], 1);
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(
        said.contains("hooks/before failed: exit status: 3"),
        "{said}"
    );
    assert!(!operator.path("env/journal.log").exists());
    assert_eq!(calls(), "before install install bastion n1 n2\n");

    // Somebody has pressed Ctrl-C: what has begun is whole, the rest as it was.
    hook(&operator, "before", 0);
    hook(&operator, "after", 0);
    fs::write(operator.path("calls"), "").unwrap();
    let running = operator.program(&["install", "--json"]).start();
    running.line("n1: ");
    running.signal(rustix::process::Signal::INT);
    let log =
        running.line("interrupted: 2 of 3 nodes are changed, and whole; the next run goes on");
    assert!(log.starts_with("provisioner: "), "{log}");
    assert_eq!(running.ended().code(), Some(130));
    assert_eq!(
        calls(),
        "before install install bastion n1 n2\nafter install install bastion n1 n2 stopped\n"
    );
    for (host, is_there) in [("bastion", true), ("n1", true), ("n2", false)] {
        let (is_active, _) = operator
            .hosts
            .shell(host, "systemctl is-active node-exporter");
        assert_eq!(is_active, is_there, "{host}");
    }

    // The next run goes on, and reports to a program.
    let ended = operator.run(&["install", "--json"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let nodes = report["nodes"].as_array().unwrap();
    let results: Vec<_> = nodes
        .iter()
        .map(|it| format!("{} {}", it["node"], it["result"]))
        .collect();
    assert_eq!(
        results,
        [
            r#""bastion" "unchanged""#,
            r#""n1" "unchanged""#,
            r#""n2" "changed""#
        ]
    );
    assert_eq!(
        (&report["differ"], &report["dry_run"]),
        (&1.into(), &false.into())
    );
    assert!(
        calls().ends_with("before install install n2\nafter install install n2 done\n"),
        "{}",
        calls()
    );

    // A terminal sees how far it is, and what a program reads is free of that.
    operator.shell("n1", "systemctl stop node-exporter");
    let folder = operator.path("env");
    let command = format!(
        "{} -e {} install",
        testkit::binary("provisioner").display(),
        folder.display()
    );
    let ended = operator
        .hosts
        .operator("script".as_ref())
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm")
        .run();
    assert!(ended.status.success(), "{}", ended.stdout);
    assert!(ended.stdout.contains("\u{1b}["), "{:?}", ended.stdout);
    assert!(ended.stdout.contains("nodes changed"), "{:?}", ended.stdout);
    assert!(
        ended.stdout.contains("1 of 3 nodes changed"),
        "{:?}",
        ended.stdout
    );
    let said = operator.ends(&["install"], 0);
    assert!(!said.contains('\u{1b}'), "{said:?}");
}
