//! The program as Prometheus, amtool, Slack and mail servers meet it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Answer, Catalogue, Program, Running, Upstream, eventually, get, request};

const PATIENCE: Duration = Duration::from_secs(60);

struct Router {
    running: Running,
    folder: TempDir,
    address: SocketAddr,
}

fn start(config: &str) -> Router {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("router.yml");
    fs::write(&file, config).unwrap();
    let running = Program::new("alert-router")
        .arg_path("--config.file", &file)
        .arg_path("--storage.path", &folder.path().join("data"))
        .args(["--web.listen-address=127.0.0.1:0"])
        .start();
    let address = running.address();
    Router {
        running,
        folder,
        address,
    }
}

/// One receiver, everything at once.
fn quick(receivers: &str) -> String {
    format!(
        "route: {{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\nreceivers:\n- name: team\n{receivers}"
    )
}

impl Router {
    fn post(&self, body: &Value) -> (u16, String) {
        self.post_text("application/json", &body.to_string())
    }

    fn post_text(&self, kind: &str, body: &str) -> (u16, String) {
        let headers = [("Content-Type", kind)];
        let (status, _, body) = request(
            self.address,
            "POST",
            "/api/v2/alerts",
            &headers,
            body.as_bytes(),
        )
        .unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = get(self.address, path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Outcomes of notifications, oldest first.
    fn outcomes(&self) -> Vec<(String, u64)> {
        let records = self.json("/api/ext/v1/notifications");
        let records = records.as_array().unwrap().iter().rev();
        records
            .map(|it| {
                (
                    it["status"].as_str().unwrap().to_owned(),
                    it["attempts"].as_u64().unwrap(),
                )
            })
            .collect()
    }
}

fn alert(name: &str, instance: &str) -> Value {
    json!([{"labels": {"alertname": name, "instance": instance, "severity": "critical"}, "annotations": {"summary": "s"}, "generatorURL": "http://p/g"}])
}

#[test]
fn the_api_of_alertmanager() {
    let router = start("route: {receiver: none}\nreceivers: [{name: none}, {name: other}]\n");
    assert_eq!(router.post(&alert("A", "n1")), (200, String::new()));
    router.post(&alert("B", "n2"));
    for (kind, body, status, expect) in [
        (
            "text/plain",
            "[]",
            415,
            "{\"code\":415,\"message\":\"unsupported media type \\\"text/plain\\\", only [application/json] are allowed\"}",
        ),
        ("application/json; charset=utf-8", "[]", 200, ""),
        (
            "application/json",
            "[{}]",
            422,
            "{\"code\":602,\"message\":\"0.labels in body is required\"}",
        ),
        (
            "application/json",
            "{}",
            400,
            "{\"code\":400,\"message\":\"parsing alerts body from \\\"\\\" failed, because the body is no list of alerts\"}",
        ),
        // The good one is taken.
        (
            "application/json",
            r#"[{"labels":{"alertname":"C"}},{"labels":{}}]"#,
            400,
            "\"at least one label pair required\"",
        ),
        (
            "application/json",
            r#"[{"labels":{"a":"b"},"startsAt":"2026-01-02T00:00:00Z","endsAt":"2026-01-01T00:00:00Z"}]"#,
            400,
            "\"start time must be before end time\"",
        ),
    ] {
        assert_eq!(
            router.post_text(kind, body),
            (status, expect.to_owned()),
            "{body}"
        );
    }
    let names = |query: &str| {
        let alerts = router.json(&format!("/api/v2/alerts{query}"));
        let alerts = alerts.as_array().unwrap().iter();
        let mut names: Vec<_> = alerts
            .map(|it| it["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names.join(" ")
    };
    for (query, expect) in [
        ("", "A B C"),
        ("?filter=alertname%3D%22A%22", "A"),
        (
            "?filter=alertname%3D~%22A%7CB%22&filter=instance!%3Dn1",
            "B",
        ),
        ("?filter=%7Binstance%3D%22n1%22%7D", "A"),
        ("?active=false", ""),
        ("?silenced=false&inhibited=false&unprocessed=false", "A B C"),
        ("?receiver=no.e", "A B C"),
        ("?receiver=other", ""),
    ] {
        assert_eq!(names(query), expect, "{query}");
    }
    for (path, status, expect) in [
        (
            "/api/v2/alerts?filter=x",
            400,
            "\"bad matcher format: x; write name=",
        ),
        ("/api/v2/alerts?active=maybe", 422, "{\"code\":601"),
        (
            "/api/v2/alerts?receiver=(",
            400,
            "\"failed to parse receiver param",
        ),
        ("/api/v1/alerts", 410, "deprecated"),
        ("/api/v2/nothing", 404, ""),
        ("/api/v2/silences", 200, "[]"),
        ("/-/healthy", 200, "OK"),
        ("/-/ready", 200, "OK"),
        ("/", 200, "<td>A</td>"),
    ] {
        let (found, body) = get(router.address, path).unwrap();
        assert_eq!(found, status, "{path}: {body}");
        assert!(body.contains(expect), "{path}: {body}");
    }
    let one = &router.json("/api/v2/alerts?filter=alertname%3DA")[0];
    assert_eq!(
        one["status"],
        json!({"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"})
    );
    assert_eq!(one["receivers"], json!([{"name": "none"}]));
    assert_eq!(one["generatorURL"], "http://p/g");
    assert_eq!(
        router.json("/api/v2/receivers"),
        json!([
            {"labels": {"name": "none"}, "name": "none"},
            {"labels": {"name": "other"}, "name": "other"},
        ])
    );
    let status = router.json("/api/v2/status");
    assert_eq!(
        status["cluster"]["peers"][0]["address"],
        router.address.to_string()
    );
    let groups = router.json("/api/v2/alerts/groups");
    assert_eq!(groups[0]["receiver"]["name"], "none");
    assert!(router.running.terminate().success());
}

/// The page to which messages link: its matchers, sent as they stand there, make a silence.
#[test]
fn a_silence_by_the_link_of_a_message() {
    let router = start("route: {receiver: none}\nreceivers: [{name: none}]\n");
    router.post(&alert("A", "n <1>"));
    let page = |query: &str| {
        let (status, page) = get(router.address, &format!("/silences/new{query}")).unwrap();
        assert_eq!(status, 200, "{page}");
        page
    };
    let link = "?filter=%7Balertname%3D%22A%22%2Cinstance%3D%22n+%3C1%3E%22%7D";
    let linked = page(link);
    assert!(linked.contains("<code>instance=&quot;n &lt;1&gt;&quot;</code>"));
    let matchers = linked.split("name=\"matcher\" value=\"").skip(1);
    let matchers: Vec<Value> = matchers
        .map(|it| {
            let text = it.split('"').next().unwrap().replace("&quot;", "\"");
            let text = text.replace("&lt;", "<").replace("&gt;", ">");
            serde_json::from_str(&text).unwrap()
        })
        .collect();
    assert_eq!(matchers.len(), 2);
    for key in ["matchers", "startsAt", "endsAt", "createdBy", "comment"] {
        assert!(linked.contains(&format!("    {key}: ")), "{key}");
    }
    let silence = json!({
        "matchers": matchers,
        "startsAt": "2026-01-01T00:00:00.000Z",
        "endsAt": "2126-01-01T00:00:00.000Z",
        "createdBy": "me",
        "comment": "at work",
    });
    let headers = [("Content-Type", "application/json")];
    let body = silence.to_string();
    let (status, _, body) = request(
        router.address,
        "POST",
        "/api/v2/silences",
        &headers,
        body.as_bytes(),
    )
    .unwrap();
    assert_eq!(status, 200, "{body:?}");
    let alerts = router.json("/api/v2/alerts");
    assert_eq!(alerts[0]["status"]["state"], "suppressed");

    // Who comes without a link says which alerts; what is wrong is told, and is no part of the page.
    assert!(page("").contains("name=\"filter\""));
    let wrong = page("?filter=%3Cb%3E%7B");
    assert!(wrong.contains("&lt;b&gt;{: ") && !wrong.contains("<b>"));
    assert!(wrong.contains("name=\"filter\""));
    // A part of it would silence more than was asked for.
    let many = "a%3Db,".repeat(101);
    for more in [format!("{link}&filter=%7B%7B"), format!("?filter={many}")] {
        let refused = page(&more);
        assert!(!refused.contains("name=\"matcher\""), "{more}");
        assert!(refused.contains("<p>The filter "), "{more}");
    }
    let (status, _, _) = request(router.address, "POST", "/silences/new", &[], b"").unwrap();
    assert_eq!(status, 405);
    // Alertmanager's link.
    let (_, main) = get(router.address, "/").unwrap();
    assert!(main.contains("location.hash.split('/silences/new?')"));
}

/// Debian's amtool, as people use it.
#[test]
fn amtool() {
    let amtool = parts::find("amtool").unwrap().path;
    let router = start("route: {receiver: none}\nreceivers: [{name: none}]\n");
    router.post(&alert("AgentDown", "node-1"));
    let url = format!("--alertmanager.url=http://{}", router.address);
    for (arguments, expect) in [
        (&["alert"][..], "AgentDown"),
        (&["alert", "query", "instance=node-1"], "AgentDown"),
        (
            &["alert", "query", "-o", "json", "severity=~crit.*"],
            "\"alertname\":\"AgentDown\"",
        ),
        (&["config", "show"], "receiver: none"),
        (&["cluster", "show"], "alert-router"),
    ] {
        let ended = Program::at(&amtool).args([&url]).args(arguments).run();
        assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stdout.contains(expect),
            "{arguments:?}: {}",
            ended.stdout
        );
    }
    let none = Program::at(&amtool)
        .args([&url])
        .args(["alert", "query", "instance=node-2"])
        .run();
    assert!(!none.stdout.contains("AgentDown"), "{}", none.stdout);
}

/// What Slack does on a bad day.
#[test]
fn slack_faults() {
    let after = |seconds: &str| {
        Answer::Reply(
            429,
            vec![("Retry-After", seconds.to_owned())],
            "rate_limited".to_owned(),
        )
    };
    for (script, expect) in [
        (vec![Answer::ok("ok")], vec![("sent", 1)]),
        (
            vec![
                Answer::status(500),
                Answer::Close,
                Answer::Truncated,
                Answer::ok("ok"),
            ],
            vec![("failed", 1), ("failed", 2), ("failed", 3), ("sent", 4)],
        ),
        (
            vec![after("2"), Answer::ok("ok")],
            vec![("failed", 1), ("sent", 2)],
        ),
        (
            vec![Answer::Hang, Answer::ok("ok")],
            vec![("failed", 1), ("sent", 2)],
        ),
    ] {
        let waits = matches!(script.first(), Some(Answer::Reply(429, ..)));
        let slack = Upstream::start(script);
        // Only the pause that Slack asks for may pass, not the group's interval.
        let config = quick(&format!(
            "  slack_configs: [{{api_url: '{}', timeout: 1s, send_resolved: true}}]\n",
            slack.url("/x")
        ))
        .replace("group_interval: 1s", "group_interval: 1h");
        let router = start(&config);
        router.post(&alert("A", "n"));
        let outcomes = eventually("all outcomes", PATIENCE, || {
            let outcomes = router.outcomes();
            (outcomes.len() >= expect.len()).then_some(outcomes)
        });
        let outcomes: Vec<_> = outcomes
            .iter()
            .map(|(status, attempt)| (status.as_str(), *attempt))
            .collect();
        assert_eq!(outcomes, expect);
        let heard = slack.heard();
        assert!(heard.last().unwrap().body.contains("[FIRING:1] A on n"));
        if waits {
            let pause = heard[1].at.duration_since(heard[0].at);
            assert!(
                pause >= Duration::from_secs(2),
                "Retry-After: 2 was waited for {pause:?}"
            );
        }
    }
    // What is refused is not tried again and again.
    let slack = Upstream::start(vec![Answer::status(404)]);
    let config = quick(&format!(
        "  slack_configs: [{{api_url: '{}'}}]\n",
        slack.url("/secret")
    ))
    .replace("group_interval: 1s", "group_interval: 1h");
    let router = start(&config);
    router.post(&alert("A", "n"));
    eventually("it is refused", PATIENCE, || {
        (router.outcomes() == [("failed".to_owned(), 1)]).then_some(())
    });
    let (_, metrics) = get(router.address, "/metrics").unwrap();
    assert!(metrics.contains("alertmanager_notifications_failed_total{integration=\"slack\",reason=\"clientError\"} 1\n"), "{metrics}");
    assert!(
        !router.running.log().contains("/secret"),
        "the URL is a secret: {}",
        router.running.log()
    );
}

#[test]
fn webhooks_with_credentials_and_the_end_of_an_alert() {
    let hook = Upstream::start(vec![Answer::ok("")]);
    let config = quick(&format!(
        "  webhook_configs: [{{url: '{}', http_config: {{basic_auth: {{username: u, password: p}}}}}}]\n",
        hook.url("/hook?x=1")
    ));
    let router = start(&config);
    router.post(&alert("A", "n"));
    let heard = hook.wait_for(1, PATIENCE);
    let body: Value = serde_json::from_str(&heard[0].body).unwrap();
    assert_eq!(
        (body["status"].as_str(), body["version"].as_str()),
        (Some("firing"), Some("4"))
    );
    let headers: BTreeMap<_, _> = heard[0].headers.iter().cloned().collect();
    assert_eq!(headers["authorization"], "Basic dTpw");
    assert_eq!(headers["content-type"], "application/json");
    let mut over = alert("A", "n");
    over[0]["endsAt"] = json!("2026-01-01T00:00:00Z");
    over[0]["startsAt"] = json!("2025-12-31T00:00:00Z");
    router.post(&over);
    let heard = hook.wait_for(2, PATIENCE);
    let body: Value = serde_json::from_str(&heard[1].body).unwrap();
    assert_eq!(body["status"], "resolved");
    assert_eq!(body["alerts"][0]["status"], "resolved");
}

#[test]
fn reload_keeps_what_works() {
    let (old, new) = (
        Upstream::start(vec![Answer::ok("ok")]),
        Upstream::start(vec![Answer::ok("ok")]),
    );
    let config = |at: &Upstream| {
        quick(&format!(
            "  slack_configs: [{{api_url: '{}'}}]\n",
            at.url("/")
        ))
    };
    let router = start(&config(&old));
    router.post(&alert("A", "n"));
    old.wait_for(1, PATIENCE);
    let file = router.folder.path().join("router.yml");
    let reload = || {
        let (status, _, body) = request(router.address, "POST", "/-/reload", &[], b"").unwrap();
        (status, String::from_utf8(body).unwrap())
    };
    let successful = || {
        let (_, metrics) = get(router.address, "/metrics").unwrap();
        metrics
            .lines()
            .find_map(|it| {
                it.strip_prefix("alertmanager_config_last_reload_successful ")
                    .map(str::to_owned)
            })
            .unwrap()
    };
    fs::write(&file, "route: {reciever: team}\n").unwrap();
    let (status, body) = reload();
    assert_eq!(status, 500);
    assert!(
        body.contains("router.yml, line 1: unknown key reciever; did you mean receiver?"),
        "{body}"
    );
    assert_eq!(successful(), "0");
    router.post(&alert("B", "n"));
    old.wait_for(2, PATIENCE);
    fs::write(&file, config(&new)).unwrap();
    router.running.signal(rustix::process::Signal::HUP);
    router
        .running
        .line("Completed loading of configuration file");
    eventually("the metric says so", PATIENCE, || {
        (successful() == "1").then_some(())
    });
    router.post(&alert("C", "n"));
    assert!(new.wait_for(1, PATIENCE)[0].body.contains("C on n"));
}

#[test]
fn mistakes_end_it_with_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.yml");
    fs::write(&good, "route: {receiver: a}\nreceivers: [{name: a}]\n").unwrap();
    let bad = folder.path().join("bad.yml");
    fs::write(
        &bad,
        "route:\n  receiver: a\n  group_wait: soon\nreceivers: [{name: a}]\n",
    )
    .unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let with = |flag: &str, path: &std::path::Path| format!("{flag}={}", path.display());
    for (arguments, code, expect) in [
        (
            vec![with("--config.file", &bad)],
            1,
            format!(
                "alert-router: {}, line 3: group_wait: \"soon\" is no duration such as 30s, 5m, 1h30m or 1d\n",
                bad.display()
            ),
        ),
        (
            vec![with("--config.file", &folder.path().join("none.yml"))],
            1,
            "none.yml: cannot read the configuration: No such file or directory (os error 2)\n"
                .to_owned(),
        ),
        (
            vec![
                with("--config.file", &good),
                with("--storage.path", &file.join("x")),
            ],
            1,
            "give a folder that this user may read and write: Not a directory (os error 20)\n"
                .to_owned(),
        ),
        (
            vec![
                with("--config.file", &good),
                "--cluster.peer=a:9094".to_owned(),
            ],
            1,
            "alert-router: --cluster.peer is not supported yet".to_owned(),
        ),
        (
            vec!["--config.fil=x".to_owned()],
            2,
            "unexpected argument '--config.fil' found".to_owned(),
        ),
        (
            vec!["check-config".to_owned(), bad.display().to_string()],
            1,
            "alert-router: failed to validate 1 file(s)\n".to_owned(),
        ),
    ] {
        let ended = Program::new("alert-router")
            .args(
                ["--log.level=error"]
                    .iter()
                    .filter(|_| arguments[0] != "check-config"),
            )
            .args(&arguments)
            .run();
        assert_eq!(
            ended.status.code(),
            Some(code),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains(&expect),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let ended = Program::new("alert-router")
        .args(["check-config".to_owned(), good.display().to_string()])
        .run();
    assert!(
        ended.status.success() && ended.stdout.contains(" - 1 receivers\n"),
        "{}",
        ended.stdout
    );
}

/// The catalogue that dashboards and rules are held against, and what promtool says of the whole.
#[test]
fn metrics() {
    let router = start("route: {receiver: none}\nreceivers: [{name: none}]\n");
    let (_, text) = get(router.address, "/metrics").unwrap();
    let mut all = Catalogue::default();
    all.add_families(&exposition::parse::text_strict(&text).unwrap());
    all.check("alert-router");
}

/// An alert that is on its way when the program is asked to end arrives.
#[test]
fn the_last_words_arrive() {
    let hook = Upstream::start(vec![Answer::status(503), Answer::ok("")]);
    let router = start(&quick(&format!(
        "  webhook_configs: [{{url: '{}'}}]\n",
        hook.url("/")
    )));
    let begin = Instant::now();
    router.post(&alert("A", "n"));
    hook.wait_for(2, PATIENCE);
    assert!(router.running.terminate().success());
    assert!(begin.elapsed() < PATIENCE);
}

/// Users' files and texts make the message; one that fails costs its own words, never the alert.
#[test]
fn templates_of_users() {
    let slack = Upstream::start(vec![Answer::ok("ok")]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("team.tmpl"),
        "{{ define \"slack.default.title\" }}{{ .Status | toUpper }} {{ .GroupLabels.alertname }}{{ end }}",
    )
    .unwrap();
    let templates = |config: &str| {
        format!(
            "templates: ['{}/*.tmpl']\n{config}",
            folder.path().display()
        )
    };
    let config = templates(&quick(&format!(
        "  slack_configs: [{{api_url: '{}', channel: '#{{{{ .GroupLabels.alertname }}}}'}}]\n",
        slack.url("/x")
    )));
    let router = start(&config);
    router.post(&alert("A", "n"));
    let heard = slack.wait_for(1, PATIENCE);
    let body: Value = serde_json::from_str(&heard[0].body).unwrap();
    assert_eq!(body["channel"], "#A");
    assert_eq!(body["username"], "Alertmanager");
    assert_eq!(body["attachments"][0]["title"], "FIRING A");
    let failing = Upstream::start(vec![Answer::ok("ok")]);
    let config = quick(&format!(
        "  slack_configs: [{{api_url: '{}', title: '{{{{ .Nope }}}}'}}]\n",
        failing.url("/x")
    ));
    let router = start(&config);
    router.post(&alert("B", "n"));
    let heard = failing.wait_for(1, PATIENCE);
    assert!(
        heard[0].body.contains("[FIRING:1] B on n"),
        "{}",
        heard[0].body
    );
    let log = router.running.line("a template fails");
    assert!(log.contains("can't evaluate field Nope"), "{log}");
    // A file that is no template is found at the start.
    fs::write(folder.path().join("team.tmpl"), "\n{{ if }}").unwrap();
    let file = folder.path().join("router.yml");
    fs::write(&file, config.replace("route:", &templates("route:"))).unwrap();
    let checked = Program::new("alert-router")
        .args(["check-config"])
        .args([file])
        .run();
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        checked
            .stdout
            .contains("team.tmpl: template: team.tmpl:2: missing value for if"),
        "{}",
        checked.stdout
    );
}

/// What is kept quiet is shown, and by whom.
#[test]
fn inhibited_alerts_are_shown() {
    let hook = Upstream::start(vec![Answer::ok("ok")]);
    let router = start(&format!(
        "{}inhibit_rules: [{{source_matchers: [alertname=Down], target_matchers: [alertname=Slow], equal: [instance]}}]\n",
        quick(&format!(
            "  webhook_configs: [{{url: '{}'}}]\n",
            hook.url("/x")
        ))
    ));
    router.post(&alert("Down", "n1"));
    hook.wait_for(1, PATIENCE);
    router.post(&alert("Slow", "n1"));
    router.post(&alert("Slow", "n2"));
    let fingerprint = |query: &str| {
        let found = router.json(&format!("/api/v2/alerts?{query}"));
        found[0]["fingerprint"].as_str().unwrap().to_owned()
    };
    let down = fingerprint("filter=alertname%3DDown");
    let slow = router.json("/api/v2/alerts?filter=alertname%3DSlow&filter=instance%3Dn1");
    assert_eq!(
        slow[0]["status"],
        json!({"inhibitedBy": [down], "mutedBy": [], "silencedBy": [], "state": "suppressed"})
    );
    for (query, count) in [("", 3), ("inhibited=false", 2), ("active=false", 1)] {
        let found = router.json(&format!("/api/v2/alerts?{query}"));
        assert_eq!(found.as_array().unwrap().len(), count, "{query}");
    }
    // The one on n2 is told of; the other never is.
    let told = eventually("Slow on n2", PATIENCE, || {
        let heard = hook.heard();
        let mut bodies = heard.iter().map(|it| it.body.clone());
        bodies.rfind(|it| it.contains("Slow"))
    });
    assert!(told.contains("n2") && !told.contains("n1"), "{told}");
    let (_, metrics) = get(router.address, "/metrics").unwrap();
    for line in [
        "alertmanager_alerts{state=\"active\"} 2\n",
        "alertmanager_alerts{state=\"suppressed\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}
