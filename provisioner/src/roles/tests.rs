//! A network of machines, and what each of them should have.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Parser as _;
use daemon::Secret;
use jiff::Timestamp;
use testkit::{Program, golden, skip};

use super::{Materials, PORTS, desired};
use crate::{
    artifacts::{Artifacts, Downloads},
    config::LISTENERS,
    desired::{CONFIGURATION, Desired, File, Health, PROGRAMS, UNITS},
    exec,
    network::Network,
};

const HOSTS: &str = "defaults: {user: admin, bastion: bastion}
hosts:
  - {name: bastion, address: 203.0.113.10, private_address: 10.0.0.10, role: bastion}
  - {name: cassandra-1, address: 10.0.1.11, role: cassandra, zone: a, instance_id: i-0123456789abcdef0}
  - {name: cassandra-2, address: 10.0.2.12, role: cassandra, zone: b}
  - {name: cassandra-3, address: 10.0.3.13, role: cassandra, zone: c, port: 2222}
  - {name: scalardl-1, address: 10.0.1.21, role: scalardl, zone: a}
  - {name: traefik-1, address: 10.0.1.31, role: traefik, zone: a}
  - {name: monitor-1, address: 10.0.1.41, role: monitor, zone: a}
";

/// Secrets that config.json holds.
const GIVEN: &[&str] = &[
    "https://hooks.example/secret-slack",
    "secret-smtp",
    "secret-pager",
    "https://beats.example/secret-heartbeat",
    "https://samples.example/secret-write",
    "secret-remote",
];

const CONFIG: &str = r#""name": "Ledger", "prefix": "ledger", "environment": "production", "target": "hosts", "level": "medium",
    "slack_webhook_url": "https://hooks.example/secret-slack",
    "smtp_smarthost": "mail.example:587", "smtp_from": "a@example.com", "alert_email": "b@example.com",
    "smtp_auth_username": "a", "smtp_auth_password": "secret-smtp",
    "pagerduty_routing_key": "secret-pager", "heartbeat_url": "https://beats.example/secret-heartbeat",
    "remote_write": [{"url": "https://samples.example/secret-write", "name": "archive", "username": "ledger", "password": "secret-remote"}],
    "artifacts": {
        "prometheus": {"path": "prometheus.tar.gz", "version": "3.5.0"},
        "cassandra": {"path": "cassandra.tar.gz", "version": "5.0.9"},
        "grafana": {"path": "grafana.tar.gz", "version": "12.0.2"},
        "java": {"path": "java.tar.gz", "version": "17.0.20+8"},
        "jolokia": {"path": "jolokia.jar", "version": "2.6.0"},
        "traefik": {"path": "traefik.tar.gz", "version": "3.7.15"}}"#;

/// Ledgers and the entry point are installed from here, too.
const SERVICES: &str = r#", "services": ["scalardl", "traefik"], "tag": "3.9.1", "docker_user": "me", "docker_password": "secret-docker",
    "cassandra_user": "ledgers", "cassandra_password": "secret-cassandra", "scalar_properties": {"scalar.dl.ledger.name": "Our ledger"}"#;

/// An environment on the disk.
struct Environment {
    folder: tempfile::TempDir,
    network: Network,
    materials: Materials,
}

impl Environment {
    /// With further keys of config.json.
    fn new(more: &str, hosts: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let config = path.join("config.json");
        fs::write(&config, format!("{{{CONFIG}{more}}}")).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(path.join("hosts.yml"), hosts).unwrap();
        for name in [
            "prometheus.tar.gz",
            "cassandra.tar.gz",
            "grafana.tar.gz",
            "java.tar.gz",
            "jolokia.jar",
            "traefik.tar.gz",
        ] {
            fs::write(path.join(name), name).unwrap();
        }
        let beside = path.join("programs");
        fs::create_dir(&beside).unwrap();
        for name in [
            "alert-router",
            "cassandra-exporter",
            "node-exporter",
            "traefik-exporter",
        ] {
            fs::write(beside.join(name), name).unwrap();
        }
        for (name, text) in [
            ("rules/mine.yml", "groups: []\n"),
            ("rules/no-rules.txt", ""),
            ("scrapes/mine.yml", "scrape_configs: []\n"),
        ] {
            let path = path.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let network = Network::load(path).unwrap();
        let downloads = Downloads::new(path.join("cache"));
        let artifacts = Artifacts::of(path, &network.config, &beside, downloads).unwrap();
        let materials = Materials::with(&network, artifacts, Timestamp::now()).unwrap();
        Self {
            folder,
            network,
            materials,
        }
    }

    fn desired(&self, name: &str) -> Desired {
        let mut nodes = self.network.nodes.iter();
        let node = nodes.find(|it| it.name == name).unwrap();
        desired(&self.network, node, &self.materials).unwrap()
    }

    /// What differs from run to run, and what stands in its place in golden files.
    fn places(&self, node: &str) -> BTreeMap<String, String> {
        let read = |path: &str| fs::read_to_string(self.folder.path().join(path)).unwrap();
        let mut places = BTreeMap::new();
        for name in [
            "pki/ca.crt",
            &format!("pki/nodes/{node}.crt"),
            &format!("pki/nodes/{node}.key"),
        ] {
            let text = read(name);
            let escaped = serde_json::Value::from(text.as_str()).to_string();
            places.insert(escaped, format!("<{name}>"));
            places.insert(text, format!("<{name}>\n"));
        }
        for (name, text) in self.secrets() {
            places.insert(text, format!("<{name}>"));
        }
        let node = self.network.nodes.iter().find(|it| it.name == node);
        let identity = self
            .materials
            .pki
            .node(node.unwrap(), None, Timestamp::now());
        let ends = identity.unwrap().ends.as_second().to_string();
        places.insert(ends, "<end of the certificate>".to_owned());
        let version = concat!(" ", env!("CARGO_PKG_VERSION"), " ");
        places.insert(version.to_owned(), " <version> ".to_owned());
        places
    }

    /// Those of the environment's own, with their hashes.
    fn secrets(&self) -> Vec<(String, String)> {
        let folder = fs::read_dir(self.folder.path().join("secrets")).unwrap();
        let files = folder.map(|it| it.unwrap().path());
        let read = |path: PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap().trim_end().to_owned();
            (!text.is_empty()).then(|| (format!("secrets/{name}"), text))
        };
        files.filter_map(read).collect()
    }
}

