//! Real nodes with real Jolokia agents, as we install them: what the exporter says agrees with nodetool after a workload that is known.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![expect(
    clippy::float_cmp,
    reason = "counts are whole, and missing ones must differ"
)]

#[path = "real/exporter.rs"]
mod exporter;
#[path = "real/recorder.rs"]
mod recorder;

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use parts::cassandra::{Agent, Jolokia, NEWEST, Node, Ports, Running, Tls};
use testkit::eventually;

use crate::{
    exporter::{Exporter, Scraped, node},
    recorder::Recorder,
};

/// For a start on a machine that does other things, too.
const PATIENCE: Duration = Duration::from_secs(240);

const KEYSPACE: &str =
    "CREATE KEYSPACE app WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}";

/// Of the table `app.main`: 120 writes, 40 reads, 6 reads of a range, 3 conditional writes; flushed twice.
fn workload(node: &Running) {
    let mut statements = Vec::new();
    for key in 0..100 {
        statements.push(format!(
            "INSERT INTO app.main (k, c, v) VALUES ({key}, 1, 'x')"
        ));
    }
    node.cql(&statements).unwrap();
    node.nodetool(&["flush", "app"]).unwrap();
    let mut statements = Vec::new();
    for key in 0..20 {
        statements.push(format!("DELETE FROM app.main WHERE k = {key} AND c = 1"));
    }
    for key in 0..40 {
        statements.push(format!("SELECT v FROM app.main WHERE k = {key}"));
    }
    for _ in 0..6 {
        statements.push("SELECT count(*) FROM app.main".to_owned());
    }
    node.cql(&statements).unwrap();
    node.nodetool(&["flush", "app"]).unwrap();
}

/// `name: value` lines of nodetool.
fn lines(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|it| it.split_once(':'));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// Adding a table is noticed by the next scrape, and so is taking one away.
fn tables_come_and_go(node: &Running, exporter: &Exporter, count: usize) {
    let name = "cassandra_table_live_sstables";
    assert!(exporter.scrape().values(name, "table").is_empty());
    let mut statements = vec![
        KEYSPACE.to_owned(),
        "CREATE TABLE app.main (k int, c int, v text, PRIMARY KEY (k, c))".to_owned(),
        "CREATE TABLE app.gone (k int PRIMARY KEY)".to_owned(),
    ];
    for number in 0..count {
        statements.push(format!("CREATE TABLE app.t{number} (k int PRIMARY KEY)"));
    }
    node.cql(&statements).unwrap();
    let scraped = exporter.scrape();
    scraped.is_whole();
    assert_eq!(scraped.values(name, "table").len(), count + 2);
    node.cql(&["DROP TABLE app.gone"]).unwrap();
    let scraped = exporter.scrape();
    scraped.is_whole();
    let tables = scraped.values(name, "table");
    assert_eq!(tables.len(), count + 1);
    assert!(!tables.contains(&"gone".to_owned()));
    // Nobody looks for names again while nothing has changed.
    let before = scraped.number("cassandra_scrape_discoveries_total", &[]);
    let scraped = exporter.scrape();
    let after = scraped.number("cassandra_scrape_discoveries_total", &[]);
    assert_eq!(before, after);
}

fn agrees(node: &Running, version: &str, scraped: &Scraped) {
    let table = [("keyspace", "app"), ("table", "main")];
    let operation = |of| {
        let labels = [table[0], table[1], ("operation", of)];
        scraped.summary("cassandra_table_operation_latency_seconds", &labels)
    };
    assert_eq!(operation("write").count, 120.0);
    assert_eq!(operation("read").count, 40.0);
    assert_eq!(operation("range_read").count, 6.0);
    let read = operation("read");
    assert!(
        read.quantiles
            .iter()
            .all(|(_, it)| (0.0..60.0).contains(it))
    );
    // Reads of partitions and of ranges.
    let tombstones = scraped.summary("cassandra_table_tombstones_scanned", &table);
    assert_eq!(tombstones.count, 46.0);
    // The keyspace's and the node's sums have them, too.
    let keyspace = [("keyspace", "app"), ("operation", "write")];
    let writes = scraped.summary("cassandra_keyspace_operation_latency_seconds", &keyspace);
    assert_eq!(writes.count, 120.0);
    let all = scraped.summary(
        "cassandra_node_operation_latency_seconds",
        &[("operation", "write")],
    );
    assert!(all.count >= 120.0, "{}", all.count);

    // Clients see as many requests, and those of the set-up.
    let requests = |operation| {
        let labels = [("operation", operation)];
        scraped.summary("cassandra_client_request_latency_seconds", &labels)
    };
    assert!(requests("write").count >= 120.0);
    assert!(requests("read").count >= 40.0);
    assert!(requests("range_slice").count >= 6.0);
    assert!(requests("read").sum.unwrap() > 0.0);

    agrees_with_itself(node, version, scraped);
    // Of 3.11, nodetool does not run on this Java, and a later one asks for what 3.11 has not.
    if !version.starts_with("3.") {
        agrees_with_tablestats(node, scraped, &read);
        agrees_with_nodetool(node, scraped);
    }
}

