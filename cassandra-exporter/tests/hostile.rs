//! What is no good Jolokia: silent, slow, huge, broken, closed, somebody else. A scrape ends before its deadline, and says why.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    time::{Duration, Instant},
};

use exposition::{Family, parse};
use testkit::{Answer, Program, Running, Upstream, request};

/// What Prometheus would wait.
const DEADLINE: Duration = Duration::from_secs(1);

fn start(url: &str, arguments: &[&str]) -> Running {
    Program::new("cassandra-exporter")
        .args([format!("--jolokia.url={url}")])
        .args(["--web.listen-address=127.0.0.1:0"])
        .args(arguments)
        .start()
}

struct Scraped {
    families: Vec<Family>,
    took: Duration,
}

fn scrape(exporter: &Running) -> Scraped {
    let begin = Instant::now();
    let timeout = DEADLINE.as_secs_f64().to_string();
    let headers = [("X-Prometheus-Scrape-Timeout-Seconds", timeout.as_str())];
    let (status, _, body) = request(exporter.address(), "GET", "/metrics", &headers, &[]).unwrap();
    assert_eq!(status, 200);
    let families = parse::text_strict(&String::from_utf8(body).unwrap()).unwrap();
    Scraped {
        families,
        took: begin.elapsed(),
    }
}

impl Scraped {
    fn number(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let family = self.families.iter().find(|it| it.name() == name)?;
        family.number(labels)
    }

    #[track_caller]
    fn is_down(&self, reason: &str) {
        assert_eq!(self.number("cassandra_up", &[]), Some(0.0));
        assert_eq!(self.number("cassandra_scrape_complete", &[]), Some(0.0));
        let failure = self
            .families
            .iter()
            .find(|it| it.name() == "cassandra_scrape_failure");
        let found: Vec<_> = failure
            .unwrap()
            .metrics
            .iter()
            .filter(|it| it.value == exposition::Value::Number(1.0))
            .filter_map(|it| it.labels.get("reason"))
            .collect();
        assert_eq!(found, [reason]);
        let collector = [("collector", "cassandra")];
        let success = self.number("cassandra_scrape_collector_success", &collector);
        assert_eq!(success, Some(0.0));
        assert!(self.took < DEADLINE * 3, "{:?}", self.took);
    }
}

fn json(body: &str) -> Answer {
    let headers = vec![("Content-Type", "application/json".to_owned())];
    Answer::Reply(200, headers, body.to_owned())
}

#[test]
fn answers_that_are_none() {
    let elsewhere = Upstream::start(vec![Answer::ok("[]")]);
    let moved = vec![("Location", elsewhere.url("/jolokia/"))];
    let refused = r#"{"error":"Reading attribute X is forbidden","status":403}"#;
    for (answer, reason) in [
        (Answer::status(401), "unauthorized"),
        (Answer::status(403), "forbidden"),
        (Answer::status(404), "not_found"),
        (Answer::status(500), "http"),
        (Answer::Reply(302, moved, String::new()), "redirect"),
        (Answer::ok("<html><body>Sorry</body></html>"), "answer"),
        (json("[]"), "answer"),
        (json("{}"), "answer"),
        (json("[1,2]"), "answer"),
        (json("null"), "answer"),
        (json(refused), "forbidden"),
        (json(&"[".repeat(60_000)), "answer"),
        (
            json(&format!("[{{\"x\":\"{}\"", "y".repeat(100_000))),
            "too_large",
        ),
        (Answer::Truncated, "broken"),
        (Answer::Close, "broken"),
        (Answer::Hang, "deadline"),
    ] {
        let node = Upstream::start(vec![answer.clone()]);
        let exporter = start(&node.url("/jolokia"), &["--jolokia.max-answer-bytes=65536"]);
        for _ in 0..2 {
            scrape(&exporter).is_down(reason);
        }
        // The log says it once.
        let log = exporter.log();
        assert_eq!(log.matches("the node cannot be read").count(), 1, "{log}");
        // One call a scrape: nothing is tried again.
        assert_eq!(node.heard().len(), 2, "{answer:?}");
        assert!(node.heard()[0].line.starts_with("POST /jolokia/?"));
    }
    assert!(elsewhere.heard().is_empty());
}