/// All of it as a text: what there is, then what is in the files that are made here.
fn shown(desired: &Desired) -> String {
    let mut text = String::new();
    let mut line = |it: String| writeln!(text, "{it}").unwrap();
    line(format!("users: {}", desired.users.join(", ")));
    for it in &desired.packages {
        line(format!("package: {} for {}", it.name, it.command));
    }
    for it in &desired.images {
        line(format!("image: {} from {:?}", it.reference, it.from));
    }
    for it in &desired.programs {
        line(format!("program: {} {} {:?}", it.name, it.version, it.form));
    }
    for it in &desired.folders {
        line(format!("folder: {} {} {:o}", it.path, it.owner, it.mode));
    }
    for it in &desired.files {
        line(format!("file: {} {} {:o}", it.path, it.owner, it.mode));
    }
    for it in &desired.units {
        line(format!(
            "unit: {} of {}",
            it.name,
            it.program.as_deref().unwrap_or("nobody")
        ));
        for path in &it.restarted_by {
            line(format!("  restarted by {path}"));
        }
        for path in &it.reloaded_by {
            line(format!("  reloaded by {path}"));
        }
        line(format!("  health {:?}", it.health));
    }
    for it in &desired.volumes {
        line(format!("volume: {it:?}"));
    }
    for it in &desired.moved {
        line(format!("moved: {it:?}"));
    }
    for it in &desired.kept {
        line(format!("kept: {} {} {:o}", it.path, it.owner, it.mode));
    }
    for it in &desired.lines {
        line(format!("line: {:?} in {}", it.text, it.places.join(" or ")));
    }
    if let Some(it) = &desired.agent {
        line(format!("agent: {it:?}"));
    }
    for it in &desired.replaced {
        line(format!("replaced: {it}"));
    }
    for file in &desired.files {
        // Of these there are golden files of their own, or they are packaging's as they are.
        let elsewhere = ["/grafana/dashboards/", "/jolokia-access.xml"];
        let is_rule = file.path.contains("/prometheus/rules/") && !file.path.contains("expected");
        if is_rule || elsewhere.iter().any(|it| file.path.contains(it)) {
            continue;
        }
        line(format!("\n=== {}", file.path));
        line(String::from_utf8(file.content.clone()).unwrap());
    }
    text
}

#[test]
fn every_node() {
    let environment = Environment::new("", HOSTS);
    for node in &environment.network.nodes {
        // A second time gives the same.
        assert_eq!(
            environment.desired(&node.name),
            environment.desired(&node.name)
        );
        // The others differ by their addresses alone.
        if ["cassandra-2", "cassandra-3"].contains(&node.name.as_str()) {
            continue;
        }
        let mut text = shown(&environment.desired(&node.name));
        for (from, to) in environment.places(&node.name) {
            text = text.replace(&from, &to);
        }
        golden::check(format!("provisioner/tests/golden/{}.txt", node.name), &text);
    }
}

#[test]
fn ledgers_and_the_entry_point() {
    let ledgers = "  - {name: scalardl-2, address: 10.0.2.22, role: scalardl, zone: b}\n";
    let environment = Environment::new(SERVICES, &format!("{HOSTS}{ledgers}"));
    for name in ["scalardl-1", "traefik-1"] {
        let mut text = shown(&environment.desired(name));
        for (from, to) in environment.places(name) {
            text = text.replace(&from, &to);
        }
        golden::check(format!("provisioner/tests/golden/{name}-itself.txt"), &text);
    }
}

