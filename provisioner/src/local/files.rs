//! What the programs of the local network read: configurations, rules, dashboards. And their command lines.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, bail};
use daemon::Secret;

use super::{
    Extra, cassandra, ledger,
    network::{Ports, further_ports, host_name, ours},
    state::{Health, Network, ProgramSpec, State},
    traefik,
};
use crate::{
    alerting::{self, Mail, Pace, Ways, quoted},
    config::Config,
    exec::{self, shell_word},
};

/// Files by their path in the state folder, and what is to run on them.
pub(super) struct Plan {
    pub(super) files: BTreeMap<String, String>,
    pub(super) network: Network,
    /// What to tell a person who has no Grafana here.
    pub(super) hint: Option<String>,
}

/// Groups of rules, and the parts that they are about.
const GROUPS: &[(&str, Extra)] = &[("cassandra", Extra::Cassandra), ("traefik", Extra::Traefik)];
/// Nobody waits for minutes to see an alert of the local network.
const AT_ONCE: [&str; 3] = ["AgentDown", "HostDown", "LedgerDown"];

/// Works out everything; nothing is written or started.
pub(super) fn plan(
    state: &State,
    config: &Config,
    with: &[Extra],
    ports: &Ports,
) -> anyhow::Result<Plan> {
    let inbox_url = url(ports.get("inbox"));
    let mut files = BTreeMap::new();
    let rendered = dashboards::render(&dashboards::Settings {
        runbook_base_url: config.text("runbook_base_url").map_or_else(
            || format!("{inbox_url}/runbooks"),
            |it| it.trim_end_matches('/').to_owned(),
        ),
        dashboard_base_url: grafana().map(|_| url(ports.get("grafana"))),
        thresholds: thresholds(config)?,
        repairs: vec!["start"],
        without: GROUPS
            .iter()
            .filter(|it| !with.contains(&it.1))
            .map(|it| it.0)
            .collect(),
    });
    files.insert("rules/expected.rules.yml".to_owned(), expected(with));
    for file in rendered.rules {
        files.insert(format!("rules/{}", file.name), file.text);
    }
    for file in rendered.grafana {
        files.insert(format!("dashboards/{}", file.name), file.text);
    }
    files.insert("prometheus.yml".to_owned(), prometheus_yml(ports, with));
    let (alert_router, notifications) = alert_router_yml(state, config, ports)?;
    files.insert("alert-router.yml".to_owned(), alert_router);
    let mut programs = vec![
        spec(
            ports,
            "inbox",
            "/-/healthy",
            inbox(state, ports)?,
            &files,
            &[],
        ),
        spec(
            ports,
            "alert-router",
            "/-/ready",
            alert_router_command(state, ports)?,
            &files,
            &["alert-router.yml"],
        ),
        spec(
            ports,
            "node-exporter",
            "/-/healthy",
            node_exporter(ports)?,
            &files,
            &[],
        ),
        spec(
            ports,
            "prometheus",
            "/-/ready",
            prometheus(state, ports)?,
            &files,
            &["prometheus.yml", "rules/"],
        ),
    ];
    if with.contains(&Extra::Cassandra) {
        files.extend(cassandra::files(state, ports)?);
        programs.extend(cassandra::programs(state, ports, &files)?);
    }
    if with.contains(&Extra::Ledger) {
        let has_cassandra = with.contains(&Extra::Cassandra);
        if has_cassandra {
            files.extend(ledger::files(ports));
        }
        programs.push(ledger::program(state, ports, &files, has_cassandra)?);
    }
    if with.contains(&Extra::Traefik) {
        files.extend(traefik::files(state, ports, with.contains(&Extra::Ledger))?);
        programs.extend(traefik::programs(state, ports, &files)?);
    }
    let mut hint = None;
    match grafana() {
        Some(program) => {
            for (name, text) in grafana_files(state, config, ports) {
                files.insert(name, text);
            }
            let home = grafana_home(&program);
            let command = vec![
                program.display().to_string(),
                format!("--homepath={home}"),
                format!("--config={}", state.path("grafana/grafana.ini").display()),
            ];
            programs.push(spec(
                ports,
                "grafana",
                "/api/health",
                command,
                &files,
                &["grafana/", "dashboards/"],
            ));
        }
        None => {
            let folder = state.path("dashboards");
            hint = Some(format!(
                "Grafana is not on this machine. To see the dashboards in one, import {}/*.json there (Dashboards, New, Import)",
                folder.display()
            ));
        }
    }
    Ok(Plan {
        files,
        network: Network {
            programs,
            notifications,
        },
        hint,
    })
}

