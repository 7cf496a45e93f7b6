//! What is on disk: silences and alerts after a kill, a disk that refuses, files that are torn, newer or somebody else's; and the
//! history, heartbeats and silences as clients meet them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Answer, Program, Running, Upstream, eventually, get, request};

const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration, in which alert-router is started again and again.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("router.yml"), config).unwrap();
        Self { folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, faults: Option<&str>) -> Program {
        let program = Program::new("alert-router")
            .arg_path("--config.file", &self.folder.path().join("router.yml"))
            .arg_path("--storage.path", &self.data())
            .args(["--web.listen-address=127.0.0.1:0"]);
        match faults {
            None => program,
            Some(faults) => program.env("ALERT_ROUTER_TEST_FAULTS", faults),
        }
    }

    fn start(&self) -> Router {
        Router::of(self.program(None).start())
    }

    /// Ends with an error; gives what it says.
    fn refuses(&self) -> String {
        let ended = self.program(None).run();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        ended.stderr
    }

    /// The newest journal.
    fn journal(&self) -> PathBuf {
        let mut files: Vec<_> = fs::read_dir(self.data())
            .unwrap()
            .map(|it| it.unwrap().path())
            .filter(|it| it.extension().is_some_and(|it| it == "log"))
            .collect();
        files.sort();
        files.pop().unwrap()
    }
}

/// A file system of 256 KiB, as long as it is held.
struct Small(PathBuf);

