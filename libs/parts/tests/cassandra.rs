//! A real node: it starts, speaks CQL, answers through Jolokia what the policy permits and nothing else, and ends.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use base64::Engine as _;
use parts::cassandra::{Agent, Jolokia, NEWEST, Node, Ports, Running};
use testkit::{eventually, request};

/// For a start on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(180);
const USER: &str = "monitor";
const PASSWORD: &str = "p=1,\\ü";

/// Status, head and body of a question to Jolokia. The status is the one in the body, if there is one: over HTTP, a refusal is 200.
fn ask(node: &Running, headers: &[(&str, &str)], path: &str, body: &str) -> (u16, String, String) {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let path = format!("/jolokia/{path}");
    let address = node.jolokia_address();
    let (status, head, body) = request(address, method, &path, headers, body.as_bytes()).unwrap();
    let body = String::from_utf8(body).unwrap();
    let inner = body.rsplit_once("\"status\":").map(|(_, it)| it.get(..3));
    (
        inner.flatten().map_or(status, |it| it.parse().unwrap()),
        head,
        body,
    )
}

fn basic(password: &str) -> String {
    let word = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
    format!("Basic {word}")
}

#[test]
fn a_node_from_its_start_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let policy = testkit::root().join("packaging/cassandra/jolokia-access.xml");
    // Not the address of everything else.
    let address = Ipv4Addr::new(127, 0, 0, 21);
    let mut node = Node::new(NEWEST, "n1", folder.path(), Ports::free(address).unwrap())
        .address(address)
        .heap_mib(320)
        .jolokia(Some(Jolokia::guarded(
            Agent::Jolokia26,
            USER,
            PASSWORD,
            &policy,
        )))
        .start()
        .unwrap();
    node.wait_ready(PATIENCE).unwrap();

    // The password is in no command line.
    let line = std::fs::read(format!("/proc/{}/cmdline", node.pid())).unwrap();
    assert!(!line.windows(3).any(|it| it == b"p=1"));

    let rows = node
        .cql(&[
            "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
            "CREATE TABLE k.t (id int PRIMARY KEY, name text, more map<text, frozen<list<int>>>)",
            "INSERT INTO k.t (id, name) VALUES (1, 'one')",
            "SELECT name, id, more FROM k.t",
        ])
        .unwrap();
    let last = rows.last().unwrap();
    assert_eq!(last.columns, ["name", "id", "more"]);
    assert_eq!(last.text(0, "name"), Some("one"));
    assert_eq!(last.rows[0][1..], [Some(vec![0, 0, 0, 1]), None]);
    let refused = node.cql(&["SELECT * FROM nothing.nowhere"]).unwrap_err();
    assert!(refused.to_string().contains("nothing"), "{refused}");

    jolokia_obeys_the_policy(&node);

    let said = node.nodetool(&["info"]).unwrap();
    assert!(said.contains("Native Transport active: true"), "{said}");
    let error = node.nodetool(&["no-such-command"]).unwrap_err();
    assert!(
        error.to_string().starts_with("nodetool no-such-command: "),
        "{error}"
    );

    // A paused node takes connections and answers nothing; afterwards it goes on.
    node.pause();
    let silent = std::net::TcpStream::connect(node.node().cql_address());
    assert!(silent.is_ok());
    node.resume();
    node.cql(&["SELECT name FROM k.t"]).unwrap();

    let (process, log) = (node.pid(), node.log());
    let status = node.stop().unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{process}")).exists());
    assert_eq!(status.code(), Some(143), "{log}");
}

/// Each line of Cassandra, beside an agent for each Java.
#[test]
fn every_version_starts() {
    let policy = testkit::root().join("packaging/cassandra/jolokia-access.xml");
    for (version, agent) in [
        ("3.11.19", Agent::Jolokia17),
        ("4.0.19", Agent::Jolokia23),
        ("4.1.10", Agent::Jolokia26),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports::free(Ipv4Addr::LOCALHOST).unwrap();
        let mut node = Node::new(version, version, folder.path(), ports)
            .jolokia(Some(Jolokia::guarded(agent, USER, PASSWORD, &policy)))
            .unsafe_system()
            .start()
            .unwrap();
        let took = node.wait_ready(PATIENCE).unwrap();
        println!("{version}: {took:?}");
        let rows = node
            .cql(&["SELECT release_version FROM system.local"])
            .unwrap();
        assert_eq!(rows[0].text(0, "release_version"), Some(version));
        let said = node.nodetool(&["statusgossip"]).unwrap();
        assert_eq!(said.trim(), "running");
        jolokia_obeys_the_policy(&node);
        node.stop().unwrap();
    }
}

