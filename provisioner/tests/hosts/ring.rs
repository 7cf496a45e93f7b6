//! A ring of three Cassandra nodes that are installed from nothing, on Apache's jars and a Java made by jlink: both in archives as their
//! publishers make them. Disks are files (loop devices), and what udev would do with their links a service of the test does.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use parts::cassandra::{Agent, NEWEST, jars, java};
use serde_json::{Value, json};
use testkit::{Disk, Program};

use crate::operator::Operator;

const PATIENCE: Duration = Duration::from_secs(120);
/// Of Java what Eclipse's JRE has of it, and Cassandra needs.
const MODULES: &str = "java.se,jdk.crypto.ec,jdk.httpserver,jdk.management,jdk.management.agent,jdk.naming.dns,jdk.naming.rmi,jdk.net,jdk.sctp,jdk.unsupported,jdk.zipfs";
const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// The archives of Cassandra and of Java, in a folder.
pub(crate) fn archives(folder: &Path) -> Option<[PathBuf; 2]> {
    let java = java().unwrap().canonicalize().unwrap();
    let jlink = java.with_file_name("jlink");
    if !jlink.is_file() {
        testkit::skip("there is no jlink beside Java, to make a JRE of its own");
        return None;
    }
    let sh = |command: &str| {
        let ended = Program::at("sh")
            .args(["-ec", command])
            .patience(PATIENCE)
            .run();
        assert!(ended.status.success(), "{command}: {}", ended.stderr);
    };
    let here = folder.display();
    let lib = jars(NEWEST).unwrap();
    sh(&format!(
        "mkdir {here}/apache-cassandra-{NEWEST}; ln -s {} {here}/apache-cassandra-{NEWEST}/lib; tar -C {here} -chf - apache-cassandra-{NEWEST} | gzip -1 >{here}/cassandra.tar.gz",
        lib.display()
    ));
    sh(&format!(
        "{} --add-modules {MODULES} --strip-debug --no-man-pages --no-header-files --output {here}/jre; tar -C {here} -cf - jre | gzip -1 >{here}/java.tar.gz; rm -rf {here}/jre",
        jlink.display()
    ));
    Some(["cassandra", "java"].map(|it| folder.join(format!("{it}.tar.gz"))))
}

/// What a host of this machine needs to have a node of Cassandra that is installed.
pub(crate) fn prepare(operator: &Operator, host: &str) {
    // What it would tell the kernel is this machine's own kernel's.
    let own = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys";
    operator.shell(host, own);
    // A ring of three on one machine need not wait for others to be heard of.
    let soon = "mkdir -p /etc/systemd/system/cassandra.service.d && printf '[Service]\\nEnvironment=\"CASSANDRA_JAVA_OPTIONS=-Dcassandra.ring_delay_ms=3000 -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.superuser_setup_delay_ms=0\"\\n' >/etc/systemd/system/cassandra.service.d/test.conf";
    operator.shell(host, soon);
}

struct Ring {
    operator: Operator,
    archives: [PathBuf; 2],
    // Of the archives, until the end.
    _folder: tempfile::TempDir,
}

impl Ring {
    fn start(roles: &[&str]) -> Option<Self> {
        for program in ["alert-router", "cassandra-exporter"] {
            assert!(testkit::binary(program).is_file());
        }
        let folder = tempfile::tempdir().unwrap();
        let archives = archives(folder.path())?;
        let operator = Operator::start(roles)?;
        for (at, role) in roles.iter().enumerate() {
            if *role == "cassandra" {
                prepare(&operator, &format!("n{}", at + 1));
            }
        }
        Some(Self {
            operator,
            archives,
            _folder: folder,
        })
    }

    fn configure(&self, more: &Value) {
        let [cassandra, java] = &self.archives;
        let mut config = json!({
            "services": ["cassandra"],
            "cassandra_heap_mb": 192,
            "leave_out": ["grafana", "prometheus"],
            "artifacts": {
                "cassandra": {"path": cassandra, "version": NEWEST},
                "java": {"path": java, "version": "17"},
                "jolokia": {"path": Agent::Jolokia26.jar().unwrap(), "version": "2.6.0"},
                "cassandra-exporter": {"path": testkit::binary("cassandra-exporter"), "version": "1.0.0"},
            },
        });
        let more = more.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(more);
        self.operator.configure(&config);
    }

    fn process(&self, host: &str) -> String {
        self.operator
            .shell(host, "systemctl show -p MainPID --value cassandra")
    }

    fn nodetool(&self, host: &str, arguments: &str) -> String {
        self.operator
            .shell(host, &format!("/usr/local/bin/nodetool {arguments}"))
    }

