//! The commands as people type them: what they print, what they ask of a server, and how they end.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fmt::Write, fs, net::TcpListener, path::Path, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Answer, Program, Upstream, golden};

const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG: &str = r#"
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
  - matchers: [severity=~"warn.*"]
    receiver: mail
  - receiver: rest
receivers: [{name: default}, {name: pager}, {name: db}, {name: mail}, {name: rest}]
"#;

const ALERTS: &str = r#"[
{"annotations":{"summary":"it <burns>"},"endsAt":"2036-01-01T00:05:00.000Z","fingerprint":"0740c3edf7511b70","receivers":[{"name":"pager"}],"startsAt":"2026-01-02T03:04:05.678+02:00","status":{"inhibitedBy":[],"mutedBy":[],"silencedBy":[],"state":"active"},"updatedAt":"2026-01-02T03:05:00.000Z","generatorURL":"http://x/y","labels":{"alertname":"Bar","instance":"b"}},
{"annotations":{},"endsAt":"2036-01-01T00:05:00.000Z","fingerprint":"6ffc4c7eeb1b4ed6","receivers":[{"name":"pager"}],"startsAt":"2026-01-01T00:00:00.000Z","status":{"inhibitedBy":[],"mutedBy":[],"silencedBy":[],"state":"suppressed"},"updatedAt":"2026-01-02T03:05:00.000Z","labels":{"alertname":"LongerName"}}]"#;

const SILENCES: &str = r#"[
{"id":"b","status":{"state":"active"},"updatedAt":"2026-01-01T00:00:00.000Z","annotations":{"ticket":"1"},"comment":"why \"x\"","createdBy":"me","endsAt":"2036-01-02T00:00:00.000Z","matchers":[{"isEqual":true,"isRegex":false,"name":"alertname","value":"Foo"},{"isEqual":false,"isRegex":true,"name":"x","value":"a|(b"}],"startsAt":"2026-01-01T00:00:00.000Z"},
{"id":"a","status":{"state":"pending"},"updatedAt":"2026-01-01T00:00:00.000Z","comment":"c","createdBy":"you","endsAt":"2036-01-01T00:00:00.000Z","matchers":[{"isRegex":false,"name":"old","value":""}],"startsAt":"2035-01-01T00:00:00.000Z"},
{"id":"c","status":{"state":"expired"},"updatedAt":"2026-01-01T00:00:00.000Z","comment":"over","createdBy":"you","endsAt":"2026-01-01T00:00:00.000Z","matchers":[{"isEqual":false,"isRegex":false,"name":"y","value":"z"}],"startsAt":"2025-01-01T00:00:00.000Z"}]"#;

const SILENCE: &str = r#"{"id":"a","status":{"state":"active"},"updatedAt":"2026-01-01T00:00:00.000Z","comment":"c","createdBy":"you","endsAt":"2036-01-01T00:00:00.000Z","matchers":[{"isEqual":true,"isRegex":false,"name":"x","value":"y"}],"startsAt":"2035-01-01T00:00:00.000Z"}"#;

const HISTORY: &str = r#"[
{"time":"2026-01-02T03:04:05.000Z","kind":"notification","receiver":"team","integration":"slack","index":0,"groupKey":"{}:{}","status":"failed","attempts":2,"error":"unexpected status 500:\nno","alerts":[{"fingerprint":"0740c3edf7511b70","status":"firing","labels":{"alertname":"Foo","instance":"a"}}]},
{"time":"2026-01-02T03:04:04.000Z","kind":"notification","receiver":"team","integration":"email","index":1,"status":"sent","attempts":1,"alerts":[{"fingerprint":"0740c3edf7511b70","status":"firing"},{"fingerprint":"6ffc4c7eeb1b4ed6","status":"resolved","labels":{"alertname":"Bar"}}],"alertsTotal":7},
{"time":"2026-01-02T03:04:03.000Z","kind":"silence","status":"active","silence":{"id":"5ea0","matchers":["a=\"b\"","c!~\"d\""],"createdBy":"me","comment":"why\nnot"},"alerts":[],"alertsTotal":0},
{"time":"soon","kind":"state","alerts":[{"fingerprint":"0740c3edf7511b70","status":"suppressed","labels":{"alertname":"Foo"}}],"new":1},
{}]"#;

