//! Cassandra itself: its programs, all of its files, its disks and its service. What depends on the machine's memory and processors is found
//! out by the script that starts it; everything else is here.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};

use super::{
    super::{Place, disks, socket},
    CASSANDRA, OPTIONS, PORT, USER,
};
use crate::{
    config::Config,
    desired::{Artifact, CONFIGURATION, File, Folder, Form, Health, PROGRAMS, STATE, UNITS, Unit},
    network::{Network, Node, Purpose, Role},
};

/// Its service.
pub(crate) const SERVICE: &str = "cassandra.service";
/// Where everything is that it keeps.
pub(crate) const DATA: &str = "/var/lib/cassandra";
const COMMIT_LOG: &str = "/var/lib/cassandra/commitlog";
/// For root, and for Cassandra as it ends.
pub(crate) const NODETOOL: &str = "/etc/scalar-dl-monitoring/cassandra/nodetool";
/// For clients.
pub(crate) const NATIVE: u16 = 9042;
const JAVA: &str = "java";
const SYSCTL: &str = "/etc/sysctl.d/60-scalar-dl-cassandra.conf";
/// JMX's user.
const OPERATOR: &str = "operator";
/// Nodes that others learn the ring from.
const SEEDS: usize = 3;
/// Copies of each row that the ledger's schema has.
const COPIES: usize = 3;
/// What it says of itself when it serves.
const WELL: [&str; 2] = [
    "\"OperationMode\":\"NORMAL\"",
    "\"NativeTransportRunning\":true",
];

const UNIT: &str = include_str!("../../../data/units/cassandra.service");
const START: &str = include_str!("../../../data/cassandra/start.sh");
const NODETOOL_SCRIPT: &str = include_str!("../../../data/cassandra/nodetool");
const JVM: &str = include_str!("../../../data/cassandra/jvm.options");
const LOGBACK: &str = include_str!("../../../data/cassandra/logback.xml");
const KERNEL: &str = include_str!("../../../data/cassandra/sysctl.conf");
const YAML: &str = include_str!("../../../data/cassandra/cassandra.yaml");

pub(super) fn add(place: &mut Place<'_>) -> anyhow::Result<()> {
    for name in [CASSANDRA, JAVA] {
        let artifact = place.materials.artifacts.resolve(name)?;
        if artifact.form == Form::Program && !artifact.source.as_os_str().is_empty() {
            bail!(
                "{name} must be an archive with a name that ends in .tar.gz: {}",
                artifact.source.display()
            );
        }
        place.desired.programs.push(Artifact {
            form: Form::Archive,
            ..artifact
        });
    }
    place.desired.users.push(CASSANDRA.to_owned());
    place.state(CASSANDRA);
    let paths = files(place)?;
    // The one for data is mounted first: the other is below it.
    disks::mount(place, Purpose::Data, DATA);
    disks::mount(place, Purpose::CommitLog, COMMIT_LOG);
    place.desired.kept = [
        "",
        "/data",
        "/commitlog",
        "/hints",
        "/saved_caches",
        "/cdc_raw",
    ]
    .map(|it| Folder {
        path: format!("{DATA}{it}"),
        owner: CASSANDRA.to_owned(),
        mode: 0o750,
    })
    .to_vec();
    let attributes = "OperationMode,NativeTransportRunning";
    place.desired.units.push(Unit {
        name: SERVICE.to_owned(),
        program: Some(CASSANDRA.to_owned()),
        restarted_by: paths,
        reloaded_by: Vec::new(),
        is_stateful: true,
        health: Health::Says {
            url: format!(
                "http://{}/jolokia/read/org.apache.cassandra.db:type=StorageService/{attributes}",
                socket("127.0.0.1", PORT)
            ),
            user: USER.to_owned(),
            password: place.materials.secrets.jolokia.clone(),
            words: WELL.map(str::to_owned).to_vec(),
        },
    });
    Ok(())
}

