//! What operators look with, on real machines: an environment that is well, then each thing broken, and ways to the nodes.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::{Running, binary, eventually};

use crate::operator::{INBOX, Operator};

/// Long enough for whatever is seen with the next scrape.
const SOON: Duration = Duration::from_secs(60);

/// A bastion, a host, Traefik's node and a monitor, with everything installed but Grafana.
fn monitored() -> Option<Operator> {
    let operator = Operator::start(&["host", "traefik", "monitor"])?;
    for program in ["alert-router", "traefik-exporter"] {
        assert!(binary(program).is_file());
    }
    operator.watch("n3", &json!({}));
    operator.ends(&["install"], 0);
    Some(operator)
}

/// What a command reports in JSON, and whether it found all well.
#[track_caller]
fn report(operator: &Operator, arguments: &[&str]) -> (bool, Value) {
    let ended = operator.run(&[arguments, &["--json"]].concat());
    let is_well = match ended.status.code() {
        Some(0) => true,
        Some(1) => false,
        other => panic!("{arguments:?} ended with {other:?}: {}", ended.stderr),
    };
    let report = serde_json::from_str(&ended.stdout);
    let report = report.unwrap_or_else(|it| panic!("{it}: {}{}", ended.stdout, ended.stderr));
    (is_well, report)
}

/// The part of a list whose keys have these values.
#[track_caller]
fn find<'a>(list: &'a Value, wanted: &[(&str, &str)]) -> &'a Value {
    let is = |it: &&Value| wanted.iter().all(|(key, value)| it[key] == *value);
    let found = list.as_array().unwrap().iter().find(is);
    found.unwrap_or_else(|| panic!("no {wanted:?} in {list:#}"))
}

/// Of a folder of temporary files nothing is left, and no ssh that has something there.
#[track_caller]
fn nothing_is_left(operator: &Operator, folder: &str) {
    let folder = operator.path(folder);
    let left: Vec<_> = fs::read_dir(&folder).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let folder = folder.display().to_string();
    // One that is asked to end takes a moment.
    eventually("no ssh is left", Duration::from_secs(10), || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|it| fs::read(it.path().join("cmdline")).ok());
        let mut lines = lines.map(|it| String::from_utf8_lossy(&it).into_owned());
        (!lines.any(|it| it.starts_with("ssh") && it.contains(&folder))).then_some(())
    });
}

/// A file's text, once it has this in it.
#[track_caller]
pub(crate) fn text_with(path: &Path, text: &str) -> String {
    eventually(text, SOON, || {
        let found = fs::read_to_string(path).unwrap_or_default();
        found.contains(text).then_some(found)
    })
}

/// Ctrl-C, and the exit code.
pub(crate) fn interrupt(running: Running) -> Option<i32> {
    running.signal(Signal::INT);
    running.ended().code()
}

#[test]
fn well_broken_and_mended() {
    let Some(operator) = monitored() else {
        return;
    };
    // An alert's end takes a minute: the other commands go on meanwhile.
    let (verifying, verified) = operator.begin(&["verify", "--json"], "verified");
    status_of_what_is_well(&operator);
    doctor_of_what_is_well(&operator);
    logs(&operator);
    shells(&operator);
    opened(&operator);
    let steps = eventually("verified", Duration::from_secs(180), || {
        serde_json::from_str::<Value>(&fs::read_to_string(&verified).unwrap()).ok()
    });
    assert!(verifying.ended().success(), "{steps:#}");
    verified_all(&steps);
    nothing_is_left(&operator, "verified.t");

    broken(&operator);
    gone(&operator);
}

