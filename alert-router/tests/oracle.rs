//! Alertmanager 0.34.1's own template package, on the cases that ours is tested with: `tests/templates/expected.json` is what it says.
//! `UPDATE_GOLDEN=1` writes it anew.

use std::{
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
    let read = |name: &str| std::fs::read_to_string(folder.join("templates").join(name)).unwrap();
    let cases = read("cases.txt");
    let cases: Vec<_> = cases
        .trim_end_matches('\n')
        .split("\n==> ")
        .map(|it| it.trim_start_matches("==> ").split_once('\n').unwrap())
        .map(|(kind, text)| json!({"text": text, "html": kind == "html"}))
        .collect();
    let data: Value = serde_json::from_str(&read("data.json")).unwrap();
    let program = parts::go_program(&folder.join("oracle"), "alertmanager-templates").unwrap();
    let mut oracle = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let question = json!({"data": data, "cases": cases}).to_string();
    oracle
        .stdin
        .take()
        .unwrap()
        .write_all(question.as_bytes())
        .unwrap();
    let answer = oracle.wait_with_output().unwrap();
    assert!(answer.status.success());
    let answers: Vec<Value> = serde_json::from_slice(&answer.stdout).unwrap();
    let lines: Vec<_> = answers.iter().map(ToString::to_string).collect();
    golden::check(
        "alert-router/tests/templates/expected.json",
        &format!("[\n{}\n]\n", lines.join(",\n")),
    );
}