pub(super) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

pub(super) fn spec(
    ports: &Ports,
    name: &str,
    health: &str,
    command: Vec<String>,
    files: &BTreeMap<String, String>,
    reads: &[&str],
) -> ProgramSpec {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (path, text) in files
        .iter()
        .filter(|(path, _)| reads.iter().any(|it| path.starts_with(it)))
    {
        for byte in path.bytes().chain(text.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    let port = ports.get(name);
    ProgramSpec {
        name: name.to_owned(),
        port,
        further_ports: further_ports(name)
            .iter()
            .map(|it| ((*it).to_owned(), ports.get(it)))
            .collect(),
        command,
        url: url(port),
        health: Health::Path(health.to_owned()),
        files: hash,
    }
}

fn inbox(state: &State, ports: &Ports) -> anyhow::Result<Vec<String>> {
    Ok(vec![
        crate::own_path()?.display().to_string(),
        "local".to_owned(),
        "serve-inbox".to_owned(),
        format!("--http={}", ports.get("inbox")),
        format!("--smtp={}", ports.get("inbox-smtp")),
        format!("--file={}", state.path("inbox.jsonl").display()),
    ])
}

fn alert_router_command(state: &State, ports: &Ports) -> anyhow::Result<Vec<String>> {
    let port = ports.get("alert-router");
    Ok(vec![
        ours("alert-router")?.display().to_string(),
        format!("--config.file={}", state.path("alert-router.yml").display()),
        format!("--storage.path={}", state.path("alert-router").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        format!("--web.external-url={}", url(port)),
    ])
}

fn node_exporter(ports: &Ports) -> anyhow::Result<Vec<String>> {
    let mut command = vec![
        ours("node-exporter")?.display().to_string(),
        format!(
            "--web.listen-address=127.0.0.1:{}",
            ports.get("node-exporter")
        ),
    ];
    // Services are shown where there is a system bus to ask.
    if std::path::Path::new("/run/dbus/system_bus_socket").exists()
        && std::path::Path::new("/run/systemd/system").exists()
    {
        command.push("--collector.systemd".to_owned());
    }
    Ok(command)
}

fn prometheus(state: &State, ports: &Ports) -> anyhow::Result<Vec<String>> {
    let port = ports.get("prometheus");
    let found = parts::find("prometheus")?;
    let mut command = vec![
        found.path.display().to_string(),
        format!("--config.file={}", state.path("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", state.path("prometheus").display()),
        "--storage.tsdb.retention.time=7d".to_owned(),
        "--storage.tsdb.retention.size=1GB".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
        format!("--web.external-url={}", url(port)),
        "--web.enable-lifecycle".to_owned(),
    ];
    if let Some(root) = found.root {
        // Debian's program looks for its pages where its package would have put them.
        command.push(format!(
            "--web.local-assets={}/",
            root.join("usr/share/prometheus/web").display()
        ));
        command.push(format!(
            "--web.console.templates={}",
            root.join("etc/prometheus/consoles").display()
        ));
        command.push(format!(
            "--web.console.libraries={}",
            root.join("etc/prometheus/console_libraries").display()
        ));
    }
    Ok(command)
}

fn prometheus_yml(ports: &Ports, with: &[Extra]) -> String {
    let host = quoted(&host_name());
    let mut text = format!(
        "# Written by `provisioner local up`; changes are lost.\nglobal:\n  scrape_interval: 5s\n  scrape_timeout: 4s\n  evaluation_interval: 5s\n  external_labels:\n    environment: local\nrule_files: [rules/*.yml]\nalerting:\n  alertmanagers:\n  - static_configs:\n    - targets: ['127.0.0.1:{}']\nscrape_configs:\n",
        ports.get("alert-router")
    );
    let mut jobs = vec![
        ("node", "node-exporter"),
        ("prometheus", "prometheus"),
        ("alert-router", "alert-router"),
        ("inbox", "inbox"),
    ];
    if with.contains(&Extra::Cassandra) {
        jobs.push(("cassandra", "cassandra-exporter"));
    }
    if with.contains(&Extra::Traefik) {
        // Its own metrics are Traefik's, whose removed routers show for one scrape: so the exporter does not pass them.
        jobs.extend([
            ("traefik", "traefik"),
            ("traefik-exporter", "traefik-exporter"),
        ]);
    }
    let mut add = |job: &str, path: &str, port: u16, program: &str| {
        text.push_str(&format!(
            "- job_name: {job}\n{path}  static_configs:\n  - targets: ['127.0.0.1:{port}']\n    labels: {{instance: {host}, program: {program}, cluster: local}}\n"
        ));
    };
    for (job, program) in jobs {
        add(job, "", ports.get(program), program);
    }
    if with.contains(&Extra::Ledger) {
        // As on the monitor of a real network.
        let path = format!("  metrics_path: {}\n", ledger::METRICS);
        add("scalardl", &path, ports.get("ledger"), "scalardl-ledger");
    }
    text
}

/// When alerts fire here: as on hosts, but for those that people want to see in a trial.
fn thresholds(config: &Config) -> anyhow::Result<BTreeMap<String, dashboards::Threshold>> {
    let mut thresholds = alerting::thresholds(config)?;
    let own: Vec<&str> = config.named("alerts").map(|it| it.0).collect();
    for name in AT_ONCE.iter().filter(|it| !own.contains(it)) {
        if let Some(threshold) = thresholds.get_mut(*name) {
            "30s".clone_into(&mut threshold.r#for);
        }
    }
    Ok(thresholds)
}

/// What should be there, as on hosts (`roles/monitor/expected.rs`): this one host, and a Cassandra of one node.
fn expected(with: &[Extra]) -> String {
    let host = quoted(&host_name());
    let mut text = format!(
        "# Written by `provisioner local up`; changes are lost.\ngroups:\n- name: scalar_dl.expected\n  rules:\n  - record: scalar_dl:expected_host\n    expr: vector(1)\n    labels: {{cluster: local, instance: {host}, role: local, target: '127.0.0.1:22'}}\n"
    );
    if with.contains(&Extra::Cassandra) {
        text.push_str("  - record: scalar_dl:expected_hosts\n    expr: vector(1)\n    labels: {cluster: local, role: cassandra}\n");
    }
    text
}

/// The configuration of alert-router, and where notifications go, for people.
fn alert_router_yml(
    state: &State,
    config: &Config,
    ports: &Ports,
) -> anyhow::Result<(String, Vec<String>)> {
    let mut notifications = Vec::new();
    // Nobody is paged by a trial.
    let mut ways = Ways {
        pagerduty: None,
        heartbeat: None,
        ..Ways::of(config)?
    };
    if ways.slack.is_some() {
        notifications.push("Slack: the webhook of config.json".to_owned());
    } else {
        notifications.push("Slack: the inbox".to_owned());
        let inbox = format!("{}/slack", url(ports.get("inbox")));
        ways.slack = Some(Secret::new(inbox));
    }
    if let Some(mail) = &ways.mail {
        notifications.push(format!("mail: {}, by {}", mail.to, mail.smarthost));
    } else {
        notifications.push("mail: the inbox".to_owned());
        ways.mail = Some(Mail {
            smarthost: format!("127.0.0.1:{}", ports.get("inbox-smtp")),
            from: "alert-router@localhost.localdomain".to_owned(),
            to: "operator@localhost.localdomain".to_owned(),
            login: None,
            require_tls: false,
        });
    }
    let pace = Pace {
        wait: "5s",
        interval: "10s",
        digest: None,
    };
    let repairs = [("start", repair_line(state)?)];
    let text = alerting::configuration("provisioner local up", &ways, pace, &repairs);
    Ok((text, notifications))
}

/// `…/provisioner local start {program}`: a line that works wherever it is pasted.
fn repair_line(state: &State) -> anyhow::Result<String> {
    let own = crate::own_path()?;
    let own = own
        .to_str()
        .context("the path of this program is no UTF-8")?;
    let mut line = format!("{} local start", shell_word(own));
    if state.named {
        let folder = state
            .folder
            .to_str()
            .context("the path of the state folder is no UTF-8")?;
        line.push_str(&format!(" --state-dir {}", shell_word(folder)));
    }
    if line.contains(['{', '}']) {
        bail!("the paths of this program and of the state folder must have no braces: {line}");
    }
    Ok(line + " {program}")
}

/// Grafana's server, when the machine has one.
fn grafana() -> Option<PathBuf> {
    parts::on_path("grafana-server")
}

/// Where Debian and the archives keep what belongs to the program.
fn grafana_home(program: &std::path::Path) -> String {
    let beside = program
        .parent()
        .and_then(|it| it.parent())
        .filter(|it| it.join("conf/defaults.ini").is_file());
    beside.map_or_else(
        || "/usr/share/grafana".to_owned(),
        |it| it.display().to_string(),
    )
}

fn grafana_files(state: &State, config: &Config, ports: &Ports) -> Vec<(String, String)> {
    let password = config
        .secret("grafana_password")
        .map_or("admin", |it| it.expose());
    let folder = |name: &str| state.path(name).display().to_string();
    vec![
        (
            "grafana/grafana.ini".to_owned(),
            format!(
                "[paths]\ndata = {}\nlogs = {}\nprovisioning = {}\n[server]\nhttp_addr = 127.0.0.1\nhttp_port = {}\n[security]\nadmin_password = \"\"\"{password}\"\"\"\n[analytics]\nreporting_enabled = false\ncheck_for_updates = false\n",
                folder("grafana/data"),
                folder("grafana/logs"),
                folder("grafana/provisioning"),
                ports.get("grafana")
            ),
        ),
        (
            "grafana/provisioning/datasources/prometheus.yml".to_owned(),
            format!(
                "apiVersion: 1\ndatasources:\n- {{name: Prometheus, uid: prometheus, type: prometheus, access: proxy, url: '{}', isDefault: true, jsonData: {{timeInterval: 5s}}}}\n",
                url(ports.get("prometheus"))
            ),
        ),
        (
            "grafana/provisioning/dashboards/files.yml".to_owned(),
            format!(
                "apiVersion: 1\nproviders:\n- {{name: scalar-dl, type: file, folder: Scalar DL, options: {{path: {}}}}}\n",
                quoted(&folder("dashboards"))
            ),
        ),
    ]
}

/// Holds the written files against Prometheus' own checker.
pub(super) fn check(state: &State) -> anyhow::Result<()> {
    let promtool = parts::find("promtool")?;
    let output = exec::command(promtool.path)
        .args(["check", "config"])
        .arg(state.path("prometheus.yml"))
        .output()
        .context("cannot start promtool")?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!(
            "promtool refuses the written configuration: {}",
            String::from_utf8_lossy(&text).trim()
        );
    }
    Ok(())
}