fn status_of_what_is_well(operator: &Operator) {
    let (is_well, environments) = report(operator, &["status"]);
    assert!(is_well, "{environments:#}");
    let environment = &environments[0];
    assert_eq!(environment["problem"], Value::Null);
    assert_eq!(environment["changed_by"], Value::Null);
    assert_eq!(environment["last_change"]["result"], "done");
    let nodes = &environment["nodes"];
    assert_eq!(nodes.as_array().unwrap().len(), 4);
    let node = find(nodes, &[("name", "n3")]);
    assert_eq!(
        (&node["zone"], &node["roles"]),
        (&json!("z3"), &json!(["monitor"]))
    );
    let service = find(&node["services"], &[("name", "alert-router")]);
    assert_eq!(
        (
            &service["state"],
            &service["is_healthy"],
            &service["restarts"]
        ),
        (&json!("active"), &json!(true), &json!(0))
    );
    assert_eq!(service["version"], env!("CARGO_PKG_VERSION"));
    assert!(service["since"].is_string(), "{service}");
    assert!(
        node["disk"]["free_bytes"].as_u64() > Some(1 << 20),
        "{node}"
    );
    assert!(node["certificate_ends"].is_string(), "{node}");
    let change = node["last_change"]["result"].as_str().unwrap();
    assert!(change.starts_with("changed: "), "{change}");

    // Several, of which one is none.
    let other = operator.path("other").display().to_string();
    let env = operator.path("env").display().to_string();
    // Somebody changes it at the moment.
    let lock = fs::File::options()
        .write(true)
        .open(operator.path("env/lock"))
        .unwrap();
    lock.lock().unwrap();
    let said = operator.ends(&["status", &env, &other], 1);
    for expect in [
        &format!("{env}: install by "),
        "is being changed by ",
        &format!("{other}\nnot all is known: "),
        "n2       traefik  z2    i-00000002  node-exporter            healthy",
        "node-exporter-ebs.timer  active ",
    ] {
        assert!(said.contains(expect), "{expect}: {said}");
    }
    nothing_is_left(operator, "tmp");
}

fn doctor_of_what_is_well(operator: &Operator) {
    let (_, found) = report(operator, &["doctor"]);
    let checks = &found["checks"];
    // Where many machines run, the kernel has too few watches for all units of the system.
    let is_bad = |it: &&Value| it["is_problem"] == true && it["check"] != "failed units";
    let bad: Vec<_> = checks.as_array().unwrap().iter().filter(is_bad).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    for (node, check, expect) in [
        ("bastion", "ports", "ours listen on 10.91.0.10 alone"),
        ("n1", "drift", "it has what it should"),
        (
            "n2",
            "services",
            "healthy: node-exporter-ebs.timer, node-exporter, traefik-exporter",
        ),
        ("n3", "targets", "7 are scraped"),
    ] {
        let check = find(checks, &[("node", node), ("check", check)]);
        assert_eq!(check["what"], expect);
    }
    nothing_is_left(operator, "tmp");
}

fn logs(operator: &Operator) {
    let said = operator.ends(&["logs", "n3", "prometheus", "-n", "500"], 0);
    assert!(
        said.contains("Server is ready to receive web requests"),
        "{said}"
    );
    let said = operator.ends(&["logs", "n2", "--since", "1 hour ago"], 0);
    for expect in ["node-exporter[", "traefik-exporter["] {
        assert!(said.contains(expect), "{expect}: {said}");
    }
    for (arguments, expect) in [
        (
            &["logs", "n1", "prometheus"][..],
            "n1: it runs no prometheus; it runs node-exporter-ebs.timer node-exporter-ebs node-exporter",
        ),
        (
            &["logs", "n1", "--since", "soon"],
            "n1: Failed to parse timestamp: soon",
        ),
        (
            &["logs", "n9"],
            "n9 is none of this environment's nodes, which are bastion, n1, n2, n3",
        ),
    ] {
        let said = operator.ends(arguments, 1);
        assert!(said.contains(expect), "{said}");
    }
    // The reader has had enough.
    let ended = operator
        .by("bash".as_ref())
        .args(["-c", "\"$@\" | head -n 1; echo ${PIPESTATUS[0]}", "bash"])
        .args([binary("provisioner").as_os_str(), "-e".as_ref()])
        .args([operator.path("env").as_os_str(), "logs".as_ref()])
        .args(["n3", "-n", "1000"])
        .run();
    assert_eq!(
        (ended.stdout.lines().count(), ended.stderr.as_str()),
        (2, "")
    );
    assert!(ended.stdout.ends_with("\n0\n"), "{}", ended.stdout);
    // What comes is shown, until somebody interrupts; nothing goes on over there.
    let (following, log) = operator.begin(&["logs", "n2", "node-exporter", "--follow"], "log");
    text_with(&log, "node-exporter");
    operator.shell("n2", "systemctl restart node-exporter");
    text_with(&log, "Stopping node-exporter.service");
    assert_eq!(interrupt(following), Some(0));
    eventually("no journalctl there", SOON, || {
        let (is_there, _) = operator.hosts.shell("n2", "pgrep -x journalctl");
        (!is_there).then_some(())
    });
    for folder in ["tmp", "log.t"] {
        nothing_is_left(operator, folder);
    }
}

