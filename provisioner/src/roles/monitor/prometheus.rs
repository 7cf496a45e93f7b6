//! Prometheus: whom it scrapes and how, what it keeps, and whom it tells.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    super::{OPERATOR, PROMETHEUS, Place, Service, port, prefix, roles_of, socket},
    alert_routers, expected, keeping, kept, monitors, prometheuses, url,
};
use crate::{
    alerting::quoted,
    config::Object,
    desired::CONFIGURATION,
    network::{Network, Node, Role},
};

const NAME: &str = "prometheus";
const FILE: &str = "prometheus.yml";
const UNIT: &str = include_str!("../../../data/units/prometheus.service");

/// What is scraped, sorted by job.
const JOBS: &[Job] = &[
    Job {
        name: "alert-router",
        program: "alert-router",
        password: "alerts.password",
        path: None,
        pace: None,
    },
    Job {
        name: "cassandra",
        program: "cassandra-exporter",
        password: "scrape.password",
        path: None,
        // Of thousands of tables it takes longer than others.
        pace: Some(("30s", "20s")),
    },
    Job {
        name: "node",
        program: "node-exporter",
        password: "scrape.password",
        path: None,
        pace: None,
    },
    Job {
        name: "prometheus",
        program: "prometheus",
        password: "scrape.password",
        path: None,
        pace: None,
    },
    Job {
        name: "traefik",
        program: "traefik-exporter",
        password: "scrape.password",
        path: None,
        pace: None,
    },
    // Traefik's own, which the exporter passes on.
    Job {
        name: REQUESTS,
        program: "traefik-exporter",
        password: "scrape.password",
        path: Some("/traefik/metrics"),
        pace: None,
    },
];

/// How many requests Traefik took, and what became of them.
const REQUESTS: &str = "traefik-requests";

/// The ledgers' own metrics, which have neither TLS nor a password.
const LEDGERS: &str = "scalardl";
const LEDGER_PORT: u16 = 8080;
const LEDGER_PATH: &str = "/stats/prometheus";

struct Job {
    name: &'static str,
    program: &'static str,
    /// The file with the password of the user `prometheus` there.
    password: &'static str,
    /// Where its metrics are, when not at /metrics.
    path: Option<&'static str>,
    /// Interval and timeout, when they are not the usual ones.
    pace: Option<(&'static str, &'static str)>,
}

pub(super) fn add(
    place: &mut Place<'_>,
    disk: Option<&str>,
    rules: Vec<dashboards::File>,
) -> anyhow::Result<()> {
    let state = kept(place, NAME, disk);
    let mut arguments = vec![
        format!("--config.file={CONFIGURATION}/{NAME}/{FILE}"),
        format!("--storage.tsdb.path={state}"),
        format!(
            "--storage.tsdb.retention.time={}",
            place.materials.retention
        ),
    ];
    if let Some(size) = place.config().text("retention_size") {
        arguments.push(format!("--storage.tsdb.retention.size={size}"));
    }
    arguments.extend([
        format!("--web.listen-address={}", place.listen(NAME)?),
        format!("--web.config.file={CONFIGURATION}/{NAME}/web.yml"),
        format!(
            "--web.external-url={}",
            url(place.network, place.node, NAME)?
        ),
        "--web.route-prefix=/".to_owned(),
    ]);
    let secrets = &place.materials.secrets;
    // URLs of remote_write may be secret, and stand in it.
    place.secret(NAME, FILE, configuration(place));
    place.public(NAME, "ca.crt", place.materials.pki.certificate());
    for (name, password) in [("alerts", &secrets.alerts), ("scrape", &secrets.scrape)] {
        let line = format!("{}\n", password.secret.expose());
        place.secret(NAME, &format!("{name}.password"), line);
    }
    place.public(
        NAME,
        &format!("rules/{}", expected::FILE),
        expected::rules(place.network),
    );
    for file in rules {
        place.public(NAME, &format!("rules/{}", file.name), file.text);
    }
    for (name, text) in &place.materials.rules {
        place.public(NAME, &format!("own-rules/{name}"), text.clone());
    }
    // They may hold passwords.
    for (name, text) in &place.materials.scrapes {
        place.secret(NAME, &format!("own-scrapes/{name}"), text.clone());
    }
    for job in JOBS {
        let port = place.port(job.program);
        let targets = targets(place.network, job.name, job.program, port)?;
        place.public(NAME, &format!("targets/{}.json", job.name), targets);
    }
    let ledgers = targets(place.network, LEDGERS, "scalardl-ledger", LEDGER_PORT)?;
    place.public(NAME, &format!("targets/{LEDGERS}.json"), ledgers);
    remote_writes(place);
    place.web(
        NAME,
        &[(OPERATOR, &secrets.operator), (PROMETHEUS, &secrets.scrape)],
    );
    let unit = keeping(UNIT, NAME, &state)?;
    let health = place.health(NAME, "/-/ready", OPERATOR, &secrets.operator.secret);
    place.service(Service {
        name: NAME,
        unit: &unit,
        without: &[],
        program: NAME,
        arguments,
        // Certificates, passwords and targets are read anew by themselves.
        restarted_by: &[],
        reloaded_by: &[FILE, "own-rules/", "own-scrapes/", "rules/"],
        disk,
        health,
    })
}