/// The table that a node has of itself.
fn agrees_with_itself(node: &Running, version: &str, scraped: &Scraped) {
    let query =
        "SELECT cluster_name, data_center, rack, host_id, release_version FROM system.local";
    let rows = node.cql(&[query]).unwrap();
    let ring = scraped.family("cassandra_node_info").unwrap();
    let ring = &ring.metrics[0].labels;
    for (label, column) in [
        ("cluster", "cluster_name"),
        ("datacenter", "data_center"),
        ("rack", "rack"),
        ("release_version", "release_version"),
    ] {
        assert_eq!(ring.get(label), rows[0].text(0, column), "{label}");
    }
    assert_eq!(ring.get("release_version"), Some(version));
    let id = rows[0].rows[0][3].clone().unwrap();
    let id: String = id.iter().map(|it| format!("{it:02x}")).collect();
    assert_eq!(ring.get("host_id").unwrap().replace('-', ""), id);
    let mode = [("mode", "NORMAL")];
    assert_eq!(scraped.number("cassandra_operation_mode", &mode), 1.0);
    assert_eq!(
        scraped.number("cassandra_native_transport_running", &[]),
        1.0
    );
    assert_eq!(
        scraped.number("cassandra_endpoints", &[("state", "UN")]),
        1.0
    );
    // 120 writes of one table were flushed twice.
    let flushed = [("path", "internal"), ("pool", "MemtableFlushWriter")];
    assert!(scraped.number("cassandra_thread_pool_completed_tasks_total", &flushed) >= 2.0);
}

fn agrees_with_nodetool(node: &Running, scraped: &Scraped) {
    let info = lines(&node.nodetool(&["info"]).unwrap());
    let ring = scraped.family("cassandra_node_info").unwrap();
    let ring = &ring.metrics[0].labels;
    assert_eq!(ring.get("host_id"), Some(info["ID"].as_str()));
    assert_eq!(ring.get("datacenter"), Some(info["Data Center"].as_str()));
    assert_eq!(ring.get("rack"), Some(info["Rack"].as_str()));
    let exceptions: f64 = info["Exceptions"].parse().unwrap();
    assert_eq!(
        scraped.number("cassandra_storage_exceptions_total", &[]),
        exceptions
    );
    let uptime: f64 = info["Uptime (seconds)"].parse().unwrap();
    let ours = scraped.number("cassandra_jvm_uptime_seconds", &[]);
    assert!((uptime - ours).abs() < 120.0, "{uptime} {ours}");
    let heap = info["Heap Memory (MB)"].rsplit(' ').next().unwrap();
    let heap: f64 = heap.parse().unwrap();
    let ours = scraped.number("cassandra_jvm_memory_max_bytes", &[("area", "heap")]);
    assert!((ours / 1_048_576.0 - heap).abs() < 0.01, "{ours} {heap}");

    let pools = node.nodetool(&["tpstats"]).unwrap();
    for (pool, path) in [
        ("MemtableFlushWriter", "internal"),
        ("MemtablePostFlush", "internal"),
    ] {
        let line = pools.lines().find(|it| it.starts_with(pool)).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        let ours = |name| {
            let name = format!("cassandra_thread_pool_{name}");
            scraped.number(&name, &[("path", path), ("pool", pool)])
        };
        assert_eq!(ours("pending_tasks"), words[2].parse::<f64>().unwrap());
        assert_eq!(
            ours("completed_tasks_total"),
            words[3].parse::<f64>().unwrap(),
            "{line}"
        );
    }
    let compactions = node.nodetool(&["compactionstats"]).unwrap();
    let pending = compactions
        .lines()
        .find(|it| it.starts_with("pending tasks"));
    let pending: f64 = pending
        .unwrap()
        .split_whitespace()
        .last()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(
        scraped.number("cassandra_compaction_pending_tasks", &[]),
        pending
    );
    status(node, scraped);
}