fn shells(operator: &Operator) {
    let ended = operator.run(&["ssh", "n2", "hostname; whoami; exit 7"]);
    assert_eq!(
        (ended.status.code(), ended.stdout.as_str()),
        (Some(7), "n2\nadmin\n")
    );
    let ended = operator.run(&["ssh", "bastion", "echo", "-n", "$HOME"]);
    assert_eq!(
        (ended.status.code(), ended.stdout.as_str()),
        (Some(0), "/home/admin")
    );
    // On a terminal there is one over there.
    let provisioner = binary("provisioner").display().to_string();
    let command = format!(
        "{provisioner} -e {} ssh n1 tty",
        operator.path("env").display()
    );
    let ended = operator
        .by("script".as_ref())
        .args(["-qec", &command, "/dev/null"])
        .run();
    assert!(
        ended.status.success() && ended.stdout.contains("/dev/pts/"),
        "{ended:?}"
    );
    nothing_is_left(operator, "tmp");
}

fn opened(operator: &Operator) {
    let ca = operator.path("env/pki/ca.crt").display().to_string();
    let secret = operator.path("env/secrets/operator");
    let password = fs::read_to_string(&secret).unwrap().trim().to_owned();
    let (open, said) = operator.begin(&["open", "prometheus"], "opened");
    let text = text_with(&said, "Ctrl-C closes it");
    assert!(
        text.starts_with("https://127.0.0.1:9090/ is prometheus on n3\n"),
        "{text}"
    );
    let how = format!("user operator, password in {}\n", secret.display());
    assert!(text.contains(&how) && text.contains(&ca), "{text}");
    assert!(!text.contains(&password), "{text}");
    // As a browser that trusts the authority does. The port is taken by then; another way gets another.
    assert_eq!(
        get(operator, "https://127.0.0.1:9090/-/ready", &password),
        200
    );
    assert_eq!(
        get(operator, "https://127.0.0.1:9090/-/ready", "another"),
        401
    );
    let (other, said) = operator.begin(&["open", "prometheus"], "opened-too");
    let text = text_with(&said, "Ctrl-C closes it");
    assert!(!text.contains(":9090/ is"), "{text}");
    assert_eq!(interrupt(other), Some(0));
    let said = operator.ends(&["open", "prometheus", "--port", "9090"], 1);
    assert!(
        said.contains("port 9090 of this machine is taken"),
        "{said}"
    );
    assert_eq!(interrupt(open), Some(0));

    let (open, said) = operator.begin(&["open", "alerts", "--port", "9999"], "alerts");
    text_with(&said, "https://127.0.0.1:9999/ is alert-router on n3");
    assert_eq!(
        get(operator, "https://127.0.0.1:9999/-/ready", &password),
        200
    );
    assert_eq!(interrupt(open), Some(0));
    for (arguments, expect) in [
        (&["open", "grafana"][..], "this environment has no grafana"),
        (
            &["open", "alerts", "--monitor", "n1"],
            "n1 has no alert-router; it is on n3",
        ),
    ] {
        let said = operator.ends(arguments, 1);
        assert!(said.contains(expect), "{said}");
    }
    for folder in ["tmp", "opened.t", "opened-too.t", "alerts.t"] {
        nothing_is_left(operator, folder);
    }
}

fn get(operator: &Operator, url: &str, password: &str) -> u16 {
    operator.asks(|it| it.get(url), password).0
}

fn verified_all(steps: &Value) {
    for (step, node, what) in [
        ("targets", "n3", "7 are up"),
        (
            "alert",
            "n3",
            "told, and of the end, too: team by email after ",
        ),
        ("ports", "n1", "ours listen on 10.91.0.21 alone"),
        (
            "passwords",
            "n3",
            "asked for by node-exporter, alert-router, prometheus",
        ),
        ("outside", "bastion", "ours do not answer at 10.90.0.10"),
    ] {
        let step = find(steps, &[("step", step), ("node", node)]);
        assert_eq!(step["result"], "ok");
        assert!(step["what"].as_str().unwrap().starts_with(what), "{step}");
    }
    assert_eq!(find(steps, &[("step", "rules")])["result"], "ok");
    // It is not there, so nobody says that it works.
    assert_eq!(find(steps, &[("step", "dashboards")])["result"], "left_out");
}