/// The data centre: the region, or the prefix where there are no regions.
pub(crate) fn data_center(config: &Config) -> &str {
    let region = config.text("aws_region");
    region.or_else(|| config.text("prefix")).unwrap_or("dc1")
}

/// All of its files, and which of them it reads at its start.
fn files(place: &mut Place<'_>) -> anyhow::Result<Vec<String>> {
    let here = format!("{CONFIGURATION}/{CASSANDRA}");
    let config = place.config();
    let heap = match config.text("cassandra_heap_mb") {
        Some(_) => {
            let given = config.number("cassandra_heap_mb");
            let given = given.filter(|it| (64..=1 << 20).contains(it));
            let given = given.context("config.json: cassandra_heap_mb: 64 to 1048576 are meant")?;
            given.to_string()
        }
        None => String::new(),
    };
    let is_ipv4 = !place.node.private_address.contains(':');
    let filled = |text: &str| {
        [
            ("CONFIGURATION", here.as_str()),
            ("PROGRAMS", PROGRAMS),
            ("JOLOKIA", OPTIONS.rsplit_once('/').map_or("", |it| it.0)),
            ("HEAP", &heap),
            ("STATE", STATE),
            ("DATA", DATA),
            ("IPV4", if is_ipv4 { "true" } else { "false" }),
        ]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let logback =
        |target: &str, level: &str| LOGBACK.replace("TARGET", target).replace("LEVEL", level);
    let password = place.materials.secrets.jmx.expose();
    let own = |name: &str| format!("{here}/{name}");
    let data = data_center(config);
    let read = [
        (
            own("cassandra.yaml"),
            "root",
            0o644,
            yaml(place.network, place.node)?,
        ),
        (
            own("cassandra-rackdc.properties"),
            "root",
            0o644,
            format!("dc={data}\nrack={}\n", rack(place.node)),
        ),
        (own("jvm.options"), "root", 0o644, filled(JVM)),
        (
            own("modules.options"),
            "root",
            0o644,
            parts::cassandra::modules(),
        ),
        (own("logback.xml"), "root", 0o644, logback("out", "INFO")),
        (
            own("jmxremote.access"),
            "root",
            0o644,
            format!("{OPERATOR} readwrite\n"),
        ),
        (own("start.sh"), "root", 0o755, filled(START)),
        (
            format!("{UNITS}/{SERVICE}"),
            "root",
            0o644,
            unit(place.node, &here),
        ),
    ];
    let further = [
        // Read again for each who comes.
        (
            own("jmxremote.password"),
            CASSANDRA,
            0o400,
            format!("{OPERATOR} {password}\n"),
        ),
        (
            own("logback-tools.xml"),
            "root",
            0o644,
            logback("err", "WARN"),
        ),
        (NODETOOL.to_owned(), "root", 0o755, filled(NODETOOL_SCRIPT)),
        (
            "/usr/local/bin/nodetool".to_owned(),
            "root",
            0o755,
            format!("#!/bin/sh\nexec {NODETOOL} \"$@\"\n"),
        ),
        (SYSCTL.to_owned(), "root", 0o644, KERNEL.to_owned()),
    ];
    let mut paths: Vec<_> = read.iter().map(|it| it.0.clone()).collect();
    // Another Java is one that it does not run on yet.
    paths.push(format!("{PROGRAMS}/{JAVA}"));
    for (path, owner, mode, content) in read.into_iter().chain(further) {
        place.desired.files.push(File {
            path,
            owner: owner.to_owned(),
            mode,
            content: content.into(),
        });
    }
    Ok(paths)
}

fn unit(node: &Node, here: &str) -> String {
    let has_disk = node.volumes.iter().any(|it| it.purpose == Purpose::Data);
    let mut lines = Vec::new();
    for line in UNIT.lines() {
        match line {
            "MOUNTED" if has_disk => lines.push(format!("AssertPathIsMountPoint={DATA}")),
            "READAHEAD" if has_disk => lines.push(format!(
                "ExecStartPre=-+/bin/sh -c 'blockdev --setra 8 \"$(findmnt -no SOURCE {DATA})\"'"
            )),
            "MOUNTED" | "READAHEAD" => {}
            line => lines.push(
                line.replace("CONFIGURATION", here)
                    .replace("SYSCTL", SYSCTL)
                    .replace("STATE", STATE)
                    .replace("DATA", DATA),
            ),
        }
    }
    lines.join("\n") + "\n"
}

fn yaml(network: &Network, node: &Node) -> anyhow::Result<String> {
    let nodes: Vec<_> = network
        .nodes
        .iter()
        .filter(|it| it.roles.contains(&Role::Cassandra))
        .collect();
    let at = nodes.iter().position(|it| it.name == node.name);
    let at = at.context("it is no node of Cassandra")?;
    // A node that has itself among its seeds takes no data when it is new: the first alone may, as it begins the ring.
    let seeds = nodes.iter().take(SEEDS).enumerate();
    let seeds = seeds.filter(|(it, _)| (*it == 0 && at == 0) || (at > 0 && *it != at));
    let seeds: Vec<_> = seeds.map(|it| it.1.private_address.as_str()).collect();
    // The nodes that are there when this one is new stand before it. Cassandra wants as many racks as copies, more, or one.
    let racks: BTreeSet<_> = nodes.iter().take(at + 1).map(|it| rack(it)).collect();
    let copies = match racks.len() {
        0 | 1 => COPIES,
        racks => racks.min(COPIES),
    };
    // The strings of JSON are strings of YAML.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    // Once data are there it cannot be another.
    let name = format!(
        "{}-{}",
        network.config.text("prefix").unwrap_or_default(),
        network.config.text("environment").unwrap_or_default()
    );
    Ok(YAML
        .replace("CLUSTER", &quoted(&name))
        .replace("COPIES", &copies.to_string())
        .replace("SEEDS", &quoted(&seeds.join(",")))
        .replace("ADDRESS", &quoted(&node.private_address))
        .replace("DATA", DATA))
}

/// A zone is a rack. Nodes without are all in one: Cassandra keeps copies on different nodes in any case.
fn rack(node: &Node) -> &str {
    node.zone.as_deref().unwrap_or("rack1")
}

#[cfg(test)]
mod tests {
    use super::START;

    /// What a function of the script says.
    fn said(function: &str, argument: u64) -> String {
        let (functions, _) = START.split_once("# What changes after").unwrap();
        let (_, functions) = functions.split_once("HEAP\n").unwrap();
        let ended = testkit::Program::at("sh")
            .args(["-c", &format!("{functions}\n{function} {argument}")])
            .run();
        assert!(ended.status.success(), "{}", ended.stderr);
        ended.stdout.trim().to_owned()
    }

    #[test]
    fn heap_by_memory() {
        // Memory in MiB as machines have it, and heap in MiB.
        for (memory, heap) in [
            (256, 256),
            (1900, 633),
            (3800, 1266),
            (7700, 2566),
            (15_500, 7750),
            (16_384, 8192),
            (31_500, 15_750),
            (32_768, 16_384),
            (63_000, 24_576),
            (500_000, 24_576),
        ] {
            let found = said("heap_for", memory * 1024);
            assert_eq!(found, heap.to_string(), "{memory}");
        }
    }

    #[test]
    fn threads_by_processors() {
        for (processors, writes, compactors) in [(1, 32, 1), (4, 32, 2), (8, 64, 4), (64, 256, 8)] {
            let expect = format!(
                "-Dcassandra.settings.concurrent_writes={writes} -Dcassandra.settings.concurrent_compactors={compactors}"
            );
            assert_eq!(said("threads_for", processors), expect);
        }
    }
}