    fn secret(&self, name: &str) -> String {
        let path = self.operator.path(&format!("env/secrets/{name}"));
        fs::read_to_string(path).unwrap().trim().to_owned()
    }
}

/// Whether Cassandra on n1 lets a user in by a password.
fn logs_in(operator: &Operator, user: &str, password: &str) -> bool {
    asks(operator, user, password, None)
}

/// Logs in over CQL's protocol and runs a statement, when there is one. Codes that come are 16 for somebody who is let in, 8 for a result, and 0
/// for an error.
fn asks(operator: &Operator, user: &str, password: &str, statement: Option<&str>) -> bool {
    let statement = statement.unwrap_or_default();
    let token = format!("0{user}0{password}");
    let script = format!(
        r#"python3 - <<'X'
import socket, struct
s = socket.create_connection(("10.91.0.21", 9042), 10)
def ask(op, body):
    s.sendall(bytes([4, 0, 0, 0, op]) + struct.pack(">I", len(body)) + body)
    head = s.recv(9, socket.MSG_WAITALL)
    s.recv(struct.unpack(">I", head[5:])[0], socket.MSG_WAITALL)
    return head[4]
ask(1, b"\x00\x01\x00\x0bCQL_VERSION\x00\x053.0.0")
token = b"\x00{user}\x00{password}"
print("code", ask(15, struct.pack(">I", len(token)) + token))
statement = b"""{statement}"""
if statement:
    print("result", ask(7, struct.pack(">I", len(statement)) + statement + b"\x00\x01\x00"))
X"#
    );
    assert!(token.is_ascii());
    let said = operator.shell("n1", &script);
    match said.trim() {
        "code 16" if statement.is_empty() => true,
        "code 16\nresult 8" => true,
        "code 0" => false,
        said => panic!("{user}: {said}"),
    }
}

/// Passwords of Cassandra's that are written into `secrets/` take the place of those before, while it runs.
fn exchanged(ring: &Ring) {
    let operator = &ring.operator;
    let write = |name: &str, text: &str| {
        fs::write(operator.path(&format!("env/secrets/{name}")), text).unwrap();
    };
    let before = NODES.map(|it| ring.process(it));
    let old = ring.secret("cassandra");
    let ledger = ring.secret("scalardl");
    for name in ["cassandra", "jmx", "jolokia"] {
        write(name, &format!("another-{name}-0123456789"));
    }
    let said = operator.ends(&["install"], 0);
    assert!(
        said.contains("Cassandra: another password of the superuser\n"),
        "{said}"
    );
    for node in NODES {
        let waits = format!(
            "{node}: cassandra.service does not know yet what is in /etc/scalar-dl-monitoring/jolokia/jolokia.properties; `install"
        );
        assert!(said.contains(&waits), "{said}");
    }
    assert_eq!(NODES.map(|it| ring.process(it)), before);
    for (user, password, expect) in [
        ("operator", ring.secret("cassandra"), true),
        ("operator", old, false),
        ("scalardl", ledger.clone(), true),
    ] {
        testkit::eventually(&format!("{user}: {expect}"), PATIENCE, || {
            (logs_in(operator, user, &password) == expect).then_some(())
        });
    }
    // JMX takes its password at once.
    ring.nodetool("n1", "info");
    // Jolokia takes its own with a start.
    let said = operator.ends(&["install", "--restart-stateful"], 0);
    assert!(
        said.contains("3 of 5 nodes changed") && !said.contains("warning"),
        "{said}"
    );
    let said = operator.run(&["doctor", "n1", "--json"]).stdout;
    assert!(said.contains("\"what\": \"3 UN\""), "{said}");

    // The ledgers' is left to whoever has these ledgers.
    write("scalardl", "another-scalardl-0123456789");
    let said = operator.ends(&["install"], 1);
    assert!(
        said.contains("the ledgers are not installed from here"),
        "{said}"
    );
    assert!(logs_in(operator, "scalardl", &ledger));
    write("scalardl", &ledger);
}

/// A run that is killed while users are brought to more nodes leaves that to the next one.
fn repaired(ring: &Ring) {
    let operator = &ring.operator;
    let spread = "ALTER KEYSPACE system_auth WITH replication = {'class': 'NetworkTopologyStrategy', 'test': 1}";
    asks(
        operator,
        "operator",
        &ring.secret("cassandra"),
        Some(spread),
    );
    let running = operator.program(&["install"]).start();
    testkit::eventually("a repair has begun", PATIENCE, || {
        let (is_there, _) = operator.hosts.shell("n1", "pgrep -f '[N]odeTool.* repair'");
        is_there.then_some(())
    });
    running.signal(rustix::process::Signal::KILL);
    running.ended();
    let mark = "test -e /var/lib/cassandra/users-owe-repair";
    operator.shell("n1", mark);
    let said = operator.ends(&["install"], 0);
    assert!(
        said.contains("Cassandra: copies of users on more nodes\n"),
        "{said}"
    );
    assert!(!operator.hosts.shell("n1", mark).0);
    let said = operator.ends(&["install"], 0);
    assert!(!said.contains("copies of users"), "{said}");
}