/// Each of these breaks something else; one run names them all, and nothing besides.
fn broken(operator: &Operator) {
    operator.shell(
        "n1",
        "systemctl stop node-exporter; fallocate -l 1900M /var/full; systemd-run -q --unit=broken false",
    );
    operator.shell(
        "n2",
        "chmod 600 /etc/systemd/system/node-exporter.service; mkdir /etc/scalar-dl-monitoring/x; echo none >/etc/scalar-dl-monitoring/x/tls.crt
         printf '#!/bin/sh\\necho 1000000000\\n' >/usr/local/bin/date && chmod +x /usr/local/bin/date",
    );
    operator.shell(
        "n3",
        "systemctl stop inbox; mv /etc/scalar-dl-monitoring/prometheus/rules/host.rules.yml /srv/; systemctl reload prometheus",
    );
    for (host, address) in [("n2", "0.0.0.0:9200"), ("bastion", "10.90.0.10:9100")] {
        operator.shell(
            host,
            &format!("systemd-run -q --unit=open /opt/scalar-dl-monitoring/node-exporter/node-exporter --web.listen-address={address}"),
        );
    }
    let down = "node of n1 is down: ";
    eventually("Prometheus has noticed", SOON, || {
        let (_, found) = report(operator, &["doctor", "monitor"]);
        found.to_string().contains(down).then_some(())
    });
    let (is_well, steps) = report(operator, &["verify", "--timeout", "15"]);
    assert!(!is_well);
    let refused = "team by slack[0] (firing): failed ";
    let mut failed = Vec::new();
    for (step, node, expect) in [
        ("targets", "n3", vec![down]),
        (
            "rules",
            "n3",
            vec![
                "AgentDown of host.alerts in /etc/scalar-dl-monitoring/prometheus/rules/host.rules.yml should be there 1 times, and is 0 times",
            ],
        ),
        (
            "alert",
            "n3",
            vec!["team by email[0] (firing): failed ", refused],
        ),
        (
            "ports",
            "bastion",
            vec!["node-exporter listens on 10.90.0.10 port 9100, not on the private address alone"],
        ),
        (
            "ports",
            "n1",
            vec!["nothing listens on 10.91.0.21 port 9100, where node-exporter should"],
        ),
        ("passwords", "n1", vec!["node-exporter: "]),
        (
            "ports",
            "n2",
            vec!["node-exporter listens on 0.0.0.0 port 9200, not on the private address alone"],
        ),
        (
            "outside",
            "bastion",
            vec!["node-exporter (port 9100) answers from here"],
        ),
    ] {
        let found = find(&steps, &[("step", step), ("node", node)]);
        for expect in expect {
            let problems = found["problems"].to_string();
            assert!(problems.contains(expect), "{expect}: {problems}");
        }
        failed.push(found);
    }
    let others = steps.as_array().unwrap().iter();
    let others: Vec<_> = others
        .filter(|it| it["result"] == "failed" && !failed.contains(it))
        .collect();
    assert!(others.is_empty(), "{others:#?}");

    let (is_well, found) = report(operator, &["doctor"]);
    assert!(!is_well);
    let command = format!("provisioner -e {}", operator.path("env").display());
    for (node, check, what, todo) in [
        (
            "n1",
            "services",
            "node-exporter does not run: inactive (dead)",
            "start n1 node-exporter",
        ),
        ("n1", "disks", "/ has ", "ssh n1 'sudo du -xh"),
        (
            "n1",
            "drift",
            "install would restart node-exporter.service",
            "install n1",
        ),
        (
            "n2",
            "clock",
            "it is ",
            "ssh n2 'sudo timedatectl set-ntp true'",
        ),
        (
            "n2",
            "drift",
            "install would write /etc/systemd/system/node-exporter.service, restart",
            "install n2",
        ),
        (
            "n2",
            "ports",
            "node-exporter listens on 0.0.0.0 port 9200",
            "ssh n2 'sudo ss -ltnp'",
        ),
        (
            "n2",
            "certificates",
            "there is one that cannot be read",
            "install n2",
        ),
        ("n3", "targets", down, "doctor n1"),
        (
            "n3",
            "delivery",
            "the last message by email[0] to team did not arrive: ",
            "alerts test",
        ),
        (
            "n3",
            "drift",
            "install would write /etc/scalar-dl-monitoring/prometheus/rules/host.rules.yml",
            "install n3",
        ),
    ] {
        let line = find(&found["checks"], &[("node", node), ("check", check)]);
        assert_eq!(line["is_problem"], true, "{line}");
        let its = line["what"].as_str().unwrap();
        assert!(its.starts_with(what), "{line}");
        let its = line["todo"].as_str().unwrap();
        assert!(its.starts_with(&format!("{command} {todo}")), "{line}");
    }
    let what = "broken.service has failed, and is not started again";
    let line = find(&found["checks"], &[("node", "n1"), ("what", what)]);
    let todo = "ssh n1 'sudo journalctl -n 50 --no-pager -u broken.service'";
    assert_eq!(line["todo"], format!("{command} {todo}"));
    let said = operator.ends(&["status"], 1);
    for expect in [
        "n1: node-exporter does not run: inactive (dead)",
        "n1: / has ",
        "n2: there is one that cannot be read",
    ] {
        assert!(said.contains(expect), "{expect}: {said}");
    }
    mended(operator, &command);
}