#[test]
fn nobody_is_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let exporter = start(&format!("http://{address}/jolokia"), &[]);
    scrape(&exporter).is_down("connect");
    let log = exporter.log();
    let line = format!("cannot connect to http://{address}/jolokia");
    assert!(log.contains(&line), "{log}");
}

/// Single beans that fail, and values of every wrong kind, cost no more than themselves.
#[test]
fn odd_values() {
    let mut elements = vec![
        // StorageService with nearly everything wrong.
        r#"{"status":200,"value":{"ClusterName":7,"OperationMode":"DANCING","LiveNodes":"x","EndpointToHostId":{"10.0.0.1":null,"10.0.0.2":"h"},"TokenToEndpointMap":[],"Ownership":{"10.0.0.2":"NaN"},"Joined":"yes","NativeTransportRunning":true}}"#,
        r#"{"status":200,"value":{"AllEndpointStates":"/10.0.0.2\n  DC:1:dc\n  LOAD:2:Infinity\n nonsense\n  X\n","PhiValues":7,"PhiConvictThreshold":"Infinity"}}"#,
        r#"{"status":500,"error":"boom"}"#,
        r#"{"status":404,"error":"none"}"#,
        r#"{"status":200,"value":[{"taskType":3},null,7,{"taskType":"Major Compaction","unit":"bytes","completed":"10","total":"20","keyspace":"k","columnfamily":"t"}]}"#,
        r#"{"status":200,"value":{"a":1}}"#,
        r#"{"status":200,"value":{"k":{"t":3,"u":"x"},"l":4}}"#,
    ];
    elements.extend(
        [r#"{"status":200,"value":{"HeapMemoryUsage":{"used":1e400,"max":-1,"committed":5}}}"#; 8],
    );
    let node = Upstream::start(vec![
        json(&format!("[{}]", elements.join(","))),
        // A search that is answered by another thing.
        json("[]"),
    ]);
    let exporter = start(&node.url("/jolokia"), &[]);
    let scraped = scrape(&exporter);
    let number = |name: &str, labels: &[(&str, &str)]| scraped.number(name, labels);
    // 1e400 is no number of JSON's: what stood before it came.
    assert_eq!(number("cassandra_up", &[]), Some(1.0));
    assert_eq!(number("cassandra_scrape_complete", &[]), Some(0.0));
    let failed = [("reason", "answer")];
    assert_eq!(number("cassandra_scrape_failure", &failed), Some(1.0));
    assert_eq!(
        number("cassandra_operation_mode", &[("mode", "DANCING")]),
        Some(1.0)
    );
    assert_eq!(number("cassandra_joined", &[]), None);
    assert_eq!(number("cassandra_native_transport_running", &[]), Some(1.0));
    let one = [("endpoint", "10.0.0.2")];
    assert_eq!(number("cassandra_endpoint_up", &one), Some(0.0));
    assert_eq!(number("cassandra_endpoint_owns_ratio", &one), None);
    assert_eq!(number("cassandra_endpoint_load_bytes", &one), None);
    let compaction = [
        ("keyspace", "k"),
        ("table", "t"),
        ("type", "major_compaction"),
    ];
    assert_eq!(
        number("cassandra_running_compactions_size_bytes", &compaction),
        Some(20.0)
    );
    let pending = [("keyspace", "k"), ("table", "t")];
    assert_eq!(
        number("cassandra_compaction_pending_tasks_by_table", &pending),
        Some(3.0)
    );
    let reads = |result| number("cassandra_scrape_reads", &[("result", result)]);
    assert_eq!(reads("failed"), Some(1.0));
}

/// A byte now and then never ends the wait before the deadline.
#[test]
fn a_drip() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut head = [0; 1024];
                let read = stream.read(&mut head);
                assert!(read.is_ok_and(|it| it > 0));
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n["));
                let (_hold, never) = std::sync::mpsc::channel::<()>();
                while stream.write_all(b" ").is_ok() {
                    assert!(never.recv_timeout(Duration::from_millis(20)).is_err());
                }
            });
        }
    });
    let exporter = start(&format!("http://{address}/"), &[]);
    scrape(&exporter).is_down("deadline");
}