fn agrees_with_tablestats(node: &Running, scraped: &Scraped, read: &exposition::Summary) {
    let table = [("keyspace", "app"), ("table", "main")];
    let number = |name: &str| scraped.number(&format!("cassandra_table_{name}"), &table);
    let stats = lines(&node.nodetool(&["tablestats", "app.main"]).unwrap());
    let stat = |name: &str| -> f64 {
        let text = stats
            .get(name)
            .unwrap_or_else(|| panic!("{name}: {stats:?}"));
        text.split(' ').next().unwrap().parse().unwrap_or(f64::NAN)
    };
    assert_eq!(stat("Local write count"), 120.0);
    assert_eq!(read.count, stat("Local read count"));
    // Milliseconds there, and not more than a minute in all.
    let mean = read.sum.unwrap() / read.count * 1e3;
    let theirs = stat("Local read latency");
    assert!(
        theirs.is_nan() || (mean - theirs).abs() < theirs.max(0.1),
        "{mean} {theirs}"
    );
    assert_eq!(number("live_sstables"), stat("SSTable count"));
    assert_eq!(
        number("live_disk_space_used_bytes"),
        stat("Space used (live)")
    );
    assert_eq!(
        number("total_disk_space_used_bytes"),
        stat("Space used (total)")
    );
    assert_eq!(number("pending_flushes"), stat("Pending flushes"));
    assert_eq!(
        number("max_partition_size_bytes"),
        stat("Compacted partition maximum bytes")
    );
    assert_eq!(number("repaired_ratio") * 100.0, stat("Percent repaired"));
}

/// Every line of `nodetool status` is there, and no other.
fn status(node: &Running, scraped: &Scraped) {
    let text = node.nodetool(&["status"]).unwrap();
    let is_member = |it: &&str| {
        let mut letters = it.chars();
        letters.next().is_some_and(|it| "UD".contains(it))
            && letters.next().is_some_and(|it| "NLJM".contains(it))
            && letters.next() == Some(' ')
    };
    let members: Vec<Vec<&str>> = text
        .lines()
        .filter(is_member)
        .map(|it| it.split_whitespace().collect())
        .collect();
    let mut endpoints: Vec<_> = members.iter().map(|it| it[1].to_owned()).collect();
    endpoints.sort();
    assert_eq!(
        scraped.values("cassandra_endpoint_up", "endpoint"),
        endpoints,
        "{text}"
    );
    for member in members {
        let (state, address, rack) = (member[0], member[1], member.last().unwrap());
        let host_id = member[member.len() - 2];
        let one = [("endpoint", address)];
        let up = scraped.number("cassandra_endpoint_up", &one);
        assert_eq!(up == 1.0, state.starts_with('U'), "{text}");
        let info = scraped.family("cassandra_endpoint_info").unwrap();
        let info = info
            .metrics
            .iter()
            .find(|it| it.labels.get("endpoint") == Some(address));
        let labels = &info.unwrap().labels;
        assert_eq!(labels.get("state"), Some(state), "{text}");
        assert_eq!(labels.get("host_id"), Some(host_id), "{text}");
        assert_eq!(labels.get("rack"), Some(*rack), "{text}");
        assert_eq!(scraped.number("cassandra_endpoint_tokens", &one), 4.0);
    }
}

/// Writes what the node answers into fixtures, if that is asked for.
fn record(node: &Running, version: &str, folder: &std::path::Path) {
    if std::env::var_os("RECORD").is_none() {
        return;
    }
    let recorder = Recorder::start(node.jolokia_address());
    let url = format!("http://{}/jolokia", recorder.address);
    // As tests/golden.rs asks.
    let arguments = [
        "--profile=full",
        "--jolokia.bulk=10000",
        "--tables.include=app\\.(main|t0)",
    ];
    let exporter = Exporter::start(&url, folder, &arguments);
    exporter.scrape().is_whole();
    recorder.write(version);
}

