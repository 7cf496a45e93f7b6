//! Alertmanager 0.34.1's own reading of configurations and matchers: `tests/configs/expected.json` is what it says of those that
//! ours is tested with. `UPDATE_GOLDEN=1` writes it anew.

use std::fs;

use serde_json::{Value, json};
use testkit::{ask, golden, root};

/// Where the configurations would be.
const FOLDER: &str = "/etc/alertmanager";

#[test]
fn expectations_are_alertmanagers() {
    let folder = root().join("alert-router/tests");
    let read = |name: &str| fs::read_to_string(folder.join("configs").join(name)).unwrap();
    let mut names = Vec::new();
    let mut texts = Vec::new();
    for file in ["routes", "receivers", "http", "yaml"] {
        let cases = read(&format!("{file}.yml"));
        for case in cases.split("# ==> ").skip(1) {
            let (name, text) = case.split_once('\n').unwrap();
            names.push(format!("{file}: {name}"));
            texts.push(whole(text));
        }
    }
    let cases = read("matchers.txt");
    let cases = cases.lines().filter(|it| !it.starts_with('#'));
    let mut matchers = Vec::new();
    for text in cases {
        let text: String = serde_json::from_str(text).unwrap();
        for mode in ["", "classic-mode", "utf8-strict-mode"] {
            for many in [false, true] {
                matchers.push(json!({"text": text, "mode": mode, "many": many}));
            }
        }
    }
    let here = tempfile::tempdir().unwrap();
    let here = here.path().to_str().unwrap();
    let program = parts::go_program(&folder.join("oracle_config"), "alertmanager-config").unwrap();
    let question = json!({"folder": here, "configs": texts, "matchers": matchers});
    let answer = ask(&program, &question);
    let answer: Value = serde_json::from_str(&answer.replace(here, FOLDER)).unwrap();
    let mut lines = Vec::new();
    for ((name, text), found) in names.iter().zip(&texts).zip(list(&answer, "configs")) {
        lines.push(json!({"name": name, "text": text, "found": found}));
    }
    for (asked, found) in matchers.iter().zip(list(&answer, "matchers")) {
        lines.push(json!({"matcher": asked, "found": found}));
    }
    golden::check_values("alert-router/tests/configs/expected.json", &lines);
}

fn list<'a>(answer: &'a Value, key: &str) -> &'a [Value] {
    let list = answer.get(key).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// A case with the sections that it leaves out.
fn whole(text: &str) -> String {
    let mut text = text.to_owned();
    let has = |text: &str, key: &str| text.lines().any(|it| it.starts_with(key));
    let is_whole = ["- ", "hello", "~", "?", ":"]
        .iter()
        .any(|it| text.starts_with(it));
    if !is_whole {
        if !has(&text, "receivers:") {
            text.push_str("receivers: [{name: a}]\n");
        }
        if !has(&text, "route:") {
            text.push_str("route: {receiver: a}\n");
        }
    }
    text
}