/// What the diagnosis of the alert says mends the agent; `install` the rest.
fn mended(operator: &Operator, command: &str) {
    let said = operator.ends(&["doctor", "--alert", "AgentDown", "--instance", "n1"], 1);
    let next = said
        .lines()
        .find_map(|it| it.strip_prefix("next: "))
        .unwrap();
    let runbook = "/docs/runbooks/AgentDown.md";
    assert!(
        said.contains("runbook: https://") && said.contains(runbook),
        "{said}"
    );
    let words = next.strip_prefix(command).unwrap();
    let words: Vec<_> = words.split_whitespace().collect();
    let said = operator.ends(&words, 0);
    assert!(said.contains("n1: node-exporter healthy"), "{said}");
    let said = operator.ends(&["doctor", "--alert", "NoSuchAlert", "--instance", "n1"], 1);
    assert!(
        said.contains("there is no diagnosis of NoSuchAlert; its runbook is https://"),
        "{said}"
    );
    assert!(said.contains("/NoSuchAlert.md"), "{said}");

    operator.shell("n1", "rm /var/full");
    operator.shell(
        "n2",
        "rm /usr/local/bin/date; rm -r /etc/scalar-dl-monitoring/x; systemctl stop open",
    );
    operator.shell("bastion", "systemctl stop open");
    operator.shell("n3", INBOX);
    operator.ends(&["install"], 0);
    let (is_well, steps) = report(operator, &["verify", "--no-alert"]);
    assert!(is_well, "{steps:#}");
    assert_eq!(find(&steps, &[("step", "alert")])["result"], "left_out");
    nothing_is_left(operator, "tmp");
}

/// Nodes that go away, and one that hangs: what is known of the others is told within seconds.
fn gone(operator: &Operator) {
    let (following, _) = operator.begin(&["logs", "n2", "--follow"], "gone-log");
    let (open, said) = operator.begin(&["open", "alerts"], "gone-open");
    text_with(&said, "Ctrl-C closes it");
    text_with(&operator.path("gone-log"), "node-exporter");
    operator.hosts.kill("n2");
    let ended = |running: Running, expect: &str| {
        running.line(expect);
        assert_eq!(running.ended().code(), Some(1));
    };
    ended(following, "n2: there is no connection, or it broke off: ");
    operator.shell("n1", "kill -STOP $(pgrep -x sshd)");
    let begin = Instant::now();
    let (is_well, environments) = report(operator, &["status"]);
    let took = begin.elapsed();
    assert!(!is_well && took < Duration::from_secs(30), "{took:?}");
    let nodes = &environments[0]["nodes"];
    // On a machine that is busy the one that is down may be as late as the one that hangs.
    let late = "no answer within 10 s";
    let is_gone = |text: &str| text.starts_with("it cannot be reached: ") || text == late;
    for (node, hangs) in [("n1", true), ("n2", false)] {
        let node = find(nodes, &[("name", node)]);
        assert_eq!(node["is_reachable"], false);
        let problem = node["problems"][0].as_str().unwrap();
        assert!(
            if hangs {
                problem == late
            } else {
                is_gone(problem)
            },
            "{problem}"
        );
    }
    let well = find(nodes, &[("name", "n3")]);
    assert_eq!(
        (&well["is_reachable"], &well["problems"]),
        (&json!(true), &json!([]))
    );
    let (_, found) = report(operator, &["doctor", "n2"]);
    let line = find(&found["checks"], &[("node", "n2"), ("check", "ssh")]);
    assert!(is_gone(line["what"].as_str().unwrap()), "{line}");
    let (_, steps) = report(operator, &["verify", "--no-alert", "--timeout", "1"]);
    let step = find(&steps, &[("step", "ports"), ("node", "n2")]);
    assert_eq!(step["result"], "failed");
    let said = operator.ends(&["ssh", "n2", "true"], 255);
    assert!(said.contains("onnection"), "{said}");
    operator.shell("n1", "kill -CONT $(pgrep -x sshd)");

    // Without the bastion nobody is reached, and each says why.
    operator.hosts.kill("bastion");
    ended(open, "n3: the connection broke off: ");
    let (_, environments) = report(operator, &["status"]);
    let node = find(&environments[0]["nodes"], &[("name", "n3")]);
    assert_eq!(
        node["problems"][0],
        "it cannot be reached, as the way leads over bastion, which cannot be"
    );
    for folder in ["tmp", "gone-log.t", "gone-open.t"] {
        nothing_is_left(operator, folder);
    }
}
