//! What Alertmanager 0.34.1's own notifiers send: `tests/notify/expected.json` is that, for the receivers and groups of alerts that
//! ours are tested with. `UPDATE_GOLDEN=1` writes it anew.

use std::fs;

use serde_json::{Value, json};
use testkit::{ask, golden, root};

#[test]
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
    let question = json!({"folder": here.path(), "groups": groups, "cases": cases});
    let answer = ask(&program, &question);
    let answers: Vec<Value> = serde_json::from_str(&answer).unwrap();
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter_mut().zip(answers) {
        case["sent"] = answer;
    }
    golden::check_values("alert-router/tests/notify/expected.json", &cases);
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