fn one_version(version: &str, agent: Agent, tables: usize, heap: u32) {
    let folder = tempfile::tempdir().unwrap();
    let ports = Ports::free(Ipv4Addr::LOCALHOST).unwrap();
    let mut node = node(version, agent, folder.path(), ports)
        .heap_mib(heap)
        .unsafe_system()
        .start()
        .unwrap();
    // While it starts it is down, and says so; nothing is to be done when it comes.
    let exporter = Exporter::start(&node.jolokia_url(), folder.path(), &[]);
    node.wait_ready(PATIENCE).unwrap();
    eventually("the node can be read", PATIENCE, || {
        let scraped = exporter.scrape();
        (scraped.number("cassandra_scrape_complete", &[]) == 1.0).then_some(())
    });
    tables_come_and_go(&node, &exporter, tables);
    workload(&node);
    let scraped = exporter.scrape();
    scraped.is_whole();
    agrees(&node, version, &scraped);
    // Everything there is, once.
    let full = Exporter::start(
        &node.jolokia_url(),
        folder.path(),
        &["--profile=full", "--tables.system", "--histograms=native"],
    );
    full.scrape().is_whole();
    let sizes = [("keyspace", "app"), ("table", "main")];
    let scraped = full.scrape();
    scraped.is_whole();
    let partitions = scraped.family("cassandra_table_estimated_partition_size_bytes");
    let partitions = partitions.unwrap().metrics.iter();
    let found = partitions
        .filter(|it| {
            sizes
                .iter()
                .all(|(name, value)| it.labels.get(name) == Some(value))
        })
        .find_map(|it| match &it.value {
            exposition::Value::Histogram(histogram) => Some(histogram.count),
            _ => None,
        });
    // 100 partitions in the first SSTable, 20 with tombstones in the second.
    assert_eq!(found, Some(120.0));
    record(&node, version, folder.path());
    node.stop().unwrap();
    exporter.scrape();
    assert_eq!(exporter.scrape().number("cassandra_up", &[]), 0.0);
}

#[test]
fn cassandra_5_0_with_hundreds_of_tables() {
    one_version(NEWEST, Agent::Jolokia26, 300, 1_024);
}

#[test]
fn cassandra_4_1() {
    one_version("4.1.10", Agent::Jolokia26, 5, 320);
}

#[test]
fn cassandra_4_0() {
    one_version("4.0.19", Agent::Jolokia23, 5, 320);
}

#[test]
fn cassandra_3_11() {
    one_version("3.11.19", Agent::Jolokia17, 5, 320);
}

/// A ring of three: one is stopped, one hangs, one leaves.
#[test]
fn a_ring() {
    let folder = tempfile::tempdir().unwrap();
    let addresses = [71, 72, 73].map(|it| Ipv4Addr::new(127, 0, 0, it));
    let ports = Ports::free_ring(&addresses).unwrap();
    let mut nodes = Vec::new();
    for (address, ports) in addresses.iter().zip(ports) {
        let name = address.to_string();
        let mut node = node(NEWEST, Agent::Jolokia26, &folder.path().join(&name), ports)
            .address(*address)
            .seeds(&addresses[..1])
            .yaml("auto_bootstrap: false")
            .start()
            .unwrap();
        // One after the other, as Cassandra wants them to join.
        node.wait_ready(PATIENCE).unwrap();
        nodes.push(node);
    }
    let mut exporter = Exporter::start(&nodes[0].jolokia_url(), folder.path(), &[]);
    let up = |exporter: &Exporter, address: Ipv4Addr| {
        let scraped = exporter.scrape();
        scraped.number(
            "cassandra_endpoint_up",
            &[("endpoint", &address.to_string())],
        )
    };
    eventually("all see each other", PATIENCE, || {
        let all = addresses.iter().all(|it| up(&exporter, *it) == 1.0);
        all.then_some(())
    });
    let scraped = exporter.scrape();
    scraped.is_whole();
    status(&nodes[0], &scraped);
    assert_eq!(
        scraped.number("cassandra_endpoints", &[("state", "UN")]),
        3.0
    );
    assert_eq!(scraped.number("cassandra_schema_versions", &[]), 1.0);
    let peers = scraped.values(
        "cassandra_inbound_connection_received_messages_total",
        "peer",
    );
    assert!(peers.contains(&addresses[1].to_string()), "{peers:?}");

    // Stopped: what Cassandra sees is shown at once.
    let third = nodes.pop().unwrap();
    third.stop().unwrap();
    eventually("the third is seen down", PATIENCE, || {
        (up(&exporter, addresses[2]) == 0.0).then_some(())
    });
    let scraped = exporter.scrape();
    status(&nodes[0], &scraped);
    assert_eq!(
        scraped.number("cassandra_endpoints", &[("state", "DN")]),
        1.0
    );

    // Gone for good: gossip knows of it for days, the metrics do not.
    let info = scraped.family("cassandra_endpoint_info").unwrap();
    let gone = addresses[2].to_string();
    let gone_id = info.metrics.iter().find_map(|it| {
        (it.labels.get("endpoint") == Some(&gone)).then(|| it.labels.get("host_id"))
    });
    let gone_id = gone_id.flatten().unwrap().to_owned();
    nodes[0].nodetool(&["removenode", &gone_id]).unwrap();
    let scraped = exporter.scrape();
    scraped.is_whole();
    status(&nodes[0], &scraped);
    assert!(!scraped.text.contains(&gone), "{}", scraped.text);
    let gossip = nodes[0].nodetool(&["gossipinfo"]).unwrap();
    assert!(gossip.contains(&gone), "{gossip}");

    // Hanging: connections are taken and nothing is answered.
    exporter.timeout = Duration::from_secs(2);
    nodes[0].pause();
    let scraped = exporter.scrape();
    nodes[0].resume();
    assert_eq!(scraped.number("cassandra_up", &[]), 0.0);
    let reason = [("reason", "deadline")];
    assert_eq!(scraped.number("cassandra_scrape_failure", &reason), 1.0);
    assert!(scraped.took < exporter.timeout * 3, "{:?}", scraped.took);
    exporter.timeout = Duration::from_secs(60);
    eventually("it is back", PATIENCE, || {
        (exporter.scrape().number("cassandra_up", &[]) == 1.0).then_some(())
    });
}