/// The third of a ring, with disks of its own.
#[test]
fn cassandra_itself() {
    let disks = "zone: c, port: 2222, volumes: [{for: commitlog, serial: vol-0b}, {for: data, serial: vol-0a}]";
    let hosts = HOSTS.replace("zone: c, port: 2222", disks);
    let more = r#", "services": ["cassandra"]"#;
    let environment = Environment::new(more, &hosts);
    let mut text = shown(&environment.desired("cassandra-3"));
    for (from, to) in environment.places("cassandra-3") {
        text = text.replace(&from, &to);
    }
    golden::check("provisioner/tests/golden/cassandra-3-itself.txt", &text);
    // The first alone is a seed of its own, and racks are counted as they come.
    for (node, seeds, copies) in [
        ("cassandra-1", "10.0.1.11", 3),
        ("cassandra-2", "10.0.1.11,10.0.3.13", 2),
        ("cassandra-3", "10.0.1.11,10.0.2.12", 3),
    ] {
        let text = text_of(&environment.desired(node), "cassandra/cassandra.yaml");
        assert!(text.contains(&format!("seeds: \"{seeds}\"")), "{text}");
        let line = format!("local_replication_factor: {copies}\n");
        assert!(text.contains(&line), "{text}");
    }
    let with = |heap: &str| {
        let more = format!(r#"{more}, "cassandra_heap_mb": {heap}"#);
        let environment = Environment::new(&more, HOSTS);
        let node = &environment.network.nodes[1];
        desired(&environment.network, node, &environment.materials).map_err(|it| format!("{it:#}"))
    };
    let text = text_of(&with("512").unwrap(), "cassandra/start.sh");
    assert!(text.contains("\ngiven_heap=512\n"), "{text}");
    assert!(with("1").unwrap_err().contains("64 to 1048576"));
}

/// What a monitor's programs keep is on its disk, without which they do not start.
#[test]
fn a_monitors_disk() {
    let monitor = "role: monitor, zone: a";
    let volumes = format!("{monitor}, volumes: [{{for: monitor, serial: vol-0a}}]");
    let without = Environment::new("", HOSTS).desired("monitor-1");
    let with = Environment::new("", &HOSTS.replace(monitor, &volumes)).desired("monitor-1");
    let paths = |desired: &Desired| -> Vec<String> {
        let folders = desired.folders.iter();
        folders.map(|it| it.path.clone()).collect()
    };
    assert!(without.volumes.is_empty() && without.moved.is_empty());
    assert_eq!(with.volumes[0].path, "/var/lib/monitor");
    assert_eq!(with.volumes[0].unit, "var-lib-monitor.mount");
    assert_eq!(with.packages[0].command, "mkfs.xfs");
    for program in ["alert-router", "grafana", "prometheus"] {
        let (before, on_disk) = (
            format!("/var/lib/scalar-dl-monitoring/{program}"),
            format!("/var/lib/monitor/{program}"),
        );
        assert!(paths(&without).contains(&before), "{program}");
        assert!(paths(&with).contains(&on_disk), "{program}");
        let unit = format!("{program}.service");
        let moved = with.moved.iter().find(|it| it.unit == unit).unwrap();
        assert_eq!((&moved.from, &moved.to), (&before, &on_disk));
        // Nothing of it leads elsewhere.
        for file in &with.files {
            let text = String::from_utf8_lossy(&file.content);
            assert!(!text.contains(&before), "{}: {text}", file.path);
        }
        let text = unit_of(&with, &unit);
        for line in [
            "RequiresMountsFor=/var/lib/monitor",
            "AssertPathIsMountPoint=/var/lib/monitor",
            &format!("ReadWritePaths={on_disk}"),
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
    }
    // What stays on the machine: what has nothing to do with it.
    let text = unit_of(&with, "node-exporter.service");
    assert!(!text.contains("/var/lib/monitor"), "{text}");
}

/// What runs is named by what it is, so that what ran before is still there when its name leads elsewhere.
#[test]
fn a_ledgers_image() {
    let with = |keys: &str, hosts: &str| {
        let more = format!(r#", "services": ["scalardl"]{keys}"#);
        let environment = Environment::new(&more, hosts);
        let mut nodes = environment.network.nodes.iter();
        let node = nodes.find(|it| it.name == "scalardl-1").unwrap();
        let desired = desired(&environment.network, node, &environment.materials);
        desired.map_err(|it| format!("{it:#}"))
    };
    let login = r#", "docker_user": "u", "docker_password": "secret-docker""#;
    let registry =
        format!(r#"{login}, "cassandra_user": "me", "cassandra_password": "secret-cassandra""#);
    for (keys, expect) in [
        (r#", "tag": "1""#, "ghcr.io/scalar-labs/scalardl-ledger:1"),
        (
            r#", "tag": "2.0.7", "scalar_image": "scalarlabs/scalar-ledger""#,
            "docker.io/scalarlabs/scalar-ledger:2.0.7",
        ),
        (
            r#", "tag": "1", "scalar_image": "127.0.0.1:5000/l""#,
            "127.0.0.1:5000/l:1",
        ),
    ] {
        let desired = with(&format!("{keys}{registry}"), HOSTS).unwrap();
        assert_eq!(desired.images[0].reference, expect);
        let unit = desired
            .files
            .iter()
            .find(|it| it.path.ends_with("/scalardl.service"));
        let unit = String::from_utf8(unit.unwrap().content.clone()).unwrap();
        assert!(unit.contains(&format!("\n    {expect}\n")), "{unit}");
        // Nothing that would leave the operator's machine otherwise than to podman.
        let all = format!("{desired:?}");
        assert!(!all.contains("secret-docker"), "{all}");
        let mut texts = desired
            .files
            .iter()
            .map(|it| String::from_utf8_lossy(&it.content));
        assert!(!texts.any(|it| it.contains("secret-docker")));
    }
    let keys = format!(r#"{registry}, "tag": "1 --privileged""#);
    let said = with(&keys, HOSTS).unwrap_err();
    assert!(said.contains("is no part of an image's name"), "{said}");
    let alone = "hosts:\n  - {name: scalardl-1, address: 10.0.1.21, role: scalardl}\n";
    let said = with(&format!(r#"{registry}, "tag": "1""#), alone).unwrap_err();
    assert!(said.contains("ledgers need a Cassandra"), "{said}");
    // What something else keeps needs none.
    let other = r#", "tag": "1", "scalar_properties": {"scalar.db.storage": "jdbc"}"#;
    let desired = with(&format!("{login}{other}"), alone).unwrap();
    let environment = desired
        .files
        .iter()
        .find(|it| it.path.ends_with("/ledger.env"));
    let environment = String::from_utf8(environment.unwrap().content.clone()).unwrap();
    assert!(!environment.contains("SCALAR_DB"), "{environment}");
    // Somebody else's Cassandra, by a user of its own.
    let other = r#", "tag": "1", "cassandra_contact_points": "a, b""#;
    let desired = with(&format!("{registry}{other}"), alone).unwrap();
    let environment = desired
        .files
        .iter()
        .find(|it| it.path.ends_with("/ledger.env"));
    let environment = environment.unwrap();
    assert_eq!(environment.mode, 0o600);
    let environment = String::from_utf8(environment.content.clone()).unwrap();
    for line in [
        "CONTACT_POINTS=a,b",
        "USERNAME=me",
        "PASSWORD=secret-cassandra",
    ] {
        assert!(
            environment.contains(&format!("SCALAR_DB_{line}\n")),
            "{environment}"
        );
    }
}

#[test]
fn secrets_are_in_files_of_one_user() {
    let more = r#", "grafana_password": "secret-grafana", "rules_folder": "rules", "scrape_folder": "scrapes""#;
    let environment = Environment::new(more, HOSTS);
    let own = environment.secrets();
    let own = own.iter().map(|it| it.1.as_str());
    let secrets: Vec<&str> = own
        .chain(GIVEN.iter().copied())
        .chain(["secret-grafana"])
        .collect();
    let mut found = vec![0; secrets.len()];
    for node in &environment.network.nodes {
        let Desired { files, units, .. } = environment.desired(&node.name);
        for File {
            path,
            mode,
            content,
            ..
        } in files
        {
            let text = String::from_utf8(content).unwrap();
            let is_key = text.contains("PRIVATE KEY");
            assert!(!is_key || mode == 0o600, "{path}");
            for (secret, found) in secrets.iter().zip(&mut found) {
                if text.contains(secret) {
                    assert_eq!(mode, 0o600, "{path}");
                    *found += 1;
                }
            }
        }
        let units = format!("{units:?}");
        assert!(!secrets.iter().any(|it| units.contains(it)), "{units}");
    }
    // Each is somewhere, but for what people know: its hash is enough; and for what Cassandra keeps itself.
    let secrets_of = &environment.materials.secrets;
    let unseen = [
        &secrets_of.operator.secret,
        &secrets_of.cassandra,
        &secrets_of.jmx,
        &secrets_of.scalardl,
    ];
    for (secret, found) in secrets.iter().zip(found) {
        let is_unseen = unseen.iter().any(|it| it.expose() == *secret);
        assert_eq!(found > 0, !is_unseen, "{secret}");
    }
}

/// What a folder of a program holds, by its names there, written to a folder here.
fn write(desired: &Desired, program: &str, folder: &Path) {
    let start = format!("{CONFIGURATION}/{program}/");
    for file in &desired.files {
        let Some(name) = file.path.strip_prefix(&start) else {
            continue;
        };
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &file.content).unwrap();
    }
}

#[test]
fn promtool_takes_it() {
    let two = format!("{HOSTS}  - {{name: monitor-2, address: 10.0.2.42, role: monitor}}\n");
    for (more, hosts) in [("", HOSTS), (r#", "rules_folder": "rules""#, &two)] {
        let environment = Environment::new(more, hosts);
        let folder = tempfile::tempdir().unwrap();
        write(
            &environment.desired("monitor-1"),
            "prometheus",
            folder.path(),
        );
        let output = exec::command(parts::find("promtool").unwrap().path)
            .args(["check", "config"])
            .arg(folder.path().join("prometheus.yml"))
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(output.status.success(), "{text}");
        let rules = if more.is_empty() { 8 } else { 9 };
        assert!(
            text.contains(&format!("{rules} rule files found")),
            "{text}"
        );
    }
}

#[test]
fn alert_router_takes_it() {
    let environment = Environment::new("", HOSTS);
    let folder = tempfile::tempdir().unwrap();
    write(
        &environment.desired("monitor-1"),
        "alert-router",
        folder.path(),
    );
    let ended = Program::new("alert-router")
        .args([
            "check-config".as_ref(),
            folder.path().join("alert-router.yml").as_os_str(),
        ])
        .run();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
}

/// A program of ours with its web configuration, asked as Prometheus asks it.
#[tokio::test]
async fn agents_let_prometheus_in_alone() {
    let environment = Environment::new("", HOSTS);
    let folder = tempfile::tempdir().unwrap();
    write(
        &environment.desired("bastion"),
        "node-exporter",
        folder.path(),
    );
    let running = Program::new("node-exporter")
        .args(["--web.listen-address=127.0.0.1:0"])
        .arg_path("--web.config.file", &folder.path().join("web.yml"))
        .start();
    let address = running.address();
    let mut settings = client::Settings::new("test", Duration::from_secs(30));
    settings.tls.ca = Some(environment.materials.pki.certificate().to_owned());
    // The address that the others reach it at.
    settings.tls.server_name = Some("10.0.0.10".to_owned());
    let client = client::client(&settings).unwrap();
    let secrets = &environment.materials.secrets;
    for (user, password, expect) in [
        ("prometheus", &secrets.scrape.secret, 200),
        ("prometheus", &secrets.alerts.secret, 401),
        ("operator", &secrets.operator.secret, 401),
    ] {
        let ask = client.get(format!("https://{address}/-/healthy"));
        let answer = ask.basic_auth(user, Some(password.expose())).send().await;
        assert_eq!(answer.unwrap().status().as_u16(), expect, "{user}");
    }
    let plain = client.get(format!("http://{address}/-/healthy"));
    let plain = plain.send().await;
    assert!(plain.is_err() || plain.is_ok_and(|it| !it.status().is_success()));
}

/// The command line of a service, with this folder before the paths of the node.
fn command(desired: &Desired, service: &str, folder: &Path) -> Vec<String> {
    let path = format!("{UNITS}/{service}.service");
    let unit = desired.files.iter().find(|it| it.path == path);
    let unit = String::from_utf8(unit.unwrap().content.clone()).unwrap();
    let (_, start) = unit.split_once("ExecStart=").unwrap();
    let lines = start.split_inclusive('\n');
    let mut goes_on = true;
    let lines = lines.take_while(|line| std::mem::replace(&mut goes_on, line.ends_with("\\\n")));
    let words = lines.map(|it| it.trim_end_matches(['\n', '\\']).trim().to_owned());
    let here = folder.display().to_string();
    words
        .skip(1)
        .map(|it| {
            it.replace("=/etc/", &format!("={here}/etc/"))
                .replace("=/var/", &format!("={here}/var/"))
        })
        .collect()
}

/// The monitor's programs and an agent elsewhere run on what they are given: all are scraped, and Prometheus knows whom to tell.
#[tokio::test]
async fn a_monitor_that_runs() {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
    let held = [free(), free(), free()];
    let [node, router, prometheus] = held.each_ref().map(|it| it.local_addr().unwrap().port());
    drop(held);
    let more = format!(
        ", \"ports\": {{\"node-exporter\": {node}, \"alert-router\": {router}, \"prometheus\": {prometheus}}}"
    );
    let hosts = "hosts:\n  - {name: monitor-1, address: 127.0.0.1, role: monitor}\n  - {name: host-1, address: 127.0.0.2, role: host}\n";
    let environment = Environment::new(&more, hosts);
    let folder = tempfile::tempdir().unwrap();
    let mut running = Vec::new();
    let mut health = Vec::new();
    for (name, services) in [
        ("host-1", &["node-exporter"][..]),
        (
            "monitor-1",
            &["node-exporter", "alert-router", "prometheus"],
        ),
    ] {
        let desired = environment.desired(name);
        let folder = folder.path().join(name);
        for File { path, content, .. } in &desired.files {
            let path = folder.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // Nothing leaves this machine.
            let text = String::from_utf8_lossy(content)
                .replace("samples.example", "127.0.0.1:1")
                .replace("beats.example", "127.0.0.1:1");
            fs::write(path, text).unwrap();
        }
        for it in &desired.folders {
            fs::create_dir_all(folder.join(it.path.trim_start_matches('/'))).unwrap();
        }
        for service in services {
            let arguments = command(&desired, service, &folder);
            let program = match *service {
                "prometheus" => parts::find(service).unwrap().path,
                ours => testkit::binary(ours),
            };
            running.push(Program::at(program).args(arguments).start());
            let unit = desired
                .units
                .iter()
                .find(|it| it.program.as_deref() == Some(service));
            health.push(unit.unwrap().health.clone());
        }
    }
    let mut settings = client::Settings::new("test", Duration::from_secs(10));
    settings.tls.ca = Some(environment.materials.pki.certificate().to_owned());
    let client = client::client(&settings).unwrap();
    let ask = async |url: &str, user: &str, password: &Secret| {
        let ask = client.get(url).basic_auth(user, Some(password.expose()));
        let answer = ask
            .send()
            .await
            .ok()
            .filter(|it| it.status().is_success())?;
        let body = client::body(answer, 1 << 20).await.ok()?;
        String::from_utf8(body).ok()
    };
    let patience = Instant::now() + Duration::from_secs(90);
    let patient = || {
        let logs = || {
            running
                .iter()
                .map(testkit::Running::log)
                .collect::<Vec<_>>()
                .join("\n\n")
        };
        assert!(Instant::now() < patience, "{}", logs());
        tokio::time::sleep(Duration::from_millis(200))
    };
    for health in &health {
        let Health::GetAs {
            url,
            user,
            password,
        } = health
        else {
            panic!("{health:?}");
        };
        while ask(url, user, password).await.is_none() {
            patient().await;
        }
    }
    let operator = &environment.materials.secrets.operator.secret;
    for (query, count) in [
        ("up==1", 4),
        ("scalar_dl:expected_hosts", 2),
        (
            "scalar_dl:expected_host*on(target)group_right()(node_tcp_probe_success>=0)",
            2,
        ),
        ("prometheus_notifications_alertmanagers_discovered==1", 1),
    ] {
        let mut url =
            client::Url::parse(&format!("https://127.0.0.1:{prometheus}/api/v1/query")).unwrap();
        url.query_pairs_mut().append_pair("query", query);
        loop {
            let text = ask(url.as_str(), "operator", operator).await.unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let found = value["data"]["result"].as_array().map_or(0, Vec::len);
            if found == count {
                break;
            }
            patient().await;
        }
    }
}

#[test]
fn systemd_takes_the_units() {
    let known = Program::at("sh").args(["-c", "command -v systemd-analyze"]);
    if !known.run().status.success() {
        return skip("there is no systemd-analyze on this machine");
    }
    let environment = Environment::new(r#", "services": ["cassandra"]"#, HOSTS);
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for node in ["cassandra-1", "traefik-1", "monitor-1"] {
        for file in environment.desired(node).files {
            let Some(name) = file.path.strip_prefix(&format!("{UNITS}/")) else {
                continue;
            };
            let text = String::from_utf8(file.content).unwrap();
            // Programs must be there; ours are not.
            let lines =
                text.lines().map(
                    |it| match it.strip_prefix(&format!("ExecStart={PROGRAMS}/")) {
                        Some(line) => format!("ExecStart=/bin/true {line}\n"),
                        // It has no pseudo files of a node's, and no tools of one.
                        None if it.starts_with("ExecStartPre=") || it.starts_with("ExecStop=") => {
                            String::new()
                        }
                        None => format!("{it}\n"),
                    },
                );
            let path = folder.path().join(name);
            fs::write(&path, lines.collect::<String>()).unwrap();
            units.push(path);
        }
    }
    let ended = Program::at("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(&units)
        .run();
    let said = ended.stdout + &ended.stderr;
    assert!(ended.status.success() && said.is_empty(), "{said}");
}

fn text_of(desired: &Desired, path: &str) -> String {
    content(desired, &format!("{CONFIGURATION}/{path}"))
}

fn unit_of(desired: &Desired, name: &str) -> String {
    content(desired, &format!("{UNITS}/{name}"))
}

fn content(desired: &Desired, path: &str) -> String {
    let file = desired.files.iter().find(|it| it.path == path);
    String::from_utf8(file.unwrap_or_else(|| panic!("no {path}")).content.clone()).unwrap()
}

fn names(desired: &Desired) -> Vec<&str> {
    desired.units.iter().map(|it| it.name.as_str()).collect()
}

#[test]
fn two_monitors_notify_one_alert_router() {
    let hosts =
        format!("{HOSTS}  - {{name: monitor-2, address: 'fd00::2', role: [monitor, traefik]}}\n");
    let more = r#", "external_url": "https://monitor.example", "scrape_folder": "scrapes", "ports": {"prometheus": 9191}, "retention": "7d", "retention_size": "40GB""#;
    let environment = Environment::new(more, &hosts);
    let (first, second) = (
        environment.desired("monitor-1"),
        environment.desired("monitor-2"),
    );
    assert_eq!(
        names(&first),
        [
            "node-exporter.service",
            "alert-router.service",
            "prometheus.service",
            "grafana.service"
        ]
    );
    assert_eq!(
        names(&second),
        [
            "node-exporter.service",
            "prometheus.service",
            "grafana.service",
            "traefik-exporter.service"
        ]
    );
    let text = text_of(&second, "prometheus/prometheus.yml");
    for expect in [
        "    replica: \"monitor-2\"\n",
        "  alert_relabel_configs:\n  - {regex: replica, action: labeldrop}\n",
        "    - targets: [\"10.0.1.41:9093\"]\n",
        "scrape_config_files: [own-scrapes/*.yml]\n",
    ] {
        assert!(text.contains(expect), "{text}");
    }
    assert_eq!(
        text_of(&second, "prometheus/own-scrapes/mine.yml"),
        "scrape_configs: []\n"
    );
    let targets = text_of(&first, "prometheus/targets/prometheus.json");
    assert!(
        targets.contains("\"10.0.1.41:9191\"") && targets.contains("\"[fd00::2]:9191\""),
        "{targets}"
    );
    assert!(
        targets.contains("\"role\": \"monitor,traefik\""),
        "{targets}"
    );
    let unit = second
        .files
        .iter()
        .find(|it| it.path.ends_with("/prometheus.service"));
    let unit = String::from_utf8(unit.unwrap().content.clone()).unwrap();
    for expect in [
        "--web.external-url=https://monitor.example:9191",
        "--web.listen-address=[fd00::2]:9191",
        "--storage.tsdb.retention.time=7d",
        "--storage.tsdb.retention.size=40GB",
    ] {
        assert!(unit.contains(expect), "{unit}");
    }
}

#[test]
fn links_of_alerts() {
    for (more, runbook, dashboard) in [
        (
            "",
            "https://github.com/scalar-labs/scalar-dl-monitoring/blob/main/docs/runbooks/AgentDown.md",
            "https://10.0.1.41:3000/d/",
        ),
        (
            r#", "runbook_base_url": "https://wiki.example/runbooks/", "external_url": "http://monitor.example/x""#,
            "https://wiki.example/runbooks/AgentDown",
            "https://monitor.example:3000/d/",
        ),
    ] {
        let desired = Environment::new(more, HOSTS).desired("monitor-1");
        let text = text_of(&desired, "prometheus/rules/agent.rules.yml");
        assert!(text.contains(&format!("\"{runbook}\"")), "{text}");
        assert!(text.contains(&format!("\"{dashboard}")), "{text}");
    }
}

#[test]
fn what_is_left_out() {
    let check = |out: &str, expect: &[&str]| {
        let more = format!(", \"leave_out\": [{out}]");
        let environment = Environment::new(&more, HOSTS);
        let desired = environment.desired("monitor-1");
        assert_eq!(names(&desired), expect, "{out}");
        desired
    };
    let node = "node-exporter.service";
    let desired = check(
        r#""grafana", "alert-router""#,
        &[node, "prometheus.service"],
    );
    let text = text_of(&desired, "prometheus/prometheus.yml");
    assert!(!text.contains("alerting:"), "{text}");
    assert_eq!(
        text_of(&desired, "prometheus/targets/alert-router.json"),
        "[]\n"
    );
    check(
        r#""prometheus""#,
        &[node, "alert-router.service", "grafana.service"],
    );
}

#[test]
fn ports() {
    let names: Vec<_> = PORTS.iter().map(|it| it.0).collect();
    assert_eq!(names, LISTENERS);
    let environment = Environment::new(r#", "ports": {"grafana": 9100}"#, HOSTS);
    let node = &environment.network.nodes[6];
    let error = desired(&environment.network, node, &environment.materials).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "what should be on monitor-1: config.json: ports: node-exporter and grafana both have 9100"
    );
}

/// The alerts of the rules on a monitor that say what to do, and their words for it, with labels in braces.
fn repairs(monitor: &Desired) -> Vec<(String, Vec<String>)> {
    let files = monitor.files.iter();
    let rules = files.filter(|it| it.path.ends_with(".rules.yml"));
    let rules: String = rules
        .map(|it| String::from_utf8(it.content.clone()).unwrap())
        .collect();
    let mut repairs = Vec::new();
    for rule in rules.split("- alert: ").skip(1) {
        let Some((_, said)) = rule.split_once("\n      repair: ") else {
            continue;
        };
        let said: String = serde_json::from_str(said.lines().next().unwrap()).unwrap();
        let said = said.replace("{{ $labels.", "{").replace(" }}", "}");
        let words = said.split(' ').map(str::to_owned).collect();
        repairs.push((rule.lines().next().unwrap().to_owned(), words));
    }
    repairs
}

/// What alert-router makes of such words, labels still in braces.
fn line(commands: &BTreeMap<String, String>, words: &[String]) -> String {
    let mut words = words.iter();
    let mut line = String::new();
    let command = &commands[words.next().unwrap()];
    for (at, part) in command.split(['{', '}']).enumerate() {
        match part {
            text if at % 2 == 0 => line.push_str(text),
            "instance" => line.push_str("{instance}"),
            _ => line.push_str(words.next().unwrap()),
        }
    }
    assert_eq!(words.next(), None, "{command}");
    line
}

/// Whether a runbook has a command, `{}` being a word in angle brackets.
fn is_quoted(runbook: &str, command: &str) -> bool {
    let mut quoted = runbook.split('`').skip(1).step_by(2);
    quoted.any(|it| {
        let (said, meant) = (it.split(' '), command.split(' '));
        let is = |(said, meant): (&str, &str)| match meant.starts_with('{') {
            true => said.starts_with('<') && said.ends_with('>'),
            false => said == meant,
        };
        said.clone().count() == meant.clone().count() && said.zip(meant).all(is)
    })
}

/// What an alert says to do is a command of this program that this network's nodes take, its runbook says the same, and alert-router has no
/// command that no alert asks for.
#[test]
fn repairs_are_commands() {
    let environment = Environment::new(SERVICES, HOSTS);
    let network = &environment.network;
    let monitor = environment.desired("monitor-1");
    let configuration = text_of(&monitor, "alert-router/alert-router.yml");
    let (_, commands) = configuration.split_once("\nrepair_commands:\n").unwrap();
    let commands = commands.lines().map_while(|it| it.strip_prefix("  "));
    let commands: BTreeMap<String, String> = commands
        .map(|it| it.split_once(": ").unwrap())
        .map(|(name, it)| (name.to_owned(), serde_json::from_str(it).unwrap()))
        .collect();
    // Labels that alerts have: of every target, but for ledgers, whose program LedgerDown does not name.
    let targets = monitor
        .files
        .iter()
        .filter(|it| it.path.contains("/targets/") && !it.path.ends_with("/scalardl.json"));
    let targets: Vec<(String, String)> = targets
        .flat_map(|it| serde_json::from_slice::<Vec<serde_json::Value>>(&it.content).unwrap())
        .map(|it| it["labels"].clone())
        .map(|it| [&it["instance"], &it["program"]].map(|it| it.as_str().unwrap().to_owned()))
        .map(|[instance, program]| (instance, program))
        .collect();
    assert!(targets.len() >= network.nodes.len());

    let mut used = std::collections::BTreeSet::new();
    for (alert, words) in repairs(&monitor) {
        used.insert(words[0].clone());
        let line = line(&commands, &words);
        let (_, runbook) = dashboards::RUNBOOKS
            .iter()
            .find(|it| it.0 == alert)
            .unwrap();
        let told = line.replace("-e production", "-e <environment>");
        assert!(
            is_quoted(runbook, &told),
            "{alert}: no `{told}` in {runbook}"
        );
        for (instance, program) in &targets {
            let filled = line
                .replace("{instance}", instance)
                .replace("{program}", program);
            let words: Vec<String> = filled.split(' ').map(str::to_owned).collect();
            let cli = crate::Cli::try_parse_from(&words)
                .unwrap_or_else(|error| panic!("{alert}: {filled}: {error}"));
            assert_eq!(cli.environment.as_deref(), Some(Path::new("production")));
            let nodes = crate::install::chosen(network, &words[4..5]);
            let nodes = nodes.unwrap_or_else(|error| panic!("{alert}: {filled}: {error:#}"));
            match cli.command {
                crate::Command::Install(_) => assert_eq!(words.len(), 5, "{filled}"),
                // Of one node, and no role.
                crate::Command::Recover(_) => assert_eq!(words[4..], [nodes[0].name.as_str()]),
                crate::Command::Start(_) => {
                    assert_eq!(words[4], nodes[0].name);
                    let unit = format!("{}.service", words[5]);
                    let runs = environment.desired(&words[4]);
                    assert!(runs.units.iter().any(|it| it.name == unit), "{filled}");
                }
                other => panic!("{alert}: {filled}: {other:?}"),
            }
        }
    }
    assert!(commands.keys().eq(used.iter()), "{commands:?}, {used:?}");
}