#[test]
fn from_nothing() {
    let Some(ring) = Ring::start(&["cassandra", "cassandra", "cassandra", "monitor"]) else {
        return;
    };
    let operator = &ring.operator;
    ring.configure(&json!({}));
    let log = || operator.shell("n1", "journalctl -q -o cat -u cassandra | tail -n 60");
    let ended = operator.run(&["install"]);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(ended.status.success(), "{said}{}", log());
    assert!(!said.contains("warning"), "{said}");
    assert!(
        said.contains("Cassandra: superuser, no default user, user of the ledgers"),
        "{said}"
    );

    // Three racks, each with all of the data, and all are up.
    let status = ring.nodetool("n2", "status system_auth");
    for (node, rack) in [(21, "z1"), (22, "z2"), (23, "z3")] {
        let line = status
            .lines()
            .find(|it| it.starts_with(&format!("UN  10.91.0.{node} ")));
        let line = line.unwrap_or_else(|| panic!("{status}"));
        assert!(
            line.contains("100.0%") && line.trim_end().ends_with(rack),
            "{status}"
        );
    }
    for (user, password, expect) in [
        ("cassandra", "cassandra".to_owned(), false),
        ("operator", "cassandra".to_owned(), false),
        ("operator", ring.secret("cassandra"), true),
        ("scalardl", ring.secret("scalardl"), true),
    ] {
        // What a node knows of users it asks anew every two seconds.
        testkit::eventually(&format!("{user}: {expect}"), PATIENCE, || {
            (logs_in(operator, user, &password) == expect).then_some(())
        });
    }

    // JMX and Jolokia: on loopback, with passwords, which no list of processes shows.
    for port in [7199, 8778] {
        let listens = operator.shell("n1", &format!("ss -Hltn 'sport = :{port}'"));
        assert!(
            listens.lines().all(|it| it.contains("127.0.0.1")) && !listens.is_empty(),
            "{listens}"
        );
    }
    let stranger = "sed 's/ -u operator -pwf [^ ]*//' /etc/scalar-dl-monitoring/cassandra/nodetool | sh -s info";
    let (is_fine, refused) = operator.hosts.shell("n1", stranger);
    assert!(
        !is_fine && refused.contains("Credentials required"),
        "{refused}"
    );
    let processes = operator.shell("n1", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    for secret in ["cassandra", "jmx", "jolokia", "scalardl"] {
        assert!(!processes.contains(&ring.secret(secret)), "{secret}");
    }
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("5 nodes looked at, 0 differ"), "{said}");

    exchanged(&ring);
    repaired(&ring);
    let said = operator.run(&["doctor", "n1", "--json"]).stdout;
    assert!(said.contains("\"what\": \"3 UN\""), "{said}");

    // Another heap waits for somebody who says so; then it is one node after the other.
    ring.configure(&json!({"cassandra_heap_mb": 200}));
    let before = NODES.map(|it| ring.process(it));
    for _ in 0..2 {
        let said = operator.ends(&["install"], 0);
        assert!(
            said.contains("cassandra.service does not know yet what is in /etc/scalar-dl-monitoring/cassandra/start.sh; `install --restart-stateful`"),
            "{said}"
        );
    }
    assert_eq!(NODES.map(|it| ring.process(it)), before);
    let said = operator.ends(&["install", "--restart-stateful", "n1", "n2"], 0);
    assert!(
        said.contains("2 of 2 nodes changed") && !said.contains("warning"),
        "{said}"
    );
    let after = NODES.map(|it| ring.process(it));
    let same: Vec<_> = before.iter().zip(&after).map(|it| it.0 == it.1).collect();
    assert_eq!(same, [false, false, true]);
    let drained = operator.shell("n1", "journalctl -q -o cat -u cassandra | grep -c DRAINED");
    assert_ne!(drained.trim(), "0");

    // One that is killed comes back by itself.
    operator.shell(
        "n1",
        "kill -9 $(systemctl show -p MainPID --value cassandra)",
    );
    testkit::eventually("n1 is back", PATIENCE, || {
        let (_, said) = operator.hosts.shell(
            "n2",
            "/usr/local/bin/nodetool status 2>/dev/null | grep -c ^UN",
        );
        let is_new = ring.process("n1").trim() != after[0].trim();
        (said.trim() == "3" && is_new).then_some(())
    });

    // Who takes the word away does not stop it.
    ring.configure(&json!({"services": []}));
    let said = operator.ends(&["install", "n1"], 1);
    assert!(said.contains("config.json no longer says"), "{said}");
    ring.configure(&json!({}));

    // Its data stay, and are its own.
    let said = operator.ends(&["uninstall", "n3", "--yes"], 0);
    assert!(
        said.contains("n3: Cassandra's data stay in /var/lib/cassandra"),
        "{said}"
    );
    let left = operator.shell("n3", "stat -c %U /var/lib/cassandra/data/system; systemctl is-active cassandra || :; ls /etc/scalar-dl-monitoring /opt/scalar-dl-monitoring 2>&1 || :");
    assert!(left.starts_with("cassandra\ninactive\n"), "{left}");
    assert!(left.contains("No such file"), "{left}");
}