impl Small {
    fn mount(path: &Path) -> Option<Self> {
        use rustix::mount::{MountFlags, mount};
        let options = c"size=256k";
        mount("tmpfs", path, "tmpfs", MountFlags::empty(), Some(options)).ok()?;
        Some(Self(path.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        use rustix::mount::{UnmountFlags, unmount};
        // Fails when somebody still has a file open there; it goes with the last one then.
        unmount(&self.0, UnmountFlags::DETACH).unwrap_or(());
    }
}

struct Router {
    running: Running,
    address: SocketAddr,
}

impl Router {
    fn of(running: Running) -> Self {
        let address = running.address();
        Self { running, address }
    }

    /// kill -9; gives what it said before.
    fn kill(self) -> String {
        let log = self.running.log();
        self.running.signal(rustix::process::Signal::KILL);
        let _status = self.running.ended();
        log
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let headers = [("Content-Type", "application/json")];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, _, text) =
            request(self.address, method, path, &headers, body.as_bytes()).unwrap();
        (status, String::from_utf8(text).unwrap())
    }

    fn json(&self, path: &str) -> Value {
        let (status, text) = get(self.address, path).unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn post_alert(&self, name: &str) -> (u16, String) {
        self.ask(
            "POST",
            "/api/v2/alerts",
            &json!([{"labels": {"alertname": name}}]),
        )
    }

    fn silence(&self, matchers: &Value) -> String {
        let (status, text) = self.ask("POST", "/api/v2/silences", &silence(matchers));
        assert_eq!(status, 200, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        answer["silenceID"].as_str().unwrap().to_owned()
    }

    fn names(&self) -> String {
        let alerts = self.json("/api/v2/alerts");
        let mut names: Vec<_> = alerts
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names.join(" ")
    }
}

fn silence(matchers: &Value) -> Value {
    json!({
        "matchers": matchers,
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2126-01-01T00:00:00Z",
        "createdBy": "me",
        "comment": "c",
    })
}

fn equal(name: &str, value: &str) -> Value {
    json!([{"name": name, "value": value, "isRegex": false, "isEqual": true}])
}

const NOBODY: &str = "route: {receiver: none}\nreceivers: [{name: none}]\n";

#[test]
fn known_after_a_kill() {
    let place = Place::new(NOBODY);
    let mut ids = Vec::new();
    for round in 0..3 {
        let router = place.start();
        assert_eq!(router.post_alert(&format!("A{round}")).0, 200);
        ids.push(router.silence(&equal("alertname", &format!("A{round}"))));
        if round == 2 {
            // The end of a silence is a promise, too.
            let path = format!("/api/v2/silence/{}", ids[0]);
            assert_eq!(router.ask("DELETE", &path, &Value::Null).0, 200);
        }
        router.kill();
    }
    let router = place.start();
    assert_eq!(router.names(), "A0 A1 A2");
    for (id, state) in ids.iter().zip(["expired", "active", "active"]) {
        let found = router.json(&format!("/api/v2/silence/{id}"));
        assert_eq!(found["status"]["state"], state, "{id}");
    }
    let silenced = router.json("/api/v2/alerts?active=false");
    let silenced: Vec<_> = silenced
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["status"]["silencedBy"][0].as_str().unwrap().to_owned())
        .collect();
    let mut expect = ids[1..].to_vec();
    let mut found = silenced;
    expect.sort();
    found.sort();
    assert_eq!(found, expect);
}

/// What ended in a silence is told when that is lifted, by another process with the same folder, too; which tells of what is new at once.
#[test]
fn ended_in_a_silence() {
    let slack = Upstream::start(vec![Answer::ok("ok")]);
    let place = Place::new(&format!(
        "route: {{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\nreceivers:\n- name: team\n  slack_configs: [{{api_url: '{}', channel: '#x', send_resolved: true}}]\n",
        slack.url("/")
    ));
    let told = |words: &str| {
        eventually(words, PATIENCE, || {
            let heard = slack.heard();
            heard.iter().any(|it| it.body.contains(words)).then_some(())
        });
    };
    let router = place.start();
    router.post_alert("A");
    told("[FIRING:1] A");
    // The silence is known before the end is.
    let id = router.silence(&equal("alertname", "A"));
    let end = json!([{"labels": {"alertname": "A"}, "endsAt": jiff::Timestamp::now().to_string()}]);
    assert_eq!(router.ask("POST", "/api/v2/alerts", &end).0, 200);
    eventually("A's group was looked at", PATIENCE, || {
        let (_, metrics) = get(router.address, "/metrics").unwrap();
        let silenced = metrics.lines().find(|it| {
            it.starts_with("alertmanager_notifications_suppressed_total{reason=\"silence\"}")
        });
        silenced.filter(|it| !it.ends_with(" 0")).map(|_| ())
    });
    router.kill();

    let router = place.start();
    router.post_alert("C");
    told("[FIRING:1] C");
    assert!(
        !slack
            .heard()
            .iter()
            .any(|it| it.body.contains("[RESOLVED] A"))
    );
    let (status, _) = router.ask("DELETE", &format!("/api/v2/silence/{id}"), &Value::Null);
    assert_eq!(status, 200);
    told("[RESOLVED] A");
}

#[test]
fn a_disk_that_is_full() {
    let place = Place::new(NOBODY);
    let router = Router::of(place.program(Some("enospc-after=4000")).start());
    let mut kept = Vec::new();
    let refused = (0..1000).find_map(|number| {
        let name = format!("A{number:04}");
        match router.post_alert(&name) {
            (200, _) => {
                kept.push(name);
                None
            }
            refused => Some(refused),
        }
    });
    let (status, text) = refused.unwrap();
    assert_eq!(status, 507, "{text}");
    assert!(text.contains("No space left on device"), "{text}");
    let (status, text) = router.ask("POST", "/api/v2/silences", &silence(&equal("a", "b")));
    assert_eq!(status, 507, "{text}");
    eventually("it is not ready", PATIENCE, || {
        (get(router.address, "/-/ready").unwrap().0 == 503).then_some(())
    });
    let (_, metrics) = get(router.address, "/metrics").unwrap();
    assert!(
        metrics.contains("alert_router_storage_healthy 0\n"),
        "{metrics}"
    );
    // Nothing that was refused is there, and nothing that was kept is not.
    assert_eq!(router.names(), kept.join(" "));
    router.kill();
    let router = place.start();
    assert_eq!(router.names(), kept.join(" "));
    assert_eq!(router.post_alert("B").0, 200);
}

#[test]
fn a_disk_with_room_again() {
    if !rustix::process::geteuid().is_root() {
        testkit::skip("mounting a file system needs root");
        return;
    }
    let place = Place::new(NOBODY);
    fs::create_dir(place.data()).unwrap();
    let Some(_small) = Small::mount(&place.data()) else {
        testkit::skip("a tmpfs cannot be mounted here");
        return;
    };
    let router = place.start();
    let id = router.silence(&equal("a", "b"));
    let filler = place.data().join("filler");
    // The last page, too.
    drop(fs::write(&filler, vec![0; 1 << 20]));
    let refused = (0..2000).find(|it| router.post_alert(&format!("A{it}")).0 == 507);
    assert!(
        refused.is_some(),
        "the disk is full, and everything is kept"
    );
    eventually("it is not ready", PATIENCE, || {
        (get(router.address, "/-/ready").unwrap().0 == 503).then_some(())
    });
    fs::remove_file(&filler).unwrap();
    eventually("it is ready again", PATIENCE, || {
        (get(router.address, "/-/ready").unwrap().0 == 200).then_some(())
    });
    assert_eq!(router.post_alert("B").0, 200);
    let names = router.names();
    router.kill();
    let router = place.start();
    assert_eq!(router.names(), names);
    assert_eq!(
        router.json(&format!("/api/v2/silence/{id}"))["status"]["state"],
        "active"
    );
    router.kill();
}

#[test]
fn torn_newer_and_locked() {
    let place = Place::new(NOBODY);
    let router = place.start();
    assert_eq!(router.post_alert("A").0, 200);
    assert_eq!(router.post_alert("B").0, 200);
    // Two cannot have one folder.
    let said = place.refuses();
    assert!(
        said.contains("another process uses --storage.path"),
        "{said}"
    );
    router.kill();

    // Half a record at the end, as a crash leaves it: cut off, and said so.
    let journal = place.journal();
    let whole = fs::read(&journal).unwrap();
    for tail in [&whole[16..30], b"garbage".as_slice(), &[0; 100]] {
        let mut torn = whole.clone();
        torn.extend_from_slice(tail);
        fs::write(&journal, &torn).unwrap();
        let router = place.start();
        assert_eq!(router.names(), "A B");
        let output = router.kill();
        assert!(output.contains("the end of a journal is torn"), "{output}");
        assert_eq!(fs::read(&journal).unwrap(), whole);
    }
    // A cut within: what is before it is there.
    fs::write(&journal, &whole[..whole.len() - 3]).unwrap();
    let router = place.start();
    assert_eq!(router.names(), "A");
    router.kill();
    fs::write(&journal, &whole).unwrap();

    // Written by a version to come: left alone.
    let mut newer = whole;
    newer[8] = 99;
    fs::write(&journal, &newer).unwrap();
    let said = place.refuses();
    assert!(
        said.contains("was written by a newer alert-router (format 99"),
        "{said}"
    );
    assert_eq!(fs::read(&journal).unwrap(), newer);
}

/// Data of format 1, whose groups stand there without their receivers, as `storage-1/` has it: two alerts were told, and one of them
/// ended since.
#[test]
fn data_of_the_first_format() {
    let hook = Upstream::start(vec![Answer::ok("")]);
    let url = hook.url("/");
    let place = Place::new(&format!(
        "route: {{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 5200w}}\nreceivers:\n- name: \
         team\n  webhook_configs: [{{url: '{url}'}}]\n"
    ));
    fs::create_dir(place.data()).unwrap();
    let old = testkit::root().join("alert-router/tests/storage-1/journal-00000001.log");
    fs::copy(old, place.data().join("journal-00000001.log")).unwrap();
    let router = place.start();
    let heard = hook.wait_for(1, PATIENCE);
    let told: Value = serde_json::from_str(&heard[0].body).unwrap();
    assert_eq!(told["status"], "resolved", "{told}");
    assert_eq!(told["commonLabels"], json!({"alertname": "Over"}));
    // The second question is answered after what the first one saw was kept.
    eventually("it is known to have been heard", PATIENCE, || {
        let sent = router.json("/api/ext/v1/notifications");
        (sent[0]["status"] == "sent").then_some(())
    });
    // It is written anew, and known from there.
    eventually("a snapshot takes its place", PATIENCE, || {
        let first = place.data().join("journal-00000001.log");
        (!first.exists()).then_some(())
    });
    router.kill();
    let router = place.start();
    assert_eq!(router.names(), "Told");
    let silences = router.json("/api/v2/silences");
    assert_eq!(silences[0]["comment"], "format 1", "{silences}");
    assert_eq!(hook.heard().len(), 1, "{:?}", hook.heard());
}

/// The folder of an Alertmanager: its silences are taken, once.
#[test]
fn silences_of_an_alertmanager_that_was_here() {
    let place = Place::new(NOBODY);
    fs::create_dir(place.data()).unwrap();
    let old = testkit::root().join("alert-router/tests/alertmanager/silences-0.34");
    fs::copy(old, place.data().join("silences")).unwrap();
    let router = place.start();
    let silences = router.json("/api/v2/silences");
    assert_eq!(silences.as_array().unwrap().len(), 2, "{silences}");
    for silence in silences.as_array().unwrap() {
        let path = format!("/api/v2/silence/{}", silence["id"].as_str().unwrap());
        assert_eq!(router.ask("DELETE", &path, &Value::Null).0, 200);
    }
    router.kill();
    let silences = place.start().json("/api/v2/silences");
    let states = silences.as_array().unwrap().iter();
    let states: Vec<_> = states.map(|it| &it["status"]["state"]).collect();
    assert_eq!(states, ["expired", "expired"]);
}

#[test]
fn the_api_of_silences() {
    let place = Place::new(NOBODY);
    let router = place.start();
    let without = |key: &str| {
        let mut body = silence(&equal("a", "b"));
        body.as_object_mut().unwrap().remove(key);
        body
    };
    let with = |key: &str, value: Value| {
        let mut body = silence(&equal("a", "b"));
        body[key] = value;
        body
    };
    for (body, status, expect) in [
        (
            without("comment"),
            422,
            r#"{"code":602,"message":"comment in body is required"}"#,
        ),
        (
            without("createdBy"),
            422,
            r#"{"code":602,"message":"createdBy in body is required"}"#,
        ),
        (
            without("endsAt"),
            422,
            r#"{"code":602,"message":"endsAt in body is required"}"#,
        ),
        (
            without("matchers"),
            422,
            r#"{"code":602,"message":"matchers in body is required"}"#,
        ),
        (
            without("startsAt"),
            422,
            r#"{"code":602,"message":"startsAt in body is required"}"#,
        ),
        (
            with("matchers", json!([])),
            422,
            r#"{"code":612,"message":"matchers in body should have at least 1 items"}"#,
        ),
        (
            with("matchers", json!([{"name": "a", "value": "b"}])),
            422,
            r#"{"code":602,"message":"matchers.0.isRegex in body is required"}"#,
        ),
        (
            with(
                "matchers",
                json!([{"name": "a", "value": "", "isRegex": false}]),
            ),
            400,
            "\"invalid silence: matcher set 0: at least one matcher must not match the empty string\"",
        ),
        (
            with(
                "matchers",
                json!([{"name": "a", "value": "(", "isRegex": true}]),
            ),
            400,
            "\"invalid silence: invalid label matcher 0 in set 0: ",
        ),
        (
            with("endsAt", json!("2025-01-01T00:00:00Z")),
            400,
            "\"Failed to create silence: start time must be before end time\"",
        ),
        (
            with("endsAt", json!("2026-02-01T00:00:00Z")),
            400,
            "\"Failed to create silence: end time can't be in the past\"",
        ),
        (
            with("endsAt", json!("soon")),
            400,
            r#"{"code":400,"message":"parsing silence body from \"\" failed, because"#,
        ),
        (
            with("id", json!("00000000-0000-4000-8000-000000000000")),
            404,
            "\"silence not found\"",
        ),
    ] {
        let (found, text) = router.ask("POST", "/api/v2/silences", &body);
        assert_eq!(found, status, "{body}: {text}");
        assert!(text.starts_with(expect), "{body}: {text}");
    }
    for (path, status, expect) in [
        (
            "/api/v2/silence/x",
            422,
            r#"{"code":601,"message":"silenceID in path must be of type uuid: \"x\""}"#,
        ),
        (
            "/api/v2/silence/00000000-0000-4000-8000-000000000000",
            404,
            "",
        ),
    ] {
        for method in ["GET", "DELETE"] {
            let found = router.ask(method, path, &Value::Null);
            assert_eq!(found, (status, expect.to_owned()), "{method} {path}");
        }
    }
    let first = router.silence(&equal("a", "b"));
    let second = router.silence(&json!([{"name": "a", "value": "c|d", "isRegex": true}]));
    // The same matchers: the same silence; others: another, and the first ends.
    let mut body = router.json(&format!("/api/v2/silence/{first}"));
    body["endsAt"] = json!("2127-01-01T00:00:00Z");
    let (_, text) = router.ask("POST", "/api/v2/silences", &body);
    assert!(text.contains(&first), "{text}");
    body["matchers"] = equal("a", "z");
    let (_, text) = router.ask("POST", "/api/v2/silences", &body);
    let third: Value = serde_json::from_str(&text).unwrap();
    let third = third["silenceID"].as_str().unwrap();
    assert_ne!(third, first);
    let list = |query: &str| -> Vec<String> {
        let found = router.json(&format!("/api/v2/silences{query}"));
        let id = |it: &Value| it["id"].as_str().unwrap().to_owned();
        found.as_array().unwrap().iter().map(id).collect()
    };
    // By end; those that are over last.
    assert_eq!(list(""), [second.as_str(), third, &first]);
    assert_eq!(
        list("?expired=false&filter=a%3D~%22c%7Cd%22"),
        [second.as_str()]
    );
    assert_eq!(list("?active=false&pending=false"), [first.as_str()]);
    assert_eq!(list("?filter=a%3Dnothing"), [""; 0]);
    let shown = router.json(&format!("/api/v2/silence/{second}"));
    assert_eq!(
        shown["matchers"],
        json!([{"isEqual": true, "isRegex": true, "name": "a", "value": "c|d"}])
    );
    for state in ["active 2", "expired 1", "pending 0"] {
        let (state, count) = state.split_once(' ').unwrap();
        let (_, metrics) = get(router.address, "/metrics").unwrap();
        let line = format!("alertmanager_silences{{state=\"{state}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}");
    }
}

#[test]
fn history_and_heartbeats() {
    let hook = Upstream::start(vec![Answer::ok("")]);
    let place = Place::new(&format!(
        "route: {{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s}}\n\
         receivers:\n- name: team\n  webhook_configs: [{{url: '{}'}}]\n\
         heartbeats: [{{matchers: [alertname=Watchdog], timeout: 1s, receiver: team}}]\n\
         heartbeat_url: {{url: '{}', interval: 1s}}\n",
        hook.url("/told"),
        hook.url("/alive")
    ));
    let router = place.start();
    let heard = |text: &str| {
        eventually(text, PATIENCE, || {
            let heard = hook.heard();
            heard
                .iter()
                .any(|it| it.body.contains(text) || it.line.contains(text))
                .then_some(())
        });
    };
    heard("/alive");
    heard("HeartbeatMissing");
    assert_eq!(router.post_alert("A").0, 200);
    heard("\"A\"");
    router.silence(&equal("alertname", "B"));
    router.kill();
    let router = place.start();
    let history = eventually("the history of A", PATIENCE, || {
        let found = router.json("/api/v2/history?alertname=A");
        (found.as_array().unwrap().len() >= 2).then_some(found)
    });
    let kinds: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            format!(
                "{} {}",
                it["kind"].as_str().unwrap(),
                it["status"].as_str().unwrap()
            )
        })
        .collect();
    assert!(kinds.contains(&"notification sent".to_owned()), "{kinds:?}");
    assert!(kinds.contains(&"state firing".to_owned()), "{kinds:?}");
    let silences = router.json("/api/v2/history?kind=silence");
    assert_eq!(
        silences[0]["silence"]["matchers"],
        json!(["alertname=\"B\""])
    );
    for query in ["since=soon", "limit=0", "x=y"] {
        let (status, text) = get(router.address, &format!("/api/v2/history?{query}")).unwrap();
        assert_eq!(status, 400, "{query}: {text}");
    }
}