/// Who asks while a scrape is under way waits for the same.
#[test]
fn two_scrapes_are_one() {
    let node = Upstream::start(vec![Answer::Hang]);
    let exporter = start(&node.url("/"), &[]);
    std::thread::scope(|scope| {
        let scrapes: Vec<_> = (0..4).map(|_| scope.spawn(|| scrape(&exporter))).collect();
        for one in scrapes {
            one.join().unwrap().is_down("deadline");
        }
    });
    // All four came within the second that the first one waits, unless the machine is very slow.
    assert!(node.heard().len() < 4, "{}", node.heard().len());
}

#[test]
fn it_comes_back() {
    let node = Upstream::start(vec![Answer::status(503), json("[]"), Answer::status(503)]);
    let exporter = start(&node.url("/"), &[]);
    for reason in ["http", "answer", "http"] {
        scrape(&exporter).is_down(reason);
    }
    assert_eq!(exporter.log().matches("the node cannot be read").count(), 3);
}

#[test]
fn logins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let node = Upstream::start(vec![json("[]")]);
    let heard = |count: usize| {
        let heard = node.heard();
        assert_eq!(heard.len(), count);
        let last = heard.last().unwrap().headers.clone();
        let found = last.into_iter().find(|it| it.0 == "authorization");
        found.map(|it| it.1).unwrap_or_default()
    };
    let password = format!("--jolokia.password-file={}", file.display());
    std::fs::write(&file, "pass wörd\n").unwrap();
    let exporter = start(&node.url("/"), &["--jolokia.username=us", &password]);
    scrape(&exporter);
    assert_eq!(heard(1), "Basic dXM6cGFzcyB3w7ZyZA==");
    // It may be exchanged.
    std::fs::write(&file, "other").unwrap();
    scrape(&exporter);
    assert_eq!(heard(2), "Basic dXM6b3RoZXI=");
    std::fs::remove_file(&file).unwrap();
    scrape(&exporter).is_down("settings");
    assert_eq!(heard(2), "Basic dXM6b3RoZXI=");
    assert!(!exporter.log().contains("other"), "{}", exporter.log());
    drop(exporter);
    let exporter = Program::new("cassandra-exporter")
        .args([format!("--jolokia.url={}", node.url("/"))])
        .args(["--web.listen-address=127.0.0.1:0"])
        .env("CASSANDRA_EXPORTER_JOLOKIA_BEARER_TOKEN", "t.o.k")
        .start();
    scrape(&exporter);
    assert_eq!(heard(3), "Bearer t.o.k");
}

/// Wrong settings: one message, and the exit code of wrong usage.
#[test]
fn mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("exporter.yml");
    let text = "jolokia:\n  url: http://127.0.0.1:1/\n  pasword-file: x\n";
    std::fs::write(&config, text).unwrap();
    let missing = folder.path().join("missing");
    for (arguments, code, expect) in [
        (
            vec![format!("--config.file={}", config.display())],
            2,
            "exporter.yml:3: there is no flag jolokia.pasword-file; did you mean jolokia.password-file?".to_owned(),
        ),
        (
            vec!["--jolokia.url=nowhere".to_owned()],
            1,
            "--jolokia.url=\"nowhere\" is no http or https address".to_owned(),
        ),
        (
            vec![format!("--jolokia.ca-file={}", missing.display())],
            1,
            format!("cannot read {}", missing.display()),
        ),
        (
            vec!["--quantiles=0.9".to_owned()],
            1,
            "--quantiles: \"0.9\" is none of".to_owned(),
        ),
    ] {
        let ended = Program::new("cassandra-exporter")
            .args(["--web.listen-address=127.0.0.1:0"])
            .args(&arguments)
            .run();
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(&expect), "{}", ended.stderr);
        let lines = ended.stderr.lines().filter(|it| !it.starts_with("time="));
        assert_eq!(lines.count(), 1, "{}", ended.stderr);
    }
}