const STATUS: &str = r#"{"cluster":{"name":"n","peers":[{"address":"10.0.0.10:9094","name":"b"},{"address":"10.0.0.9:9094","name":"a"}],"status":"ready"},"config":{"original":"global: {slack_api_url: <secret>}\nroute:\n  receiver: default\n  routes: [{receiver: new, matchers: [a=\"b\"]}]\nreceivers: [{name: default}, {name: new, unknown_configs: [{}]}]\ntemplates: [/nowhere/*.tmpl]\n"},"uptime":"2026-01-01T00:00:00.000Z","versionInfo":{"branch":"HEAD","buildDate":"d","buildUser":"u","goVersion":"g","revision":"r","version":"0.30.0"}}"#;

/// A folder to work in, and what was typed and printed there.
struct Terminal {
    folder: TempDir,
    text: String,
}

impl Terminal {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self {
            folder,
            text: String::new(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command line in which `@/` is the folder; the folder is also the user's home. Gives the exit code.
    fn run(&mut self, line: &[&str]) -> i32 {
        let folder = self.path().display().to_string();
        let words = line
            .iter()
            .map(|it| it.replace("@/", &format!("{folder}/")));
        let ended = Program::new("alert-router")
            .args(words)
            .env("HOME", &folder)
            .run();
        let code = ended.status.code().unwrap();
        writeln!(self.text, "$ alert-router {}", quoted(line)).unwrap();
        for (mark, stream) in [("", &ended.stdout), ("! ", &ended.stderr)] {
            let stream = stream.replace(&format!("{folder}/"), "@/");
            for line in stream.lines() {
                writeln!(self.text, "{mark}{}", steady(line)).unwrap();
            }
        }
        if code != 0 {
            writeln!(self.text, "[exit {code}]").unwrap();
        }
        code
    }

    /// Runs it against a server that gives these answers, and notes what the server heard.
    fn ask(&mut self, line: &[&str], answers: Vec<Answer>) -> i32 {
        let server = Upstream::start(answers);
        let address = server.url("");
        let mut words = vec!["--alertmanager.url", &address, "--no-version-check"];
        words.extend(line);
        let before = self.text.len();
        let code = self.run(&words);
        let told = self.text.split_off(before);
        let told = told.replace(
            &format!("--alertmanager.url {address} --no-version-check "),
            "",
        );
        self.text.push_str(&told.replace(&address, "http://SERVER"));
        for heard in server.heard() {
            writeln!(self.text, "> {} {}", heard.line, heard.body).unwrap();
        }
        self.text.push('\n');
        code
    }
}

/// Words as a shell would need them.
fn quoted(line: &[&str]) -> String {
    let words = line.iter().map(|it| {
        if it.contains([' ', '"', '{', '*', '|', '<', '~', '!']) {
            format!("'{it}'")
        } else {
            (*it).to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A line without what is another each time: how long something took, and how wide its column is. Trailing spaces are the table's,
/// and are kept visible.
fn steady(line: &str) -> String {
    let mut words: Vec<_> = line.split(' ').map(ToOwned::to_owned).collect();
    let mut timed = line.contains("  Took  ");
    for at in 1..words.len() {
        if words[at] == "ms" {
            words[at - 1] = "N".to_owned();
            timed = true;
        }
    }
    if timed {
        words.retain(|it| !it.is_empty());
    }
    let line = words.join(" ");
    if line.ends_with(' ') {
        line + "$"
    } else {
        line
    }
}

#[test]
fn help() {
    let mut terminal = Terminal::new(&[]);
    for line in [
        &["help"][..],
        &["alert", "--help"],
        &["alert", "query", "--help"],
        &["alert", "add", "--help"],
        &["check-config", "--help"],
        &["cluster", "--help"],
        &["config", "--help"],
        &["config", "routes", "--help"],
        &["config", "routes", "test", "--help"],
        &["history", "--help"],
        &["render", "--help"],
        &["silence", "--help"],
        &["silence", "query", "--help"],
        &["silence", "add", "--help"],
        &["silence", "update", "--help"],
        &["silence", "expire", "--help"],
        &["silence", "import", "--help"],
        &["silence", "export", "--help"],
        &["template", "render", "--help"],
        &["test-receiver", "--help"],
    ] {
        assert_eq!(terminal.run(line), 0, "{line:?}");
    }
    // What every command has stands once, at the first.
    let mut parts = terminal.text.split("\nFlags of every command:\n");
    let mut text = parts.next().unwrap().to_owned();
    for (at, part) in parts.enumerate() {
        let next = part.find("$ alert-router").unwrap_or(part.len());
        text.push_str(if at == 0 {
            part
        } else {
            part.get(next..).unwrap_or_default()
        });
    }
    terminal.text = text;
    golden::check("alert-router/tests/golden/cli-help.txt", &terminal.text);
}

#[test]
fn mistakes() {
    let mut terminal = Terminal::new(&[("a.yml", CONFIG)]);
    for line in [
        &["alert", "--bogus"][..],
        &["silence", "add", "Foo", "-c"],
        &["alert"],
        &["--alertmanager.url=localhost:9093", "alert"],
        &["--alertmanager.url=ftp://u:hunter2@a", "alert"],
        &["config", "routes"],
        &["config", "routes", "test", "--config.file=@/a.yml", "foo"],
        &[
            "config",
            "routes",
            "test",
            "--config.file=@/a.yml",
            "foo!=x",
        ],
        &["config", "routes", "--config.file=@/none.yml"],
        &["check-config", "@/none.yml"],
        &["silence", "add", "--alertmanager.url=http://a"],
        &["silence", "add", "--alertmanager.url=http://a", "Foo"],
        &[
            "silence",
            "add",
            "--alertmanager.url=http://a",
            "Foo",
            "-c",
            "x",
            "-d",
            "5",
        ],
        &[
            "silence",
            "add",
            "--alertmanager.url=http://a",
            "Foo",
            "-c",
            "x",
            "-d",
            "0s",
        ],
        &[
            "silence",
            "add",
            "--alertmanager.url=http://a",
            "Foo",
            "-c",
            "x",
            "--start=now",
        ],
        &[
            "silence",
            "add",
            "--alertmanager.url=http://a",
            "Foo",
            "-c",
            "x",
            "--start=2036-01-01T00:00:00Z",
            "--end=2035-01-01T00:00:00Z",
        ],
        &[
            "silence",
            "add",
            "--alertmanager.url=http://a",
            "Foo",
            "-c",
            "x",
            "--annotation=a!=b",
        ],
        &["silence", "expire", "--alertmanager.url=http://a"],
        &["silence", "update", "--alertmanager.url=http://a"],
        &[
            "silence",
            "import",
            "--alertmanager.url=http://a",
            "@/none.json",
        ],
        &[
            "silence",
            "import",
            "--alertmanager.url=http://a",
            "@/a.yml",
        ],
        &["alert", "add", "--alertmanager.url=http://a", "Foo", "a!=b"],
        &[
            "history",
            "--alertmanager.url=http://a",
            "--since=yesterday",
        ],
        &["history", "--alertmanager.url=http://a", "--limit=0"],
        &["-o", "xml", "alert"],
        &["--enable-feature=classic-mode,utf8-strict-mode", "alert"],
        &["--enable-feature=classic-mode,x", "alert"],
        &["--timeout=soon", "alert"],
        &[
            "--http.config.file=@/a.yml",
            "--alertmanager.url=http://a",
            "alert",
        ],
        &[
            "--http.config.file=@/none.yml",
            "--alertmanager.url=http://u@a",
            "alert",
        ],
        &["test-receiver", "nobody", "--config.file=@/a.yml"],
        &["test-receiver", "mail", "--config.file=@/a.yml"],
        &["test-receiver", "mail"],
        &["render", "--receiver=nobody", "--config.file=@/a.yml"],
        &[
            "render",
            "--receiver=mail",
            "--config.file=@/a.yml",
            "--data=@/none.json",
        ],
        &[
            "render",
            "--receiver=mail",
            "--config.file=@/a.yml",
            "--data=@/a.yml",
        ],
        &["template", "render"],
        &["template", "render", "--template.text={{ if }}"],
    ] {
        assert_eq!(terminal.run(line), 1, "{line:?}");
    }
    let mut said = terminal.text.lines().filter(|it| !it.starts_with('$'));
    assert!(said.all(|it| !it.contains("hunter2")), "{}", terminal.text);
    golden::check("alert-router/tests/golden/cli-mistakes.txt", &terminal.text);
}

#[test]
fn offline() {
    let mut terminal = Terminal::new(&[
        ("a.yml", CONFIG),
        ("bad.yml", "route:\n  receiver: a\n  group_wait: soon\n"),
        (
            "templates.yml",
            "route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules: [{source_matchers: [a=b], target_matchers: [c=d]}]\ntemplates: [good*.tmpl, none.tmpl]\n",
        ),
        (
            "bad-templates.yml",
            "route: {receiver: a}\nreceivers: [{name: a}]\ntemplates: [good.tmpl, bad.tmpl]\n",
        ),
        ("good.tmpl", "{{ define \"x\" }}{{ .Status }}{{ end }}"),
        ("bad.tmpl", "\n{{ if }}"),
        (
            "data.json",
            r#"{"status": "firing", "alerts": [{"labels": {"a": "<b>"}}]}"#,
        ),
    ]);
    let file = "--config.file=@/a.yml";
    for (line, code) in [
        (&["check-config", "@/a.yml", "@/templates.yml"][..], 0),
        (&["check-config", "@/bad.yml", "@/a.yml"], 1),
        (&["check-config", "@/bad-templates.yml"], 1),
        // Standard input, which is empty here.
        (&["check-config"], 1),
        (&["config", "routes", file], 0),
        (&["config", "routes", "show", file], 0),
        (
            &["config", "routes", "--alertmanager.url=http://a", file],
            0,
        ),
        (&["config", "routes", "test", file], 0),
        (&["config", "routes", "test", file, "severity=warning"], 0),
        (
            &[
                "config",
                "routes",
                file,
                "test",
                "--tree",
                "severity=critical",
                "team=a",
                "service=db",
            ],
            0,
        ),
        (
            &[
                "config",
                "routes",
                "test",
                file,
                "--verify.receivers=pager,rest",
                "severity=critical",
                "team=a",
            ],
            0,
        ),
        (
            &[
                "config",
                "routes",
                "test",
                file,
                "--verify.receivers=pager",
                "severity=critical",
                "team=c",
            ],
            1,
        ),
        (
            &[
                "template",
                "render",
                "--template.glob=@/good*.tmpl",
                "--template.text={{ template \"x\" . }}",
            ],
            0,
        ),
        (
            &[
                "template",
                "render",
                "--template.data=@/data.json",
                "--template.type=html",
                "--template.text={{ range .Alerts }}{{ .Labels }}{{ end }}",
            ],
            0,
        ),
        (
            &[
                "template",
                "render",
                "--template.text={{ .CommonLabels.Values }}",
            ],
            0,
        ),
        (&["template", "render", "--template.text={{ .Nope }}"], 1),
    ] {
        assert_eq!(terminal.run(line), code, "{line:?}: {}", terminal.text);
        terminal.text.push('\n');
    }
    golden::check("alert-router/tests/golden/cli-offline.txt", &terminal.text);
}

#[test]
fn alerts() {
    let mut terminal = Terminal::new(&[]);
    let alerts = || vec![Answer::ok(ALERTS)];
    for line in [
        &["alert"][..],
        &["alert", "query", "-o", "extended", "Foo", "a=~b.*"],
        &["alert", "-is", "--output=json", "--receiver=team.*"],
        &[
            "alert",
            "query",
            "-au",
            "--date.format=Jan 2 15:04 -0700",
            "a!=b",
        ],
    ] {
        assert_eq!(terminal.ask(line, alerts()), 0, "{line:?}");
    }
    assert_eq!(terminal.ask(&["alert"], vec![Answer::ok("[]")]), 0);
    for line in [
        &[
            "alert",
            "add",
            "Foo",
            "a=b c",
            "--annotation=summary=it burns",
        ][..],
        &[
            "alert",
            "add",
            "alertname=Foo",
            "--generator-url=http://x/y",
            "--start=2026-01-02T03:04:05+02:00",
            "--end=2026-01-02T03:04:06Z",
        ],
    ] {
        assert_eq!(terminal.ask(line, vec![Answer::ok("")]), 0, "{line:?}");
    }
    golden::check("alert-router/tests/golden/cli-alert.txt", &terminal.text);
}

#[test]
fn silences() {
    let mut terminal = Terminal::new(&[
        (
            "silences.json",
            &format!(
                "[{SILENCE}, {}, {{\"id\": \"x\"}}]",
                SILENCE.replace("\"a\"", "\"gone\"")
            ),
        ),
        (
            ".config/amtool/config.yml",
            "author: me\ncomment_required: false\n",
        ),
    ]);
    let silences = || vec![Answer::ok(SILENCES)];
    for line in [
        &["silence"][..],
        &["silence", "query", "-o", "extended", "Foo"],
        &["silence", "-o", "json", "--created-by=me"],
        &["silence", "-q", "a=b", "c=d"],
        &["silence", "--expired"],
        &["silence", "--expired", "--within=1h"],
        &["silence", "--within", "87600h", "-q"],
        &["silence", "--id=a"],
        &["silence", "export", "x=~.*"],
    ] {
        assert_eq!(terminal.ask(line, silences()), 0, "{line:?}");
    }
    let added = || Answer::ok(r#"{"silenceID":"new"}"#);
    let at = "--start=2036-01-01T00:00:00+02:00";
    assert_eq!(
        terminal.ask(
            &["silence", "add", "Foo", "a!~b|c", "x!=y", at],
            vec![added()]
        ),
        0
    );
    assert_eq!(
        terminal.ask(
            &[
                "silence",
                "add",
                "a=b",
                at,
                "-d",
                "1d12h",
                "-a",
                "you",
                "--comment=c",
                "--annotation=ticket=1"
            ],
            vec![added()]
        ),
        0
    );
    assert_eq!(
        terminal.ask(
            &["silence", "add", "a=b", at, "--require-comment"],
            vec![added()]
        ),
        1
    );
    let one = || Answer::ok(SILENCE);
    let twice = || vec![one(), added(), one(), added()];
    for line in [
        &[
            "silence",
            "update",
            "a",
            "--duration=2h",
            "--comment=longer",
        ][..],
        &[
            "silence",
            "update",
            "-q",
            "a/../b",
            "c",
            "--end=2037-01-01T00:00:00Z",
        ],
        &[
            "silence",
            "update",
            "a",
            "--start=2034-01-01T00:00:00Z",
            "-o",
            "json",
        ],
    ] {
        assert_eq!(terminal.ask(line, twice()), 0, "{line:?}");
    }
    let line = ["silence", "update", "a", "--end=2026-01-01T00:00:00Z"];
    assert_eq!(terminal.ask(&line, twice()), 1);
    assert_eq!(
        terminal.ask(&["silence", "expire", "a", "b"], vec![Answer::ok("")]),
        0
    );
    let answers = vec![Answer::ok(""), Answer::status(404)];
    assert_eq!(
        terminal.ask(&["silence", "expire", "a", "b", "c"], answers),
        1
    );
    // One at a time, so that the answers meet their questions.
    let answers = vec![added(), Answer::status(404), added()];
    assert_eq!(
        terminal.ask(&["silence", "import", "-w1", "@/silences.json"], answers),
        1
    );
    let line = ["silence", "import", "-fw1", "@/silences.json"];
    assert_eq!(terminal.ask(&line, vec![added()]), 1);
    golden::check("alert-router/tests/golden/cli-silence.txt", &terminal.text);
}

#[test]
fn the_server_and_its_history() {
    let mut terminal = Terminal::new(&[]);
    let status = || vec![Answer::ok(STATUS)];
    for line in [
        &["config"][..],
        &["config", "show", "-o", "extended"],
        &["config", "-o", "json"],
        &["config", "routes"],
        &["config", "routes", "test", "a=b"],
        &["cluster"],
        &["cluster", "show", "-o", "extended"],
        &["cluster", "-o", "json"],
    ] {
        assert_eq!(terminal.ask(line, status()), 0, "{line:?}");
    }
    let history = || vec![Answer::ok(HISTORY)];
    for line in [
        &["history"][..],
        &[
            "history",
            "-o",
            "extended",
            "--receiver=team",
            "--since=2026-01-01T00:00:00+02:00",
            "--limit=5",
        ],
        &["history", "--alert=0740c3edf7511b70"],
        &[
            "history",
            "--alert=Foo",
            "--alert=instance=~a.*",
            "-o",
            "json",
        ],
        &[
            "history",
            "--alert=Foo",
            "--limit=1",
            "--until=2026-01-02T00:00:00Z",
            "--kind=state",
        ],
    ] {
        assert_eq!(terminal.ask(line, history()), 0, "{line:?}");
    }
    let outcomes = r#"[{"integration":"slack","index":0,"status":"sent","milliseconds":132,"error":""},{"integration":"email","index":1,"status":"failed","milliseconds":10,"error":"no\nroute"}]"#;
    let line = ["test-receiver", "team a"];
    assert_eq!(terminal.ask(&line, vec![Answer::ok(outcomes)]), 1);
    assert_eq!(terminal.ask(&line, vec![Answer::status(404)]), 1);
    let unknown = Answer::Reply(
        404,
        Vec::new(),
        "\"there is no receiver \\\"team a\\\"\"".to_owned(),
    );
    assert_eq!(terminal.ask(&line, vec![unknown]), 1);
    golden::check("alert-router/tests/golden/cli-server.txt", &terminal.text);
}

/// What stands between people and a server.
#[test]
fn bad_days() {
    let json = |status, body: &str| {
        Answer::Reply(
            status,
            vec![("Content-Type", "application/json".to_owned())],
            body.to_owned(),
        )
    };
    let html = |status| {
        Answer::Reply(
            status,
            vec![("Content-Type", "text/html".to_owned())],
            "<html><h1>proxy</h1></html>".to_owned(),
        )
    };
    let mut terminal = Terminal::new(&[]);
    for answer in [
        json(400, "\"bad matcher\\nformat\""),
        json(
            422,
            r#"{"code":601,"message":"silenceID in path must be of type uuid"}"#,
        ),
        Answer::status(404),
        html(401),
        html(502),
        html(200),
        json(200, "{\"a\":"),
        json(200, "[{\"labels\": 5}]"),
        Answer::Close,
        Answer::Truncated,
        Answer::Hang,
        Answer::Reply(
            302,
            vec![("Location", "/elsewhere".to_owned())],
            String::new(),
        ),
    ] {
        let line = ["--timeout=2s", "alert"];
        assert_eq!(terminal.ask(&line, vec![answer.clone()]), 1, "{answer:?}");
    }
    golden::check("alert-router/tests/golden/cli-bad-days.txt", &terminal.text);
    // Nobody listens where somebody did.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let ended = Program::new("alert-router")
        .args([
            &format!("--alertmanager.url=http://u:hunter2@{address}/x"),
            "alert",
        ])
        .env("HOME", terminal.path())
        .run();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(
        ended.stderr,
        format!(
            "alert-router: cannot reach http://{address}/x: Connection refused (os error 111); does the server run there, and is --alertmanager.url right?\n"
        )
    );
}

/// Whoever asks says who they are, in the ways that amtool has.
#[test]
fn credentials() {
    let terminal = Terminal::new(&[
        (
            "basic.yml",
            "basic_auth: {username: u, password_file: secret}\n",
        ),
        ("secret", "p\n"),
        ("bearer.yml", "authorization: {credentials: token}\n"),
    ]);
    let folder = terminal.path().display();
    for (config, user, expect) in [
        (None, "", None),
        (None, "u:p%20q+r@", Some("Basic dTpwIHErcg==")),
        (Some("basic.yml"), "", Some("Basic dTpw")),
        (Some("bearer.yml"), "", Some("Bearer token")),
    ] {
        let server = Upstream::start(vec![Answer::ok(STATUS)]);
        let config = config.map(|it| format!("--http.config.file={folder}/{it}"));
        let ended = Program::new("alert-router")
            .args([format!(
                "--alertmanager.url=http://{user}{}/pre/fix/",
                server.address()
            )])
            .args(config)
            .args(["cluster", "-v"])
            .env("HOME", terminal.path())
            .run();
        assert!(ended.status.success(), "{}", ended.stderr);
        // The first is for the version, of which there is a word of warning; -v says what is asked.
        let heard = server.heard();
        assert_eq!(heard.len(), 2);
        for request in &heard {
            assert_eq!(request.line, "GET /pre/fix/api/v2/status HTTP/1.1");
            let found = request.headers.iter().find(|it| it.0 == "authorization");
            assert_eq!(found.map(|it| it.1.as_str()), expect);
        }
        assert!(
            ended.stderr.contains(
                "alert-router: warning: the server is of version 0.30.0, these commands are of"
            ),
            "{}",
            ended.stderr
        );
        assert!(
            ended
                .stderr
                .contains("/pre/fix/api/v2/status: 200 OK after "),
            "{}",
            ended.stderr
        );
    }
}

/// Flags that nobody gave come from amtool's file.
#[test]
fn settings() {
    let server = Upstream::start(vec![Answer::ok(SILENCES)]);
    let settings = format!(
        "alertmanager.url: {}\noutput: json\nversion-check: false\nexpired: true\n",
        server.url("")
    );
    let terminal = Terminal::new(&[(".config/amtool/config.yml", &settings)]);
    let ids = |line: &[&str]| {
        let ended = Program::new("alert-router")
            .args(line)
            .env("HOME", terminal.path())
            .run();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_eq!(ended.stderr, "");
        let found: Value = serde_json::from_str(&ended.stdout).unwrap();
        let ids = found
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(&["silence"]), "c");
    assert_eq!(ids(&["silence", "query", "--no-expired"]), "b a");
    assert_eq!(server.heard().len(), 2);
    fs::write(terminal.path().join(".config/amtool/config.yml"), "- x\n").unwrap();
    let ended = Program::new("alert-router")
        .args(["silence"])
        .env("HOME", terminal.path())
        .run();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended
            .stderr
            .contains("config.yml: it is no list of flags and values"),
        "{}",
        ended.stderr
    );
}

/// What is sent says that it is a test, and what did not arrive says why.
#[test]
fn receivers_are_tested() {
    let (good, bad) = (
        Upstream::start(vec![Answer::ok("ok")]),
        Upstream::start(vec![Answer::status(404)]),
    );
    let hang = Upstream::start(vec![Answer::Hang]);
    let receiver = |name: &str, server: &Upstream| {
        format!(
            "- name: {name}\n  slack_configs: [{{api_url: '{}'}}]\n  webhook_configs: [{{url: '{}'}}]\n",
            good.url("/slack"),
            server.url("/hook")
        )
    };
    let config = format!(
        "route: {{receiver: good}}\nreceivers:\n{}{}{}",
        receiver("good", &good),
        receiver("bad", &bad),
        receiver("slow", &hang)
    );
    let mut terminal = Terminal::new(&[("a.yml", &config)]);
    for (line, code) in [
        (&["test-receiver", "good", "--config.file=@/a.yml"][..], 0),
        (&["test-receiver", "bad", "--config.file=@/a.yml"], 1),
        (
            &[
                "test-receiver",
                "slow",
                "--config.file=@/a.yml",
                "--timeout=1s",
            ],
            1,
        ),
    ] {
        assert_eq!(terminal.run(line), code, "{line:?}: {}", terminal.text);
    }
    golden::check(
        "alert-router/tests/golden/cli-test-receiver.txt",
        &terminal.text,
    );
    for heard in good.heard() {
        for text in ["TestNotification", "This is a test of the receiver"] {
            assert!(heard.body.contains(text), "{}", heard.body);
        }
    }
    assert_eq!(good.heard().len(), 4);
    terminal.run(&[
        "test-receiver",
        "bad",
        "--config.file=@/a.yml",
        "-o",
        "json",
    ]);
    let last = terminal
        .text
        .lines()
        .rev()
        .find(|it| it.starts_with('[') && !it.starts_with("[exit"));
    let found: Value = serde_json::from_str(last.unwrap()).unwrap();
    assert_eq!(found[0]["status"], "sent");
    assert_eq!(found[1]["error"], "unexpected status code 404");
}

/// What people would see: the same as what is sent, without sending it.
#[test]
fn previews() {
    let config = "
global: {smtp_smarthost: 'localhost:25', smtp_from: alerts@example.com}
route: {receiver: team}
receivers:
- name: team
  slack_configs: [{api_url: 'https://hooks.example.com/secret', channel: '#alerts', title: '{{ .GroupLabels.alertname }}: {{ .Alerts | len }}'}]
  webhook_configs: [{url: 'https://hooks.example.com/secret'}]
  email_configs: [{to: team@example.com}]
- name: nobody
";
    let data = r#"{"groupLabels": {"alertname": "Down"}, "alerts": [{"status": "firing", "labels": {"alertname": "Down", "instance": "a"}, "annotations": {"summary": "it <burns>"}, "startsAt": "2026-01-02T03:04:05Z", "generatorURL": "http://p/g"}]}"#;
    let mut terminal = Terminal::new(&[
        ("a.yml", config),
        ("data.json", data),
        ("alerts.json", ALERTS),
    ]);
    let file = "--config.file=@/a.yml";
    for line in [
        &["render", "--receiver=team", file, "--data=@/data.json"][..],
        &["render", "--receiver=team", file, "--data=@/alerts.json"],
        &["render", "--receiver=team", file],
        &["render", "--receiver=nobody", file],
    ] {
        assert_eq!(terminal.run(line), 0, "{line:?}");
    }
    let text = &terminal.text;
    assert!(!text.contains("/secret"), "{text}");
    // Mails have times and marks of their own each time: some of them must be there, and so must all of Slack's.
    for expect in [
        "==> slack[0]\n",
        "==> email[0]\n",
        "==> webhook[0]\n",
        "\"channel\":\"#alerts\"",
        "\"title\":\"Down: 1\"",
        "To: team@example.com",
        "Subject: ",
        "LongerName",
        "label1",
    ] {
        assert!(text.contains(expect), "{expect}: {text}");
    }
}

/// Commands and server of one kind: what one says, the other does.
#[test]
fn a_running_server() {
    let (hook, refusing) = (
        Upstream::start(vec![Answer::ok("")]),
        Upstream::start(vec![Answer::status(403)]),
    );
    let config = format!(
        "route: {{receiver: team, group_wait: 0s}}\nreceivers:\n- name: team\n  webhook_configs: [{{url: '{}'}}]\n- name: broken\n  webhook_configs: [{{url: '{}'}}]\n",
        hook.url("/"),
        refusing.url("/")
    );
    let mut terminal = Terminal::new(&[("a.yml", &config)]);
    let server = Program::new("alert-router")
        .arg_path("--config.file", &terminal.path().join("a.yml"))
        .arg_path("--storage.path", &terminal.path().join("data"))
        .args(["--web.listen-address=127.0.0.1:0"])
        .start();
    let url = format!("--alertmanager.url=http://{}", server.address());
    let mut run = |line: &[&str], code: i32| {
        let before = terminal.text.len();
        let line = [&[url.as_str()], line].concat();
        assert_eq!(terminal.run(&line), code, "{line:?}: {}", terminal.text);
        let text = terminal.text.get(before..).unwrap_or_default().to_owned();
        text.split_once('\n').unwrap().1.to_owned()
    };
    assert_eq!(
        run(&["test-receiver", "team"], 0),
        "Integration Result Took Why\nwebhook[0] sent N ms\n"
    );
    let body = &hook.heard()[0].body;
    assert!(body.contains("This is a test of the receiver"), "{body}");
    let text = run(&["test-receiver", "broken"], 1);
    assert!(
        text.contains("webhook[0] failed N ms unexpected status"),
        "{text}"
    );
    let text = run(&["test-receiver", "none"], 1);
    assert!(
        text.contains("there is no receiver \"none\"; there are: team, broken"),
        "{text}"
    );

    // The same version: no word of warning in all of it.
    assert_eq!(run(&["alert", "add", "Down", "instance=a"], 0), "");
    hook.wait_for(2, PATIENCE);
    let text = run(&["alert"], 0);
    assert!(text.contains("active"), "{text}");
    let history = testkit::eventually("it is in the history", PATIENCE, || {
        let text = run(
            &[
                "history",
                "--alert=Down",
                "--receiver=team",
                "--since=1h",
                "--kind=notification",
            ],
            0,
        );
        text.contains("Down firing").then_some(text)
    });
    assert!(
        history.contains("webhook[0]") && history.contains("sent"),
        "{history}"
    );

    let id = run(&["silence", "add", "Down", "--comment=x"], 0);
    let exported = run(&["silence", "export"], 0);
    assert!(exported.contains(id.trim()), "{exported}");
    assert_eq!(
        run(&["silence", "update", "-q", "--duration=2h", id.trim()], 0),
        id
    );
    assert_eq!(run(&["silence", "expire", id.trim()], 0), "");
    assert_eq!(run(&["silence", "-q"], 0), "");
    assert_eq!(run(&["silence", "-q", "--expired"], 0), id);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), exported).unwrap();
    let new = run(&["silence", "import", file.path().to_str().unwrap()], 0);
    assert_ne!(new, id);
    assert_eq!(run(&["silence", "-q"], 0), new);
    for line in [&["cluster"][..], &["config"], &["config", "routes"]] {
        let text = run(line, 0);
        assert!(!text.contains("! "), "{text}");
    }
}
