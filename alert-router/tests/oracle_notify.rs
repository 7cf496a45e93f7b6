//! What Alertmanager 0.34.1's own notifiers send: `tests/notify/expected.json` is that, for the receivers and groups of alerts that
//! ours are tested with. `UPDATE_GOLDEN=1` writes it anew.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use testkit::{golden, root};

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the oracle is a program of its own"
)]
fn expectations_are_alertmanagers() {
    let folder = root().join("alert-router/tests");
    let read = |name: &str| fs::read_to_string(folder.join("notify").join(name)).unwrap();
    let mut cases = Vec::new();
    for kind in ["email", "pagerduty", "slack", "webhook"] {
        for case in read(&format!("{kind}.yml")).split("# ==> ").skip(1) {
            let (name, text) = case.split_once('\n').unwrap();
            let (group, _) = name.split_once(": ").unwrap();
            cases.push(
                json!({"name": format!("{kind}: {name}"), "group": group, "config": whole(text)}),
            );
        }
    }
    let groups: Value = serde_json::from_str(&read("groups.json")).unwrap();
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("own.tmpl"), read("own.tmpl")).unwrap();
    let program = parts::go_program(&folder.join("oracle_notify"), "alertmanager-notify").unwrap();
    let mut oracle = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let question = json!({"folder": here.path(), "groups": groups, "cases": cases}).to_string();
    // It writes when it has read all.
    oracle
        .stdin
        .take()
        .unwrap()
        .write_all(question.as_bytes())
        .unwrap();
    let answer = oracle.wait_with_output().unwrap();
    assert!(answer.status.success());
    let answers: Vec<Value> = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter_mut().zip(answers) {
        case["sent"] = answer;
    }
    let lines: Vec<_> = cases.iter().map(ToString::to_string).collect();
    golden::check(
        "alert-router/tests/notify/expected.json",
        &format!("[\n{}\n]\n", lines.join(",\n")),
    );
}

/// A case with the sections that it leaves out.
fn whole(text: &str) -> String {
    if text.contains("receivers:") {
        return text.to_owned();
    }
    let lines = text.lines().map(|it| format!("  {it}\n"));
    let start = "route: {receiver: team}\nreceivers:\n- name: team\n";
    start.to_owned() + &lines.collect::<String>()
}