/// Paths in it are relative to its folder.
fn configuration(place: &Place<'_>) -> String {
    let network = place.network;
    let config = place.config();
    let mut text = "# Written by `provisioner install`; changes are lost.\nglobal:\n  scrape_interval: 15s\n  scrape_timeout: 10s\n  evaluation_interval: 15s\n  external_labels:\n".to_owned();
    text.push_str(&format!("    cluster: {}\n", quoted(prefix(network))));
    text.push_str(&format!(
        "    environment: {}\n",
        quoted(environment(network))
    ));
    let has_twin = monitors(network).count() > 1;
    if has_twin {
        text.push_str(&format!("    replica: {}\n", quoted(&place.node.name)));
    }
    text.push_str("rule_files: [rules/*.yml, own-rules/*.yml]\n");
    if config.text("scrape_folder").is_some() {
        text.push_str("scrape_config_files: [own-scrapes/*.yml]\n");
    }
    for router in alert_routers(network) {
        text.push_str("alerting:\n");
        if has_twin {
            // What two of them find is one alert.
            text.push_str("  alert_relabel_configs:\n  - {regex: replica, action: labeldrop}\n");
        }
        let socket = socket(&router.private_address, port(config, "alert-router"));
        text.push_str(&format!(
            "  alertmanagers:\n  - scheme: https\n    tls_config: {{ca_file: ca.crt}}\n    basic_auth: {{username: {PROMETHEUS}, password_file: alerts.password}}\n    static_configs:\n    - targets: [{}]\n",
            quoted(&socket)
        ));
    }
    text.push_str("scrape_configs:\n");
    for job in JOBS {
        text.push_str(&format!("- job_name: {}\n", job.name));
        if let Some(path) = job.path {
            text.push_str(&format!("  metrics_path: {path}\n"));
        }
        if let Some((interval, timeout)) = job.pace {
            text.push_str(&format!(
                "  scrape_interval: {interval}\n  scrape_timeout: {timeout}\n"
            ));
        }
        text.push_str(&format!(
            "  scheme: https\n  tls_config: {{ca_file: ca.crt}}\n  basic_auth: {{username: {PROMETHEUS}, password_file: {}}}\n  file_sd_configs:\n  - files: [targets/{}.json]\n",
            job.password, job.name
        ));
    }
    text.push_str(&format!(
        "- job_name: {LEDGERS}\n  metrics_path: {LEDGER_PATH}\n  file_sd_configs:\n  - files: [targets/{LEDGERS}.json]\n"
    ));
    let mut writes = config.each("remote_write").enumerate().peekable();
    if writes.peek().is_some() {
        text.push_str("remote_write:\n");
    }
    for (at, write) in writes {
        text.push_str(&remote_write(at, write));
    }
    text
}

fn remote_write(at: usize, write: Object<'_>) -> String {
    let url = write.text("url").unwrap_or_default();
    let mut text = format!("- url: {}\n", quoted(url));
    if let Some(name) = write.text("name") {
        text.push_str(&format!("  name: {}\n", quoted(name)));
    }
    if let Some(user) = write.text("username") {
        text.push_str(&format!(
            "  basic_auth: {{username: {}, password_file: remote-write-{at}.password}}\n",
            quoted(user)
        ));
    }
    if write.secret("bearer_token").is_some() {
        text.push_str(&format!(
            "  authorization: {{credentials_file: remote-write-{at}.token}}\n"
        ));
    }
    if write.text("ca_file").is_some() {
        text.push_str(&format!(
            "  tls_config: {{ca_file: remote-write-{at}.ca.crt}}\n"
        ));
    }
    text
}

/// The files that [`remote_write`] names.
fn remote_writes(place: &mut Place<'_>) {
    let network = place.network;
    let materials = place.materials;
    for (at, write) in network.config.each("remote_write").enumerate() {
        for (key, ending) in [("password", "password"), ("bearer_token", "token")] {
            if let Some(secret) = write.secret(key) {
                let line = format!("{}\n", secret.expose());
                place.secret(NAME, &format!("remote-write-{at}.{ending}"), line);
            }
        }
        if let Some(Some(authorities)) = materials.authorities.get(at) {
            let name = format!("remote-write-{at}.ca.crt");
            place.public(NAME, &name, authorities.clone());
        }
    }
}

/// The targets of a job, with the labels that say what they are.
fn targets(network: &Network, job: &str, program: &str, port: u16) -> anyhow::Result<String> {
    let with = |role| {
        let nodes = network.nodes.iter();
        nodes.filter(move |it| it.roles.contains(&role)).collect()
    };
    let nodes: Vec<&Node> = match job {
        "alert-router" => alert_routers(network).collect(),
        "cassandra" => with(Role::Cassandra),
        "prometheus" => prometheuses(network).collect(),
        LEDGERS => with(Role::ScalarDl),
        // A Traefik that is not ours may not have them.
        REQUESTS if !network.config.installs(Role::Traefik) => Vec::new(),
        "traefik" | REQUESTS => with(Role::Traefik),
        _ => network.nodes.iter().collect(),
    };
    let each = nodes.into_iter().map(|node| {
        let mut labels = BTreeMap::from([
            ("cluster", prefix(network).to_owned()),
            ("environment", environment(network).to_owned()),
            ("instance", node.name.clone()),
            ("program", program.to_owned()),
            ("role", roles_of(node)),
        ]);
        let more = [("instance_id", &node.instance_id), ("zone", &node.zone)];
        for (label, value) in more {
            if let Some(value) = value {
                labels.insert(label, value.clone());
            }
        }
        let socket = socket(&node.private_address, port);
        json!({"targets": [socket], "labels": labels})
    });
    let each: Vec<_> = each.collect();
    Ok(serde_json::to_string_pretty(&each)? + "\n")
}

fn environment(network: &Network) -> &str {
    network.config.text("environment").unwrap_or_default()
}
