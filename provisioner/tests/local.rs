//! The local network as an operator meets it: real Prometheus, our programs, a real alert, and what goes wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "local/faults.rs"]
mod faults;
#[path = "local/others.rs"]
mod others;
#[path = "local/panels.rs"]
mod panels;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Ended, Program, binary, eventually, request, skip};

/// Every port is one that is free.
const PORTS: &str =
    "--ports=prometheus=0,inbox=0,inbox-smtp=0,alert-router=0,node-exporter=0,grafana=0";
/// With those of `--with cassandra`.
const PORTS_OF_CASSANDRA: &str = "--ports=cassandra=0,cassandra-exporter=0,cassandra-jmx=0,cassandra-jolokia=0,cassandra-storage=0";
/// With those of `--with ledger`.
const PORTS_OF_LEDGER: &str =
    "--ports=ledger=0,ledger-admin=0,ledger-clients=0,ledger-privileged=0";
/// With those of `--with traefik`.
const PORTS_OF_TRAEFIK: &str = "--ports=sample-1=0,sample-2=0,traefik=0,traefik-exporter=0,traefik-ledger=0,traefik-privileged=0,traefik-secure=0";
/// What the issue promises for an alert, and three times that before the test gives up.
const PROMISED: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(360);

/// A local network in a folder of its own; it is taken down with the test.
struct Network {
    folder: TempDir,
}

impl Network {
    fn new() -> Self {
        for program in ["node-exporter", "alert-router"] {
            assert!(binary(program).is_file());
        }
        Self {
            folder: tempfile::Builder::new().prefix("pl").tempdir().unwrap(),
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.provisioner(arguments).run()
    }

    fn provisioner(&self, arguments: &[&str]) -> Program {
        Program::new("provisioner")
            .args(arguments)
            .env("PROVISIONER_LOCAL_STATE_DIR", self.state())
    }

    fn good(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert!(
            ended.status.success(),
            "{arguments:?}: {}{}",
            ended.stdout,
            ended.stderr
        );
        ended.stdout
    }

    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        serde_json::from_str(&self.good(arguments)).unwrap()
    }

    fn status(&self) -> Vec<Value> {
        self.json(&["local", "status", "--json"])
    }

    fn program(&self, name: &str) -> Value {
        self.status()
            .into_iter()
            .find(|it| it["name"] == name)
            .unwrap()
    }

    /// The body of a GET.
    fn get(&self, program: &str, path: &str) -> String {
        let url = self.program(program)["url"].as_str().unwrap().to_owned();
        fetch(&format!("{url}{path}"))
    }

    /// What Prometheus answers to a query.
    fn query(&self, expr: &str) -> Vec<Value> {
        let encoded: String = expr.bytes().map(|it| format!("%{it:02X}")).collect();
        let answer: Value = serde_json::from_str(
            &self.get("prometheus", &format!("/api/v1/query?query={encoded}")),
        )
        .unwrap();
        assert_eq!(answer["status"], "success", "{expr}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// Messages of a status, by channel.
    fn heard(&self, status: &str, alert: &str) -> Option<(Value, Value)> {
        let messages = self.json(&["local", "inbox", "--json"]);
        let find = |channel: &str| {
            let mut some = messages
                .iter()
                .filter(|it| it["channel"] == channel && it["status"] == status);
            some.find(|it| {
                it["alerts"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|it| it == alert)
            })
            .cloned()
        };
        Some((find("slack")?, find("email")?))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.provisioner(&["local", "down"]).clean_up();
        } else {
            self.good(&["local", "down"]);
        }
    }
}

fn fetch(url: &str) -> String {
    let (address, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let (status, _, body) = request(
        address.parse().unwrap(),
        "GET",
        &format!("/{path}"),
        &[],
        b"",
    )
    .unwrap();
    assert_eq!(status, 200, "{url}");
    String::from_utf8(body).unwrap()
}

/// Whether a process is there, ended ones that nobody has asked about not counted.
fn lives(pid: &Value) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, it)| !it.starts_with('Z'))
}