/// Nodes that share ports and differ by address form a ring; one that is paused is soon down for the others.
#[test]
fn a_ring_of_two() {
    let folder = tempfile::tempdir().unwrap();
    let addresses = [31, 32].map(|it| Ipv4Addr::new(127, 0, 0, it));
    let ports = Ports::free_ring(&addresses).unwrap();
    let mut nodes = Vec::new();
    for (address, ports) in addresses.iter().zip(ports) {
        let name = address.to_string();
        let mut node = Node::new(NEWEST, &name, folder.path().join(&name), ports)
            .address(*address)
            .seeds(&addresses[..1])
            .heap_mib(256)
            .start()
            .unwrap();
        node.wait_ready(PATIENCE).unwrap();
        nodes.push(node);
    }
    let status = |wanted: &str| {
        eventually(wanted, PATIENCE, || {
            let said = nodes[0].nodetool(&["status"]).unwrap();
            let lines = said.lines().filter_map(|it| it.split(' ').next());
            let mut states: Vec<_> = lines.filter(|it| ["UN", "DN"].contains(it)).collect();
            states.sort_unstable();
            (states.join(" ") == wanted).then_some(())
        });
    };
    status("UN UN");
    nodes[1].pause();
    status("DN UN");
    nodes[1].resume();
    status("UN UN");
}

/// What cannot start says why, at once.
#[test]
fn a_node_that_ends_shows_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let ports = Ports::free(Ipv4Addr::LOCALHOST).unwrap();
    let node = Node::new(NEWEST, "broken", folder.path(), ports).yaml("no_such_key: 1");
    let error = node
        .start()
        .unwrap()
        .wait_ready(PATIENCE)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("broken ended (exit status: ") && error.contains("no_such_key"),
        "{error}"
    );
}

fn jolokia_obeys_the_policy(node: &Running) {
    let right = basic(PASSWORD);
    let auth = [("Authorization", right.as_str())];
    let mode = "read/org.apache.cassandra.db:type=StorageService/OperationMode";
    for headers in [&[][..], &[("Authorization", basic("wrong").as_str())]] {
        assert_eq!(ask(node, headers, mode, "").0, 401);
    }
    for (what, path, question, expect) in [
        ("a value", mode, "", "\"value\":\"NORMAL\""),
        (
            "names",
            "",
            r#"{"type":"search","mbean":"org.apache.cassandra.metrics:type=Table,keyspace=system,*"}"#,
            "scope=local",
        ),
        (
            "a value beside a secret",
            "",
            r#"{"type":"read","mbean":"java.lang:type=Runtime","attribute":["StartTime"]}"#,
            "StartTime",
        ),
    ] {
        let (status, _, body) = ask(node, &auth, path, question);
        assert!(status == 200 && body.contains(expect), "{what}: {body}");
    }
    for (what, question) in [
        (
            "an operation",
            r#"{"type":"exec","mbean":"org.apache.cassandra.db:type=StorageService","operation":"drain"}"#,
        ),
        (
            "an attribute to set",
            r#"{"type":"write","mbean":"java.lang:type=Memory","attribute":"Verbose","value":true}"#,
        ),
        ("everything there is", r#"{"type":"list"}"#),
        (
            "a secret",
            r#"{"type":"read","mbean":"java.lang:type=Runtime","attribute":"InputArguments"}"#,
        ),
    ] {
        let (status, _, body) = ask(node, &auth, "", question);
        assert_eq!(status, 403, "{what}: {body}");
    }
    // Another JVM is not asked, whatever a question says: nobody comes to where it sends.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let question = format!(
        r#"{{"type":"read","mbean":"java.lang:type=Memory","target":{{"url":"service:jmx:rmi:///jndi/rmi://{}/jmxrmi"}}}}"#,
        other.local_addr().unwrap()
    );
    let (status, _, body) = ask(node, &auth, "", &question);
    assert!(matches!(status, 200 | 400 | 403), "{body}");
    assert_eq!(
        other.accept().unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
    // A page of another origin is not told that it may read the answer.
    let (_, head, _) = ask(node, &[auth[0], ("Origin", "http://example.org")], mode, "");
    assert!(
        !head
            .to_ascii_lowercase()
            .contains("access-control-allow-origin"),
        "{head}"
    );
}
