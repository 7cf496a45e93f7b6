//! From Debian's node_exporter and Alertmanager to ours, and back.

use std::fs;

use serde_json::{Value, json};

use crate::operator::Operator;

const THEIRS: [&str; 2] = [
    "prometheus-alertmanager.service",
    "prometheus-node-exporter.service",
];

/// Installs theirs as their packages do.
fn theirs(operator: &Operator, host: &str) {
    let exporter = parts::fetch("prometheus-node-exporter").unwrap().path;
    let tools = parts::fetch("amtool").unwrap();
    let root = tools.root.unwrap();
    let router = root.join("usr/bin/prometheus-alertmanager");
    let templates = "usr/share/prometheus/alertmanager";
    for file in fs::read_dir(root.join(templates)).unwrap().flatten() {
        let path = file.path();
        if path.extension().is_some_and(|it| it == "tmpl") {
            let name = path.file_name().unwrap().to_str().unwrap();
            let copy = format!("mkdir -p /{templates} && cat >/{templates}/{name}");
            assert_eq!(operator.hosts.feed(host, &copy, &path), "");
        }
    }
    for (program, unit, arguments, more) in [
        (exporter, THEIRS[1], "", ""),
        (
            router,
            THEIRS[0],
            "--config.file=/etc/prometheus/alertmanager.yml --storage.path=/var/lib/alertmanager --cluster.listen-address=",
            "mkdir -p /etc/prometheus /var/lib/alertmanager; echo 'receivers: [{name: a}]\nroute: {receiver: a}' >/etc/prometheus/alertmanager.yml;",
        ),
    ] {
        let name = program.file_name().unwrap().to_str().unwrap();
        let install = format!(
            "cat >/usr/bin/{name} && chmod +x /usr/bin/{name}; {more} printf '[Service]\\nExecStart=/usr/bin/{name} {arguments}\\n[Install]\\nWantedBy=multi-user.target\\n' \
             >/lib/systemd/system/{unit} && systemctl daemon-reload && systemctl enable -q --now {unit}"
        );
        let said = operator.hosts.feed(host, &install, &program);
        assert_eq!(said, "", "{unit}");
    }
}

/// Which of theirs run, and are started with the machine.
fn running(operator: &Operator, host: &str) -> String {
    let command = format!(
        "for unit in {}; do echo $(systemctl is-active $unit) $(systemctl is-enabled $unit); done | sort -u; true",
        THEIRS.join(" ")
    );
    operator.shell(host, &command).trim().to_owned()
}

/// Says something to Alertmanager, without a program for it.
fn post(operator: &Operator, host: &str, path: &str, body: &Value) {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let file = operator.path("request");
    fs::write(&file, request).unwrap();
    let command = "for _ in $(seq 100); do bash -c 'exec 3<>/dev/tcp/127.0.0.1/9093 && cat >&3 && head -n 1 <&3' 2>/dev/null && break; sleep 0.1; done";
    let said = operator.hosts.feed(host, command, &file);
    let log = || {
        operator.shell(
            host,
            "journalctl -q -o cat -u prometheus-alertmanager | tail",
        )
    };
    assert!(said.contains(" 200 "), "{said}{}", log());
}

#[test]
fn beside_theirs_in_their_place_and_back() {
    let Some(operator) = Operator::start(&["monitor", "host"]) else {
        return;
    };
    assert!(testkit::binary("alert-router").is_file());
    theirs(&operator, "n1");
    let silence = json!({"matchers": [{"name": "instance", "value": "n2", "isRegex": false, "isEqual": true}],
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z", "createdBy": "somebody", "comment": "a disk is exchanged"});
    post(&operator, "n1", "/api/v2/silences", &silence);
    post(
        &operator,
        "n1",
        "/api/v2/alerts",
        &json!([{"labels": {"alertname": "Theirs"}}]),
    );
    let (active, inactive) = ("active enabled", "inactive disabled");

    // Their ports are taken.
    let leave_out = json!({"leave_out": ["grafana", "prometheus"]});
    operator.configure(&leave_out);
    let said = operator.ends(&["install"], 1);
    assert!(said.contains("n1: port 9"), "{said}");
    assert!(said.contains("is taken by prometheus-"), "{said}");

    // Beside them, on other ports; their silences are ours, and what they give is compared.
    let beside = json!({"leave_out": ["grafana", "prometheus"], "ports": {"node-exporter": 9200, "alert-router": 9193}});
    operator.configure(&beside);
    operator.ends(&["install"], 0);
    assert_eq!(running(&operator, "n1"), active);
    let alertmanager = "--alertmanager=http://127.0.0.1:9093";
    let said = operator.ends(&["move-in", "silences", alertmanager, "--dry-run"], 0);
    assert!(said.contains("1 would be set"), "{said}");
    let said = operator.ends(&["move-in", "silences", alertmanager], 0);
    assert!(said.contains("a disk is exchanged"), "{said}");
    let said = operator.ends(&["move-in", "silences", alertmanager], 0);
    assert_eq!(said, "0 set\n");
    let said = operator.ends(&["move-in", "compare", "n1", alertmanager, "--json"], 1);
    let compared: Value = serde_json::from_str(&said).unwrap();
    // The agent tells all that theirs does, but for disks in memory and an address, about which Debian's older one has another opinion.
    let (all, missing) = (&compared[0]["all"], &compared[0]["missing"]);
    assert!(all.as_u64().unwrap() > 200, "{said}");
    let missing: Vec<_> = missing.as_object().unwrap().keys().collect();
    let expected = |it: &str| it.starts_with("node_disk_") || it == "node_network_info";
    let others: Vec<_> = missing.iter().filter(|it| !expected(it.as_str())).collect();
    assert!(missing.len() < 30 && others.is_empty(), "{others:?} {said}");
    assert_eq!(compared[1]["missing"]["Theirs"]["count"], 1, "{said}");

    // In their place: the first try has a program that does not run, and they have their place again.
    let broken = operator.path("broken");
    fs::write(&broken, "#!/bin/sh\nexit 1\n").unwrap();
    let instead = |more: Value| {
        let mut config = json!({"leave_out": ["grafana", "prometheus"], "replaces": THEIRS});
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        operator.configure(&config);
    };
    instead(json!({"artifacts": {"alert-router": {"path": broken, "version": "9.0.0"}}}));
    let said = operator.ends(&["install", "n1"], 1);
    assert!(said.contains("It has what it had before again"), "{said}");
    assert_eq!(running(&operator, "n1"), active);
    instead(json!({}));
    let said = operator.ends(&["install", "--dry-run"], 2);
    assert!(
        said.contains("n1: stop, for ours takes its place: prometheus-node-exporter.service"),
        "{said}"
    );
    operator.ends(&["install"], 0);
    assert_eq!(running(&operator, "n1"), inactive);
    let listening = operator.shell("n1", "ss -Hltn | awk '{print $4}' | sort");
    assert_eq!(listening.matches("10.91.0.21:9").count(), 2, "{listening}");
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("0 differ"), "{said}");

    // And back; then again, and away with ours.
    operator.configure(&beside);
    operator.ends(&["install"], 0);
    assert_eq!(running(&operator, "n1"), active);
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("0 differ"), "{said}");
    instead(json!({}));
    operator.ends(&["install"], 0);
    assert_eq!(running(&operator, "n1"), inactive);
    operator.ends(&["uninstall", "--yes"], 0);
    assert_eq!(running(&operator, "n1"), active);
}