/// The journal's files stay small: a snapshot takes their place.
#[test]
fn many_alerts_are_streamed_and_known_again() {
    let place = Place::new(NOBODY);
    let router = place.start();
    let text = "x".repeat(2000);
    let mut posted = 0;
    for batch in 0..20 {
        let alerts: Vec<_> = (0..500)
            .map(|it| json!({"labels": {"alertname": format!("A{batch}"), "n": it.to_string()}, "annotations": {"a": text}}))
            .collect();
        posted += alerts.len();
        let (status, text) = router.ask("POST", "/api/v2/alerts", &json!(alerts));
        assert_eq!(status, 200, "{text}");
    }
    // Again, and with other annotations: the journal grows, what is known does not.
    for batch in 0..20 {
        let alerts: Vec<_> = (0..500)
            .map(|it| json!({"labels": {"alertname": format!("A{batch}"), "n": it.to_string()}, "annotations": {"b": text}}))
            .collect();
        assert_eq!(router.ask("POST", "/api/v2/alerts", &json!(alerts)).0, 200);
    }
    let count = |router: &Router, query: &str| {
        let found = router.json(&format!("/api/v2/alerts{query}"));
        found.as_array().unwrap().len()
    };
    assert_eq!(count(&router, ""), posted);
    assert_eq!(count(&router, "?filter=alertname%3DA7"), 500);
    assert_eq!(
        count(&router, "?filter=alertname%3DA7&filter=n%3D~%22.%22"),
        10
    );
    let groups = router.json("/api/v2/alerts/groups");
    assert_eq!(groups[0]["alerts"].as_array().unwrap().len(), posted);
    let has_snapshot = |folder: &Path| {
        let mut files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
        files.any(|it| it.extension().is_some_and(|it| it == "bin"))
    };
    eventually("a snapshot", PATIENCE, || {
        has_snapshot(&place.data()).then_some(())
    });
    router.kill();
    let router = place.start();
    assert_eq!(count(&router, ""), posted);
}
