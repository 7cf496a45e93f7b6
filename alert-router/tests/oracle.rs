//! Alertmanager 0.34.1's own template package, on the cases that ours is tested with: `tests/templates/expected.json` is what it says.
//! `UPDATE_GOLDEN=1` writes it anew.

use serde_json::{Value, json};
use testkit::{ask, golden, root};

#[test]
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
    let question = json!({"data": data, "cases": cases});
    let answer = ask(&program, &question);
    let answers: Vec<Value> = serde_json::from_str(&answer).unwrap();
    golden::check_values("alert-router/tests/templates/expected.json", &answers);
}