#[test]
fn an_alert_from_its_start_to_its_end() {
    let network = Network::new();
    let said = network.good(&["local", "up", PORTS]);
    for word in [
        "inbox",
        "alert-router",
        "node-exporter",
        "prometheus",
        "healthy",
        "local stop",
    ] {
        assert!(said.contains(word), "{said}");
    }
    let before = network.status();
    assert!(
        before
            .iter()
            .all(|it| it["healthy"] == true && it["restarts"] == 0),
        "{before:?}"
    );

    // This host is what node-exporter shows.
    let metrics = network.get("node-exporter", "/metrics");
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert!(
        metrics.contains(&format!("nodename=\"{}\"", name.trim())),
        "{metrics}"
    );

    // All targets are up, and the rules are loaded.
    eventually("all targets are up", PATIENCE, || {
        let up = network.query("up");
        (up.len() == 4 && up.iter().all(|it| it["value"][1] == "1")).then_some(())
    });
    let rules = network.get("prometheus", "/api/v1/rules");
    for (alert, _) in dashboards::RUNBOOKS {
        // Those of what does not run here are left out.
        let is_about_others = ["Cassandra", "Entry", "Traefik"]
            .iter()
            .any(|it| alert.starts_with(it));
        let is_loaded = rules.contains(&format!("\"name\":\"{alert}\""));
        assert_eq!(is_loaded, !is_about_others, "{alert}");
    }

    // A second `up` changes nothing.
    let said = network.good(&["local", "up", PORTS]);
    assert!(said.contains("nothing has changed"), "{said}");
    let pids = |status: &[Value]| {
        status
            .iter()
            .map(|it| it["pid"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(pids(&before), pids(&network.status()));

    // The alert, by both ways.
    let begin = Instant::now();
    network.good(&["local", "stop", "node-exporter"]);
    assert_eq!(network.program("node-exporter")["state"], "stopped");
    let (slack, mail) = eventually(
        "Slack and mail say that the agent is down",
        PATIENCE,
        || network.heard("firing", "AgentDown"),
    );
    assert!(begin.elapsed() < PROMISED, "it took {:?}", begin.elapsed());
    let instance = network.query("up{program=\"node-exporter\"}")[0]["metric"]["instance"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut lines = Vec::new();
    for message in [&slack, &mail] {
        let text = message["text"].as_str().unwrap();
        for word in [
            "AgentDown",
            &instance,
            &format!("node-exporter on {instance} does not answer"),
            "critical",
        ] {
            assert!(text.contains(word), "{word} is missing: {text}");
        }
        let runbook = text
            .split_whitespace()
            .find(|it| it.ends_with("/runbooks/AgentDown"))
            .unwrap();
        assert!(fetch(runbook).contains("What it means"));
        let line = text
            .lines()
            .map(str::trim)
            .find(|it| it.contains(" local start "))
            .unwrap();
        lines.push(line.to_owned());
    }
    assert_eq!(lines[0], lines[1]);

    // The line of the message is what repairs it.
    let ended = Program::at("sh").args(["-c", &lines[0]]).run();
    assert!(ended.status.success(), "{}: {}", lines[0], ended.stderr);
    eventually("the end is heard of", PATIENCE, || {
        network.heard("resolved", "AgentDown")
    });
    assert_eq!(network.program("node-exporter")["healthy"], true);

    // The page shows what came, and lets nothing else in.
    let page = network.get("inbox", "/");
    assert!(
        page.contains("[RESOLVED] AgentDown") && page.contains("<iframe sandbox=\"allow-popups "),
        "{page}"
    );

    // A test alert reaches both ways.
    let outcomes = network.json(&["alerts", "test", "--json", "--timeout", "120"]);
    let outcomes: Vec<_> = outcomes
        .iter()
        .map(|it| {
            (
                it["integration"].as_str().unwrap(),
                it["what"].as_str().unwrap(),
                it["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            ("email", "firing", "sent"),
            ("slack", "firing", "sent"),
            ("email", "resolved", "sent"),
            ("slack", "resolved", "sent")
        ]
    );

    // A crash is repaired and counted.
    let pid = network.program("alert-router")["pid"].clone();
    kill(&pid);
    let after = eventually("alert-router runs again", PATIENCE, || {
        let after = network.program("alert-router");
        (after["healthy"] == true && after["pid"] != pid).then_some(after)
    });
    assert_eq!(after["restarts"], 1);

    // Nothing is left.
    let programs = network.status();
    network.good(&["local", "down"]);
    for program in &programs {
        assert!(!lives(&program["pid"]), "{program} is still there");
        let address = program["url"]
            .as_str()
            .unwrap()
            .strip_prefix("http://")
            .unwrap();
        assert!(
            TcpListener::bind(address).is_ok(),
            "{address} is still taken"
        );
    }
    let ended = network.run(&["local", "status"]);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(
        ended.stderr,
        "provisioner: no local network runs; start it with `provisioner local up`\n"
    );
}

fn kill(pid: &Value) {
    let pid = i32::try_from(pid.as_i64().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_killed_supervisor_leaves_no_orphans() {
    let network = Network::new();
    network.good(&["local", "up", PORTS]);
    let programs = network.status();
    let processes: Vec<Value> =
        serde_json::from_str(&fs::read_to_string(network.state().join("processes.json")).unwrap())
            .unwrap();
    let supervisor = processes[0]["pid"].clone();
    assert!(!programs.iter().any(|it| it["pid"] == supervisor));
    kill(&supervisor);
    for program in &programs {
        eventually("the children end", PATIENCE, || {
            (!lives(&program["pid"])).then_some(())
        });
    }
    // The next one copes.
    network.good(&["local", "up", PORTS]);
    assert!(network.status().iter().all(|it| it["healthy"] == true));
    let said = network.good(&["local", "down", "--purge"]);
    assert!(said.contains("is down"), "{said}");
    assert!(!network.state().exists());
}

/// Nothing may be left of an `up` that fails.
fn fails(network: &Network, arguments: &[&str], code: i32, expect: &str) {
    let arguments = [&["local"], arguments].concat();
    let ended = network.run(&arguments);
    assert_eq!(
        ended.status.code(),
        Some(code),
        "{arguments:?}: {}{}",
        ended.stdout,
        ended.stderr
    );
    assert!(
        ended.stderr.contains(expect),
        "{arguments:?}: {}",
        ended.stderr
    );
    assert_eq!(
        ended.stderr.matches("provisioner:").count() + ended.stderr.matches("error:").count(),
        1,
        "{}",
        ended.stderr
    );
    assert!(
        !network.state().join("control.sock").exists(),
        "{arguments:?} left a supervisor"
    );
}

#[test]
fn mistakes_have_one_message_and_leave_nothing() {
    let network = Network::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ports = format!("{PORTS},prometheus={port}");
    fails(
        &network,
        &["up", &ports],
        1,
        &format!("the port {port} of prometheus is not free"),
    );
    fails(
        &network,
        &["up", "--port=5"],
        2,
        "unexpected argument '--port' found",
    );
    fails(
        &network,
        &["up", "--with=nothing"],
        2,
        "invalid value 'nothing' for '--with <PART,…>'",
    );
    fails(
        &network,
        &["up", "--ports=web=5"],
        1,
        "there is no program \"web\"",
    );
    fails(
        &network,
        &["up", PORTS, "--config=/nonexistent/config.json"],
        2,
        "/nonexistent/config.json: cannot read it: No such file or directory",
    );
    let config = network.folder.path().join("config.json");
    let file = config.display().to_string();
    for (text, expect) in [
        (
            "{\"slack_webhok_url\": \"x\"}",
            "config.json, line 1: unknown key slack_webhok_url; did you mean slack_webhook_url?",
        ),
        (
            "{\n\"alert_email\": 5}",
            "config.json, line 2: alert_email: expected a text, found a number",
        ),
    ] {
        fs::write(&config, text).unwrap();
        fails(&network, &["up", PORTS, "--config", &file], 2, expect);
    }
    fs::write(&config, "{\"smtp_smarthost\": \"mail.example:25\"}").unwrap();
    fails(
        &network,
        &["up", PORTS, "--config", &file],
        1,
        "config.json has smtp_smarthost, so it needs smtp_from too",
    );
    fails(&network, &["status"], 1, "no local network runs");
    fails(
        &network,
        &["load"],
        1,
        "nothing runs that takes load; start it with: provisioner local up --with all",
    );
    fails(
        &network,
        &["load", "--seconds=0"],
        2,
        "invalid value '0' for '--seconds <SECONDS>'",
    );
    fails(&network, &["logs"], 1, "there are no logs in");
    fails(&network, &["inbox"], 1, "nothing was ever received here");
    // A file stands where the folder should be.
    let file = network.folder.path().join("file");
    fs::write(&file, "").unwrap();
    let ended = Program::new("provisioner")
        .args(["local", "up", PORTS, "--state-dir"])
        .args([file.join("state")])
        .run();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("Not a directory") && ended.stderr.lines().count() == 1,
        "{}",
        ended.stderr
    );
}

#[test]
fn unknown_programs_are_named() {
    let network = Network::new();
    network.good(&["local", "up", PORTS]);
    for command in ["stop", "start"] {
        let ended = network.run(&["local", command, "nothing"]);
        assert_eq!(ended.status.code(), Some(1));
        assert_eq!(
            ended.stderr,
            "provisioner: there is no program \"nothing\"; there are inbox, alert-router, node-exporter, prometheus\n"
        );
    }
    let log = network.good(&["local", "logs", "node-exporter", "-n", "5"]);
    assert!(log.contains("Listening on"), "{log}");
}

/// A real node of Cassandra, whose exporter is a target like the others.
#[test]
fn cassandra_is_started_when_it_is_asked_for() {
    assert!(binary("cassandra-exporter").is_file());
    let network = Network::new();
    let up = &[
        "local",
        "up",
        "--with",
        "cassandra",
        PORTS,
        PORTS_OF_CASSANDRA,
    ];
    network.good(up);
    let programs = network.status();
    let of = |name: &str| programs.iter().find(|it| it["name"] == name).unwrap();
    let (cassandra, exporter) = (of("cassandra"), of("cassandra-exporter"));
    assert!(cassandra["healthy"] == true && exporter["healthy"] == true);
    eventually("the exporter is a target that is up", PATIENCE, || {
        let up = network.query("up{job=\"cassandra\"} == 1");
        let labels = &up.first()?["metric"];
        assert_eq!(labels["program"], "cassandra-exporter");
        assert_eq!(labels["cluster"], "local");
        Some(())
    });
    eventually("it reads the node", PATIENCE, || {
        network.query("cassandra_up == 1").first().map(drop)
    });

    // Jolokia wants the password, which no list of processes has.
    let file = network.state().join("cassandra/jolokia.password");
    let password = fs::read_to_string(&file).unwrap();
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for program in [cassandra, exporter] {
        let line = fs::read_to_string(format!("/proc/{}/cmdline", program["pid"])).unwrap();
        assert!(!line.contains(&password), "{line}");
    }
    let url = cassandra["url"].as_str().unwrap();
    let address = url.strip_prefix("http://").unwrap();
    let address = address.strip_suffix("/jolokia").unwrap();
    let path = "/jolokia/read/org.apache.cassandra.db:type=StorageService/OperationMode";
    let (status, _, _) = request(address.parse().unwrap(), "GET", path, &[], b"").unwrap();
    assert_eq!(status, 401);

    let said = network.good(up);
    assert!(said.contains("nothing has changed"), "{said}");
    network.good(&["local", "stop", "cassandra"]);
    assert_eq!(network.program("cassandra")["state"], "stopped");
    network.good(&["local", "start", "cassandra"]);
    assert_eq!(network.program("cassandra")["healthy"], true);
    let log = network.good(&["local", "logs", "cassandra", "-n", "5000"]);
    assert_eq!(log.matches("Startup complete").count(), 2, "{log}");

    // What is not asked for any more goes.
    let before = network.program("cassandra");
    let said = network.good(&["local", "up", PORTS]);
    assert!(
        said.contains("cassandra: stopped, it is not wanted any more"),
        "{said}"
    );
    assert!(!lives(&before["pid"]) && !lives(&exporter["pid"]));
    assert_eq!(network.status().len(), 4);
    // And it is the same one when it is asked for again.
    network.good(up);
    assert_eq!(fs::read_to_string(&file).unwrap(), password);
    let last = network.program("cassandra");
    network.good(&["local", "down"]);
    assert!(!lives(&last["pid"]));
}

/// A real Traefik with two servers behind it, and what its exporter says when one of them, or all of it, is down.
#[test]
fn traefik_is_started_when_it_is_asked_for() {
    assert!(binary("traefik-exporter").is_file());
    let network = Network::new();
    let up = &["local", "up", "--with", "traefik", PORTS, PORTS_OF_TRAEFIK];
    network.good(up);
    let before = network.status();
    assert_eq!(before.len(), 8);
    assert!(before.iter().all(|it| it["healthy"] == true), "{before:?}");
    let is = |expr: &str| network.query(expr).first().map(drop);
    let holds = |expr: &str| eventually(expr, PATIENCE, || is(expr));
    // Both are targets: Traefik's own metrics come from itself, and not a second time through the exporter.
    for job in ["traefik", "traefik-exporter"] {
        holds(&format!(
            "up{{job=\"{job}\",program=\"{job}\",cluster=\"local\"}} == 1"
        ));
    }
    holds("traefik_up == 1 and traefik_scrape_complete == 1");
    holds("traefik_api_features_info{metrics=\"Prometheus\",access_log=\"true\"}");
    holds("traefik_log_readable == 1 and on (instance) traefik_access_log_readable == 1");
    holds("sum(traefik_api_server_up{service=\"sample@file\"}) == 2");
    holds(
        "traefik_api_tls_hosts{certificate=\"present\"} == 2 and on (protocol) traefik_api_tls_hosts{certificate=\"missing\"} == 0",
    );
    assert_eq!(
        network.query("traefik_file_object_not_loaded"),
        [] as [Value; 0]
    );

    // Clients are answered by both servers in turn, with TLS by the certificate that was made.
    let folder = network.state().join("traefik");
    let named: Value =
        serde_json::from_str(&fs::read_to_string(network.state().join("network.json")).unwrap())
            .unwrap();
    let programs = named["programs"].as_array().unwrap();
    let traefik = programs.iter().find(|it| it["name"] == "traefik").unwrap();
    let port = |name: &str| traefik["further_ports"][name].as_u64().unwrap();
    let plain = format!("http://127.0.0.1:{}/", port("traefik-ledger"));
    let mut said: Vec<_> = (0..4).map(|_| fetch(&plain)).collect();
    said.sort();
    said.dedup();
    assert_eq!(said, ["sample-1 answers\n", "sample-2 answers\n"]);
    let secure = format!("https://localhost:{}/", port("traefik-secure"));
    let certificate = fs::read_to_string(folder.join("sample.crt")).unwrap();
    assert!(fetch_by_tls(&secure, &certificate).ends_with(" answers\n"));
    let mode = fs::metadata(folder.join("sample.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    holds("traefik_access_log_requests_total{router=\"sample@file\",code=\"2xx\"} == 4");
    holds(
        "sum(traefik_access_log_server_requests_total{service=\"sample@file\",code=\"2xx\"}) == 5",
    );
    holds(
        "traefik_router_requests_total{job=\"traefik\",router=\"sample-secure@file\",code=\"200\"} == 1",
    );
    assert_eq!(
        network.query("traefik_router_requests_total{job!=\"traefik\"}"),
        [] as [Value; 0]
    );

    // One server less is no outage.
    network.good(&["local", "stop", "sample-1"]);
    holds("traefik_api_server_up{service=\"sample@file\"} == 0");
    holds("sum(traefik_api_server_up{service=\"sample@file\"}) == 1");
    holds("traefik_api_router_without_server{router=\"sample@file\"} == 0");
    assert_eq!(fetch(&plain), "sample-2 answers\n");
    network.good(&["local", "start", "sample-1"]);
    holds("sum(traefik_api_server_up{service=\"sample@file\"}) == 2");

    network.good(&["local", "stop", "traefik"]);
    holds("traefik_up == 0 and on (instance) traefik_scrape_failure{reason=\"connect\"} == 1");
    holds("up{job=\"traefik\"} == 0");
    assert!(is("up{job=\"traefik-exporter\"} == 1").is_some());
    network.good(&["local", "start", "traefik"]);
    holds("traefik_up == 1 and traefik_scrape_complete == 1");
    network.good(&["local", "stop", "traefik-exporter"]);
    assert_eq!(network.program("traefik-exporter")["state"], "stopped");
    let said = network.good(up);
    assert!(said.contains("traefik-exporter: started again"), "{said}");
    let said = network.good(up);
    assert!(said.contains("nothing has changed"), "{said}");
    holds("up{job=\"traefik-exporter\"} == 1");

    // What is not asked for any more goes, and nobody is woken for it.
    let last = network.status();
    let said = network.good(&["local", "up", PORTS]);
    assert!(
        said.contains("traefik: stopped, it is not wanted any more"),
        "{said}"
    );
    assert_eq!(network.status().len(), 4);
    let config = fs::read_to_string(network.state().join("prometheus.yml")).unwrap();
    assert!(!config.contains("traefik"), "{config}");
    for program in ["sample-1", "sample-2", "traefik", "traefik-exporter"] {
        let its = last.iter().find(|it| it["name"] == program).unwrap();
        assert!(!lives(&its["pid"]), "{its} is still there");
        assert_eq!(
            network.query(&format!(
                "ALERTS{{alertname=\"AgentDown\",alertstate=\"firing\",program=\"{program}\"}}"
            )),
            [] as [Value; 0]
        );
    }
    // And it has the same certificate when it is asked for again.
    network.good(up);
    assert_eq!(
        fs::read_to_string(folder.join("sample.crt")).unwrap(),
        certificate
    );
}

/// Several parts by one flag or by several.
#[test]
fn parts_add_up() {
    let network = Network::new();
    for with in [
        &["--with=cassandra,traefik"][..],
        &["--with=traefik", "--with=cassandra"],
    ] {
        // Both parts' ports are looked at: the two that are given are the same.
        let up = [&["up"][..], with, &["--ports=cassandra=1,traefik=1"]].concat();
        fails(&network, &up, 1, "two programs have the port 1");
    }
}

/// The answer of a server that has this certificate.
fn fetch_by_tls(url: &str, certificate: &str) -> String {
    let mut settings = client::Settings::new("test", Duration::from_secs(10));
    settings.tls.ca = Some(certificate.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let body = runtime.block_on(async {
        let answer = client::client(&settings).unwrap().get(url).send().await;
        client::body(answer.unwrap(), 1 << 20).await.unwrap()
    });
    String::from_utf8(body).unwrap()
}

/// Another program's configuration: the real Slack and mail server take the place of the inbox, and secrets stay in one file.
#[test]
fn real_receivers_of_config_json() {
    let network = Network::new();
    let slack = testkit::Upstream::start(vec![testkit::Answer::ok("ok")]);
    let config = network.folder.path().join("config.json");
    fs::write(
        &config,
        format!(
            "{{\"slack_webhook_url\": \"{}\"}}",
            slack.url("/services/T0/hunter2")
        ),
    )
    .unwrap();
    let ended = network.run(&[
        "local",
        "up",
        PORTS,
        "--config",
        &config.display().to_string(),
    ]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("warning: ")
            && ended
                .stderr
                .contains("slack_webhook_url stand in a file that others can read"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stdout.contains("Slack: the webhook of config.json"),
        "{}",
        ended.stdout
    );
    network.good(&["alerts", "test"]);
    let heard = slack.heard();
    assert_eq!(heard.len(), 2);
    assert!(
        heard[0].line.starts_with("POST /services/T0/hunter2")
            && heard[0].body.contains("[FIRING:1] ProvisionerTest")
    );
    // The secret is in the one file that needs it, which nobody else can read.
    let mut with_secret = Vec::new();
    walk(&network.state(), &mut |path| {
        if fs::read(path).is_ok_and(|it| it.windows(7).any(|it| it == b"hunter2")) {
            with_secret.push(path.file_name().unwrap().to_owned());
        }
    });
    assert_eq!(with_secret, ["alert-router.yml"]);
    let said = network.get("alert-router", "/api/v2/status");
    assert!(
        !said.contains("hunter2") && said.contains("<secret>"),
        "{said}"
    );
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, visit);
        } else if path.is_file() {
            visit(&path);
        }
    }
}

/// A state folder on a disk without room.
#[test]
fn a_full_disk_is_found_before_anything_starts() {
    if !rustix::process::geteuid().is_root() {
        return skip("a full disk of one's own needs root to mount it");
    }
    let network = Network::new();
    let folder = network.folder.path().join("full");
    fs::create_dir(&folder).unwrap();
    let mounted = Program::at("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .args([&folder])
        .run();
    if !mounted.status.success() {
        return skip("this machine does not let root mount a tmpfs");
    }
    let ended = Program::new("provisioner")
        .args(["local", "up", PORTS, "--state-dir"])
        .args([folder.join("state")])
        .run();
    let left = fs::read_dir(folder.join("state"))
        .unwrap()
        .flatten()
        .map(|it| it.file_name())
        .collect::<Vec<_>>();
    let unmounted = Program::at("umount").args([&folder]).run();
    assert!(unmounted.status.success(), "{}", unmounted.stderr);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("cannot use the state folder")
            && ended.stderr.contains("No space left on device"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        left,
        ["logs"],
        "an empty folder for logs is all that may be left"
    );
}

/// A Grafana on the machine is started with everything provisioned; a script stands for it.
#[test]
fn grafana_is_started_when_it_is_there() {
    let network = Network::new();
    let bin = network.folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let script = bin.join("grafana-server");
    // It answers at the port of the configuration that it is given, as Grafana would, through another program of ours.
    let exporter = binary("cassandra-exporter");
    let text = format!(
        "#!/bin/sh\nconfig=${{2#--config=}}\nport=$(sed -n 's/^http_port = //p' \"$config\")\nexec {} --web.listen-address=127.0.0.1:$port --web.telemetry-path=/api/health\n",
        exporter.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let ended = Program::new("provisioner")
        .args(["local", "up", PORTS])
        .env("PATH", path)
        .env("PROVISIONER_LOCAL_STATE_DIR", network.state())
        .run();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stdout.contains("grafana") && !ended.stdout.contains("import"),
        "{}",
        ended.stdout
    );
    let grafana = network.program("grafana");
    assert_eq!(grafana["healthy"], true);
    let provisioning = network.state().join("grafana/provisioning");
    let datasource = fs::read_to_string(provisioning.join("datasources/prometheus.yml")).unwrap();
    assert!(
        datasource.contains(network.program("prometheus")["url"].as_str().unwrap()),
        "{datasource}"
    );
    assert!(provisioning.join("dashboards/files.yml").is_file());
    assert!(network.state().join("dashboards/node.json").is_file());
    let rules = fs::read_to_string(network.state().join("rules/host.rules.yml")).unwrap();
    assert!(
        rules.contains(&format!(
            "{}/d/scalardl-node",
            grafana["url"].as_str().unwrap()
        )),
        "{rules}"
    );
}
