//! Debian's amtool, in all its commands, against a running alert-router.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Ended, Program, Running, eventually};

const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG: &str = r#"
global: {resolve_timeout: 6m}
route:
  receiver: default
  group_by: [alertname]
  routes:
  - matchers: [severity="critical", team=~"a|b"]
    receiver: pager
    continue: true
    routes:
    - matchers: [service="db"]
      receiver: db
  - receiver: rest
receivers: [{name: default}, {name: pager}, {name: db}, {name: rest}]
inhibit_rules:
- {source_matchers: [alertname=Down], target_matchers: [alertname=Slow], equal: [instance]}
"#;

/// A server, and somebody with amtool.
struct Desk {
    _running: Running,
    folder: TempDir,
    address: SocketAddr,
    amtool: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("alertmanager.yml");
        fs::write(&config, CONFIG).unwrap();
        let running = Program::new("alert-router")
            .arg_path("--config.file", &config)
            .arg_path("--storage.path", &folder.path().join("data"))
            .args(["--web.listen-address=127.0.0.1:0"])
            .start();
        Self {
            address: running.address(),
            _running: running,
            folder,
            amtool: parts::find("amtool").unwrap().path,
        }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Program::at(&self.amtool)
            .args([format!("--alertmanager.url=http://{}", self.address)])
            .args(arguments)
            .env("HOME", self.folder.path())
            .run()
    }

    /// What it prints, when it ends well.
    #[track_caller]
    fn amtool(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
        // amtool 0.25 draws trees with spaces that do not break.
        ended.stdout.replace('\u{a0}', " ")
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.amtool(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap()
    }

    /// Why it does not end well.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(
            ended.status.code(),
            Some(1),
            "{arguments:?}: {}",
            ended.stdout
        );
        ended.stderr
    }

    /// The names of alerts in a state.
    #[track_caller]
    fn alerts(&self, arguments: &[&str]) -> String {
        let found = self.json(&[&["alert", "query"], arguments].concat());
        let found = found.as_array().unwrap().iter();
        let mut names: Vec<_> = found
            .map(|it| it["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names.join(" ")
    }

    /// The silence with this ID, among those that these flags ask for.
    #[track_caller]
    fn silence(&self, arguments: &[&str], id: &str) -> Value {
        let found = self.json(&[&["silence", "query"], arguments].concat());
        let mut found = found.as_array().unwrap().iter();
        found.find(|it| it["id"] == id).unwrap().clone()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

#[test]
fn alerts() {
    let desk = Desk::new();
    desk.amtool(&[
        "alert",
        "add",
        "Down",
        "instance=a",
        "severity=critical",
        "team=a",
        "--annotation=summary=it burns",
    ]);
    desk.amtool(&[
        "alert",
        "add",
        "alertname=Slow",
        "instance=a",
        "--generator-url=http://p/g",
    ]);
    desk.amtool(&[
        "alert",
        "add",
        "Slow",
        "instance=b",
        "--start=2026-01-02T03:04:05+02:00",
        "--end=2036-01-01T00:00:00Z",
    ]);
    eventually("one is inhibited by another", PATIENCE, || {
        (desk.alerts(&["-i"]) == "Slow").then_some(())
    });
    for (arguments, expect) in [
        (&[][..], "Down Slow"),
        (&["Down"], "Down"),
        (&["-a"], "Down Slow"),
        (&["-i", "instance=a"], "Slow"),
        (&["-s"], ""),
        (&["instance=~a|c", "severity!=\"\""], "Down"),
        (&["--receiver=pag.*"], "Down"),
        (&["--receiver=nobody"], ""),
        (&["alertname!~Down|Slow"], ""),
    ] {
        assert_eq!(desk.alerts(arguments), expect, "{arguments:?}");
    }
    let down = &desk.json(&["alert", "query", "Down"])[0];
    assert_eq!(
        down["labels"],
        json!({"alertname": "Down", "instance": "a", "severity": "critical", "team": "a"})
    );
    assert_eq!(down["annotations"], json!({"summary": "it burns"}));
    assert_eq!(
        down["receivers"],
        json!([{"name": "pager"}, {"name": "rest"}])
    );
    let slow = &desk.json(&["alert", "query", "Slow", "instance=b"])[0];
    assert!(
        slow["endsAt"]
            .as_str()
            .unwrap()
            .starts_with("2036-01-01T00:00:00"),
        "{slow}"
    );
    let text = desk.amtool(&["alert", "-o", "extended", "instance=b"]);
    assert!(text.contains("alertname=\"Slow\" instance=\"b\""), "{text}");
    let text = desk.amtool(&["alert", "Down"]);
    assert!(text.contains("it burns  active"), "{text}");
    let error = desk.refused(&["alert", "query", "a=b", "a=~("]);
    assert!(error.contains("[400]"), "{error}");
    let error = desk.refused(&[
        "alert",
        "add",
        "Down",
        "--start=2036-01-01T00:00:00Z",
        "--end=2035-01-01T00:00:00Z",
    ]);
    assert!(
        error.contains("start time must be before end time"),
        "{error}"
    );
    let error = desk.refused(&["alert", "add"]);
    assert!(
        error.contains("at least one label pair required"),
        "{error}"
    );
}

#[test]
fn silences() {
    let desk = Desk::new();
    desk.amtool(&["alert", "add", "Down", "instance=a"]);
    desk.amtool(&["alert", "add", "Down", "instance=b"]);
    let add = |arguments: &[&str]| {
        let id = desk.amtool(&[&["silence", "add"], arguments].concat());
        id.trim().to_owned()
    };
    let quiet = add(&[
        "Down",
        "instance=~a|c",
        "--comment=why",
        "--author=me",
        "--duration=2h",
    ]);
    eventually("the alert is silenced", PATIENCE, || {
        (desk.alerts(&["-s"]) == "Down").then_some(())
    });
    assert_eq!(desk.alerts(&["-a"]), "Down");
    let silenced = &desk.json(&["alert", "query", "-s"])[0];
    assert_eq!(silenced["status"]["silencedBy"], json!([quiet]));
    assert_eq!(silenced["status"]["state"], "suppressed");
    let later = add(&[
        "severity!=critical",
        "team!~a|b",
        "--comment=later",
        "--author=you",
        "--start=2036-01-01T00:00:00+02:00",
        "--end=2036-01-02T00:00:00Z",
    ]);
    let silence = |id: &str| desk.silence(&[], id);
    let found = silence(&quiet);
    assert_eq!(
        (
            &found["comment"],
            &found["createdBy"],
            &found["status"]["state"]
        ),
        (&json!("why"), &json!("me"), &json!("active"))
    );
    assert_eq!(
        found["matchers"],
        json!([
            {"isEqual": true, "isRegex": false, "name": "alertname", "value": "Down"},
            {"isEqual": true, "isRegex": true, "name": "instance", "value": "a|c"},
        ])
    );
    let found = silence(&later);
    assert_eq!(found["status"]["state"], "pending");
    assert_eq!(
        found["matchers"],
        json!([
            {"isEqual": false, "isRegex": false, "name": "severity", "value": "critical"},
            {"isEqual": false, "isRegex": true, "name": "team", "value": "a|b"},
        ])
    );
    let ids = |arguments: &[&str]| {
        let text = desk.amtool(&[&["silence", "query", "-q"], arguments].concat());
        let mut ids: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
        ids.sort();
        ids
    };
    let mut both = vec![quiet.clone(), later.clone()];
    both.sort();
    for (arguments, expect) in [
        (&[][..], both.clone()),
        (&["Down"], vec![quiet.clone()]),
        (&["instance=a"], vec![]),
        (&["--within=3h"], vec![quiet.clone()]),
        (&["--created-by=you"], vec![later.clone()]),
        (&["--expired"], vec![]),
    ] {
        assert_eq!(ids(arguments), expect, "{arguments:?}");
    }
    let table = desk.amtool(&["silence", "query", "-o", "extended"]);
    assert!(
        table.contains("{severity!=\"critical\",team!~\"a|b\"}"),
        "{table}"
    );

    // What is not to be changed in a silence stays the same; its ID too, unless it is another silence then.
    desk.amtool(&[
        "silence",
        "update",
        "--comment=still",
        "--duration=3h",
        &quiet,
    ]);
    let found = silence(&quiet);
    assert_eq!(found["comment"], "still");
    assert_eq!(ids(&["--within=150m"]), Vec::<String>::new());
    assert_eq!(ids(&["--within=4h"]), [quiet.as_str()]);
    let exported = desk.amtool(&["silence", "query", "-o", "json"]);

    desk.amtool(&["silence", "expire", &quiet]);
    eventually("the alert is heard of again", PATIENCE, || {
        desk.alerts(&["-s"]).is_empty().then_some(())
    });
    assert_eq!(ids(&["--expired"]), [quiet.as_str()]);
    assert_eq!(ids(&[]), [later.as_str()]);
    let over = desk.silence(&["--expired"], &quiet);
    assert_eq!(over["status"]["state"], "expired");
    desk.refused(&["silence", "expire", "00000000-0000-4000-8000-000000000000"]);
    desk.refused(&["silence", "expire", "no-id"]);
    desk.refused(&["silence", "update", "00000000-0000-4000-8000-000000000000"]);

    // What was over comes back as a new one, what is there stays as it is.
    let file = desk.file("silences.json", &exported);
    let imported = desk.amtool(&["silence", "import", &file]);
    let imported: Vec<_> = imported.lines().collect();
    assert_eq!(imported.len(), 2);
    assert!(
        imported.contains(&later.as_str()) && !imported.contains(&quiet.as_str()),
        "{imported:?}"
    );
    let forced = desk.amtool(&["silence", "import", "--force", &file]);
    assert!(!forced.contains(&later), "{forced}");
    assert_eq!(ids(&[]).len(), 4);
    let unknown = exported.replace(&later, "00000000-0000-4000-8000-000000000000");
    let unknown = desk.file("unknown.json", &unknown);
    assert_eq!(
        desk.amtool(&["silence", "import", &unknown])
            .lines()
            .count(),
        2
    );
    let wrong = desk.file("wrong.json", "[{\"matchers\": []}]");
    // How it ends is not said here: amtool 0.25 counts a mistake of the last one now and then only.
    let error = desk.run(&["silence", "import", &wrong]).stderr;
    assert!(error.contains("Error adding silence"), "{error}");

    for arguments in [
        // Would silence everything.
        &["silence", "add", "a=~.*", "--comment=x"][..],
        &["silence", "add", "a=", "--comment=x"],
        &[
            "silence",
            "add",
            "Down",
            "--comment=x",
            "--start=2020-01-01T00:00:00Z",
            "--end=2020-01-02T00:00:00Z",
        ],
        &["silence", "add", "Down"],
        &["silence", "add"],
        &["silence", "query", "a=b", "a=~("],
    ] {
        desk.refused(arguments);
    }
}

#[test]
fn configuration_and_cluster() {
    let desk = Desk::new();
    let shown = desk.amtool(&["config", "show"]);
    assert!(shown.contains("resolve_timeout: 6m"), "{shown}");
    let file = format!("--config.file={}", desk.file("alertmanager.yml", CONFIG));
    let tree = desk.amtool(&["config", "routes", "show"]);
    assert_eq!(desk.amtool(&["config", "routes", "show", &file]), tree);
    assert!(
        tree.contains("{severity=\"critical\",team=~\"a|b\"}  continue: true  receiver: pager"),
        "{tree}"
    );
    let test = [
        "config",
        "routes",
        "test",
        "severity=critical",
        "team=b",
        "service=db",
        "--tree",
    ];
    let tested = desk.amtool(&[&test[..], &["--verify.receivers=db,rest"]].concat());
    assert!(tested.ends_with("\ndb,rest\n"), "{tested}");
    assert!(
        !desk
            .run(&[&test[..], &["--verify.receivers=rest"]].concat())
            .status
            .success()
    );
    // Ours says the same.
    let ours = |arguments: &[&str]| {
        let ended = Program::new("alert-router")
            .args(arguments)
            .args([format!("--alertmanager.url=http://{}", desk.address)])
            .env("HOME", desk.folder.path())
            .run();
        assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    };
    assert_eq!(ours(&["config", "show"]), shown);
    assert_eq!(ours(&["config", "routes"]), tree);
    assert_eq!(ours(&test), tested);
    for arguments in [
        &["cluster", "show"][..],
        &["cluster", "show", "-o", "extended"],
    ] {
        let text = desk.amtool(arguments);
        assert!(text.starts_with("Cluster Status:  "), "{text}");
        assert_eq!(ours(arguments), text);
    }
    let status = desk.json(&["config", "show"]);
    assert!(status["versionInfo"]["version"].is_string(), "{status}");
}

#[test]
fn files() {
    let desk = Desk::new();
    desk.file("a.tmpl", "{{ define \"x\" }}{{ .Status | toUpper }} {{ range .Alerts }}{{ .Labels.a }}<{{ end }}{{ end }}");
    let good = desk.file("good.yml", &format!("{CONFIG}templates: [a.tmpl]\n"));
    let bad = desk.file("bad.yml", "route: {}\n");
    let data = desk.file(
        "data.json",
        r#"{"status": "firing", "alerts": [{"labels": {"a": "b&c"}}]}"#,
    );
    let pattern = format!(
        "--template.glob={}",
        desk.folder.path().join("*.tmpl").display()
    );
    let data = format!("--template.data={data}");
    let text = "--template.text={{ template \"x\" . }}";
    for (arguments, code) in [
        (&["check-config", &good][..], 0),
        (&["check-config", &good, &bad], 1),
        (&["template", "render", &pattern, &data, text], 0),
        (
            &[
                "template",
                "render",
                &pattern,
                &data,
                text,
                "--template.type=html",
            ],
            0,
        ),
        (
            &["template", "render", &pattern, text, "--template.type=text"],
            0,
        ),
        (
            &[
                "template",
                "render",
                &pattern,
                "--template.text={{ template \"y\" . }}",
            ],
            1,
        ),
    ] {
        let theirs = Program::at(&desk.amtool)
            .args(arguments)
            .env("HOME", desk.folder.path())
            .run();
        let ours = Program::new("alert-router")
            .args(arguments)
            .env("HOME", desk.folder.path())
            .run();
        assert_eq!(
            theirs.status.code(),
            Some(code),
            "{arguments:?}: {}",
            theirs.stderr
        );
        assert_eq!(
            ours.status.code(),
            Some(code),
            "{arguments:?}: {}",
            ours.stderr
        );
        if code == 0 {
            assert_eq!(ours.stdout, theirs.stdout, "{arguments:?}");
        }
    }
}