/// A disk of somebody's is left alone, an empty one becomes Cassandra's, and without it Cassandra does not start.
#[test]
fn disks() {
    let folder = tempfile::tempdir().unwrap();
    let Some(ring) = Ring::start(&["cassandra"]) else {
        return;
    };
    let disk = Disk::new(folder.path(), 512 << 20).unwrap();
    let operator = &ring.operator;
    let hosts = operator.path("env/hosts.yml");
    let text = fs::read_to_string(&hosts).unwrap();
    let volumes = "role: cassandra, volumes: [{for: data, serial: vol-0abc}]";
    fs::write(&hosts, text.replace("role: cassandra", volumes)).unwrap();
    ring.configure(&json!({"leave_out": ["alert-router", "grafana", "prometheus"]}));
    operator.hosts.plug("n1", &disk, "vol0abc");

    let device = disk.device();
    let foreign = Program::at("mkfs.ext4").args(["-q", "-F", device]).run();
    assert!(foreign.status.success(), "{}", foreign.stderr);
    let said = operator.ends(&["install", "n1"], 1);
    assert!(
        said.contains("there is ext4 on it that is not ours"),
        "{said}"
    );
    let state = "test -e /etc/systemd/system/cassandra.service";
    assert!(!operator.hosts.shell("n1", state).0);

    disk.clear();
    operator.shell(
        "n1",
        &format!(
            "blockdev --flushbufs {device}; echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || :"
        ),
    );
    let said = operator.ends(&["install", "n1", "--dry-run"], 2);
    assert!(
        said.contains("format, for it is empty, the disk vol0abc as /var/lib/cassandra"),
        "{said}"
    );
    let ended = operator.run(&["install", "n1"]);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let log = operator.shell(
        "n1",
        "journalctl -q --no-pager -o cat -n 30 -u var-lib-cassandra.mount -u cassandra",
    );
    assert!(ended.status.success(), "{said}{log}");
    let mounted = "grep ' /var/lib/cassandra ' /proc/mounts";
    assert!(
        operator
            .shell("n1", mounted)
            .starts_with(&format!("{device} /var/lib/cassandra xfs"))
    );
    operator.shell("n1", "touch /var/lib/cassandra/data/mark");
    let said = operator.ends(&["install", "n1"], 0);
    assert!(said.contains("1 nodes looked at, 0 differ"), "{said}");

    // Where it comes from, users had other numbers.
    operator.shell(
        "n1",
        "systemctl stop cassandra; chown -R 4242:4242 /var/lib/cassandra; sync",
    );

    // It starts without its disk: Cassandra does not.
    operator.hosts.kill("n1");
    operator.hosts.boot("n1");
    assert!(!operator.hosts.shell("n1", mounted).0);
    let (_, said) = operator.hosts.shell(
        "n1",
        "systemctl is-active cassandra; ls -A /var/lib/cassandra",
    );
    assert!(
        !said.starts_with("active") && !said.contains("data"),
        "{said}"
    );
    let said = operator.ends(&["install", "n1"], 1);
    assert!(said.contains("has no disk of that serial"), "{said}");

    // It is back, with all that was on it.
    prepare(operator, "n1");
    operator.hosts.plug("n1", &disk, "vol0abc");
    operator.ends(&["install", "n1"], 0);
    let said = operator.shell("n1", "stat -c %U:%G /var/lib/cassandra/data/mark");
    assert_eq!(said, "cassandra:cassandra\n");
    let said = operator.ends(&["install", "n1"], 0);
    assert!(said.contains("0 differ"), "{said}");
}