/// HTTPS with a certificate that a file vouches for, another context, and a certificate of ours.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "keytool is Java's own tool for its key stores"
)]
fn https_and_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let java = parts::cassandra::java().unwrap();
    let keytool = std::fs::canonicalize(java)
        .unwrap()
        .with_file_name("keytool");
    let keytool = |arguments: &str, files: &[(&str, String)]| {
        let mut command = std::process::Command::new(&keytool);
        command.args(arguments.split(' '));
        command.args(["-storetype", "PKCS12", "-storepass", "changeit"]);
        for (flag, file) in files {
            command.args([*flag, file]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let store = ("-keystore", place("server.p12"));
    keytool(
        "-genkeypair -alias server -keyalg RSA -keysize 2048 -validity 30 -dname CN=node -ext SAN=ip:127.0.0.1,dns:node.example",
        std::slice::from_ref(&store),
    );
    keytool(
        "-exportcert -rfc -alias server",
        &[store.clone(), ("-file", place("ca.pem"))],
    );
    // Ours, which the agent trusts.
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(place("client.pem"), certificate.pem()).unwrap();
    std::fs::write(place("client.key"), key.serialize_pem()).unwrap();
    keytool(
        "-importcert -noprompt -alias client",
        &[store, ("-file", place("client.pem"))],
    );
    let policy = testkit::root().join("packaging/cassandra/jolokia-access.xml");
    let mut jolokia = Jolokia::guarded(
        Agent::Jolokia26,
        exporter::USER,
        exporter::PASSWORD,
        &policy,
    );
    jolokia.tls = Some(Tls {
        keystore: folder.path().join("server.p12"),
        password: "changeit".to_owned(),
    });
    // Beside a password, Jolokia does without a certificate.
    jolokia.user = None;
    jolokia.context = "/a/b".to_owned();
    jolokia
        .options
        .push(("useSslClientAuthentication".to_owned(), "true".to_owned()));
    let ports = Ports::free(Ipv4Addr::LOCALHOST).unwrap();
    let mut node = Node::new(NEWEST, "tls", folder.path().join("node"), ports)
        .unsafe_system()
        .jolokia(Some(jolokia))
        .start()
        .unwrap();
    node.wait_ready(PATIENCE).unwrap();
    let url = format!("https://{}/a/b", node.jolokia_address());
    let flag = |name: &str, file: &str| format!("--jolokia.{name}-file={}", place(file));
    let certificates = [flag("cert", "client.pem"), flag("key", "client.key")];
    let certificates = certificates.each_ref().map(String::as_str);
    let ca = flag("ca", "ca.pem");
    let up = |arguments: &[&str]| {
        let exporter = Exporter::start(&url, folder.path(), arguments);
        let scraped = exporter.scrape();
        scraped.number("cassandra_up", &[])
    };
    assert_eq!(up(&[&ca, certificates[0], certificates[1]]), 1.0);
    let named = "--jolokia.server-name=node.example";
    assert_eq!(up(&[&ca, certificates[0], certificates[1], named]), 1.0);
    // One thing missing at a time.
    assert_eq!(up(&[&ca]), 0.0);
    assert_eq!(up(&certificates), 0.0);
    let other = "--jolokia.server-name=other.example";
    assert_eq!(up(&[&ca, certificates[0], certificates[1], other]), 0.0);
    node.stop().unwrap();
}
