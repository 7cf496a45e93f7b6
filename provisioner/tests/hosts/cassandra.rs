//! A ring of two real Cassandra nodes, which systemd runs: Jolokia joins them while they run, and nothing of ours harms them.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use parts::cassandra::{Agent, Node, Ports, jars, java};
use serde_json::json;

use crate::operator::Operator;

const VERSION: &str = "4.1.10";
const HOME: &str = "/var/lib/cassandra";
const PATIENCE: Duration = Duration::from_secs(180);
/// As it was before us; the line has no end.
const ENVIRONMENT: &str = "# Cassandra's environment.\nJAVA=/opt/java/bin/java";

pub(crate) struct Ring {
    pub(crate) operator: Operator,
}

impl Ring {
    fn start() -> Option<Self> {
        Self::start_with(&["cassandra", "cassandra", "monitor"])
    }

    /// With hosts of these roles, of which the first have Cassandra.
    pub(crate) fn start_with(roles: &[&str]) -> Option<Self> {
        let (lib, java) = (jars(VERSION).unwrap(), java().unwrap());
        let home = home_of(&java);
        // Debian keeps what may be changed of Java elsewhere.
        let settings = fs::read_link(home.join("conf/logging.properties")).ok();
        let settings = settings.map(|it| it.parent().unwrap().to_owned());
        let mut binds = vec![(lib.as_path(), "/opt/cassandra"), (&home, "/opt/java")];
        binds.extend(
            settings
                .iter()
                .map(|it| (it.as_path(), it.to_str().unwrap())),
        );
        let operator = Operator::start_with(roles, &binds)?;
        let ring = Self { operator };
        let count = roles.iter().take_while(|it| **it == "cassandra").count();
        for host in 1..=u8::try_from(count).unwrap() {
            ring.prepare(host, &lib, &java);
            ring.operator
                .shell(&format!("n{host}"), "systemctl start cassandra");
            ring.waits("n1", "UN", usize::from(host));
        }
        Some(ring)
    }

    /// What stands for Cassandra's package on a host.
    fn prepare(&self, host: u8, lib: &Path, java: &Path) {
        let ports = Ports {
            storage: 7000,
            cql: 9042,
            jolokia: 8778,
            jmx: 7199,
        };
        let name = format!("n{host}");
        let node = Node::new(VERSION, &name, HOME, ports)
            .address(Ipv4Addr::new(10, 91, 0, 20 + host))
            .seeds(&[Ipv4Addr::new(10, 91, 0, 21)])
            .heap_mib(256)
            .jolokia(None);
        let text = |it: &str| {
            it.replace(&lib.display().to_string(), "/opt/cassandra")
                .replace(&java.display().to_string(), "/opt/java/bin/java")
        };
        let mut command: Vec<_> = node.command().unwrap().iter().map(|it| text(it)).collect();
        let program = command.remove(0);
        let quoted = |it: &String| format!("'{it}'");
        let command: Vec<_> = command.iter().map(quoted).collect();
        let mut files: Vec<(PathBuf, String)> = node
            .files()
            .into_iter()
            .map(|(path, content)| (Path::new(HOME).join(path), text(&content)))
            .collect();
        files.extend([
            ("/etc/cassandra/cassandra-env.sh".into(), ENVIRONMENT.to_owned()),
            (
                "/usr/sbin/cassandra".into(),
                format!("#!/bin/sh\n. /etc/cassandra/cassandra-env.sh\nexec {program} $JVM_OPTS {}\n", command.join(" ")),
            ),
            (
                "/usr/bin/nodetool".into(),
                format!("#!/bin/sh\nexec {program} @{HOME}/conf/modules.options -Xmx64m -XX:TieredStopAtLevel=1 -Duser.home=/tmp \
                    -Dlogback.configurationFile={HOME}/conf/logback-tools.xml -cp '/opt/cassandra/*' org.apache.cassandra.tools.NodeTool -h 127.0.0.1 -p 7199 \"$@\"\n"),
            ),
            (
                "/etc/systemd/system/cassandra.service".into(),
                "[Service]\nUser=cassandra\nExecStart=/usr/sbin/cassandra\nSuccessExitStatus=143\n".to_owned(),
            ),
        ]);
        let list = self.operator.path("files.tar");
        let mut tar = tar::Builder::new(fs::File::create(&list).unwrap());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o755);
            header.set_size(content.len().try_into().unwrap());
            let path = path.strip_prefix("/").unwrap();
            tar.append_data(&mut header, path, content.as_bytes())
                .unwrap();
        }
        tar.finish().unwrap();
        let unpack = format!("tar -xf - -C / && chown -R cassandra: {HOME}");
        let said = self.operator.hosts.feed(&name, &unpack, &list);
        assert_eq!(said, "");
    }

    /// Waits until nodetool on a host names so many nodes in a state.
    fn waits(&self, host: &str, state: &str, count: usize) {
        let command = format!("nodetool status 2>/dev/null | grep -c ^{state}");
        testkit::eventually(&format!("{count} {state}"), PATIENCE, || {
            let (_, said) = self.operator.hosts.shell(host, &command);
            (said.trim() == count.to_string()).then_some(())
        });
    }

    fn process(&self, host: &str) -> String {
        self.operator
            .shell(host, "systemctl show -p MainPID --value cassandra")
    }

    /// What Jolokia says to somebody with a password.
    fn jolokia(&self, host: &str, password: &str) -> String {
        let command = format!(
            "exec 3<>/dev/tcp/127.0.0.1/8778 && printf 'GET /jolokia/version HTTP/1.0\\r\\nAuthorization: Basic %s\\r\\n\\r\\n' $(printf 'monitor:{password}' | base64 -w 0) >&3 && head -n 1 <&3"
        );
        self.operator
            .shell(host, &format!("bash -c {}", quoted(&command)))
    }
}

/// Java's folder.
fn home_of(java: &Path) -> PathBuf {
    let java = java.canonicalize().unwrap();
    java.ancestors().nth(2).unwrap().to_owned()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn a_ring() {
    let jolokia = Agent::Jolokia26.jar().unwrap();
    for program in ["alert-router", "cassandra-exporter"] {
        assert!(testkit::binary(program).is_file());
    }
    let Some(ring) = Ring::start() else {
        return;
    };
    let operator = &ring.operator;
    let configure = |jolokia: &Path, version: &str| {
        operator.configure(&json!({
            "leave_out": ["grafana", "prometheus"],
            "artifacts": {
                "jolokia": {"path": jolokia, "version": "1.0.0"},
                "cassandra-exporter": {"path": testkit::binary("cassandra-exporter"), "version": version},
            },
        }));
    };
    configure(&jolokia, "1.0.0");
    let before = ["n1", "n2"].map(|it| ring.process(it));

    // Jolokia is in both, and they are who they were.
    let said = operator.ends(&["install"], 0);
    let log = || operator.shell("n1", "journalctl -q -o cat -u cassandra | tail -n 40");
    assert!(!said.contains("warning"), "{said}{}", log());
    let secret = operator.path("env/secrets/jolokia");
    let password = fs::read_to_string(&secret).unwrap();
    for host in ["n1", "n2"] {
        let said = ring.jolokia(host, password.trim());
        assert!(said.contains("200"), "{said}");
        let text = operator.shell(host, "cat /etc/cassandra/cassandra-env.sh");
        assert_eq!(
            text,
            format!("{ENVIRONMENT}\n. /etc/scalar-dl-monitoring/jolokia/jolokia.sh\n")
        );
    }
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("4 nodes looked at, 0 differ"), "{said}");

    let doctor = |expect: &[&str]| {
        let found = operator.run(&["doctor", "n1", "--json"]).stdout;
        for expect in expect {
            assert!(
                found.contains(&format!("\"what\": \"{expect}\"")),
                "{found}"
            );
        }
    };
    // Jolokia and JMX are for the node alone.
    doctor(&["2 UN", "ours listen on 10.91.0.21 alone"]);

    // Another password, without a restart.
    fs::write(&secret, "another-password-0123456789\n").unwrap();
    operator.ends(&["install", "cassandra"], 0);
    for host in ["n1", "n2"] {
        let said = ring.jolokia(host, password.trim());
        assert!(said.contains("401"), "{said}");
        let said = ring.jolokia(host, "another-password-0123456789");
        assert!(said.contains("200"), "{said}");
    }
    assert_eq!(["n1", "n2"].map(|it| ring.process(it)), before);

    // While one is down the other is left alone; the one that is down is not.
    operator.shell("n2", "systemctl stop cassandra");
    ring.waits("n1", "DN", 1);
    doctor(&["1 DN, 1 UN"]);
    configure(&jolokia, "1.0.1");
    let said = operator.ends(&["install", "n1"], 1);
    assert!(
        said.contains(
            "n1 was not touched, for other Cassandra nodes are not well: 10.91.0.22 is DN"
        ),
        "{said}"
    );
    operator.ends(&["install", "n2"], 0);
    operator.shell("n2", "systemctl start cassandra");
    ring.waits("n1", "UN", 2);
    // Its start has brought Jolokia in.
    let said = ring.jolokia("n2", "another-password-0123456789");
    assert!(said.contains("200"), "{said}");

    // Another jar waits for a start, or for somebody who says so.
    let other = operator.path("jolokia.jar");
    let mut bytes = fs::read(&jolokia).unwrap();
    // A comment of one byte, whose length stands before it.
    let end = bytes.len() - 2;
    bytes[end..].copy_from_slice(&[1, 0]);
    bytes.push(b' ');
    fs::write(&other, bytes).unwrap();
    configure(&other, "1.0.1");
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("n1: Cassandra has "), "{said}");
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("0 differ"), "{said}");
    assert!(said.contains("--restart-stateful"), "{said}");
    let before = ["n1", "n2"].map(|it| ring.process(it));
    let said = operator.ends(&["install", "--restart-stateful"], 0);
    assert!(said.contains("2 of 4 nodes changed"), "{said}");
    let after = ["n1", "n2"].map(|it| ring.process(it));
    assert!(
        before.iter().zip(&after).all(|it| it.0 != it.1),
        "{after:?}"
    );
    ring.waits("n1", "UN", 2);
    let said = operator.ends(&["install", "--restart-stateful"], 0);
    assert!(
        said.contains("0 differ") && !said.contains("warning"),
        "{said}"
    );
    let password = fs::read_to_string(operator.path("env/secrets/operator")).unwrap();
    let client = format!(
        "tls_config: {{ca_file: /srv/ca.crt}}\nbasic_auth: {{username: operator, password: {}}}\n",
        password.trim()
    );
    let paths = ["ca.crt", "client.yml"].map(|it| operator.path(it));
    fs::copy(operator.path("env/pki/ca.crt"), &paths[0]).unwrap();
    fs::write(&paths[1], client).unwrap();
    for (path, name) in paths.iter().zip(["ca.crt", "client.yml"]) {
        let said = operator
            .hosts
            .feed("n3", &format!("cat >/srv/{name}"), path);
        assert_eq!(said, "");
    }
    let silences = operator.shell("n3", "/opt/scalar-dl-monitoring/alert-router/alert-router silence query --expired --alertmanager.url=https://10.91.0.23:9093 --http.config.file=/srv/client.yml");
    for host in ["n1", "n2"] {
        assert!(
            silences.contains(&format!("{host} is started anew")),
            "{silences}"
        );
    }

    // They are left as they were.
    operator.ends(&["uninstall", "--yes"], 0);
    for (host, process) in ["n1", "n2"].iter().zip(after) {
        assert_eq!(ring.process(host), process);
        let text = operator.shell(host, "cat /etc/cassandra/cassandra-env.sh");
        assert_eq!(text.trim_end(), ENVIRONMENT);
        assert_eq!(operator.shell(host, "ss -Hltn 'sport = :8778'"), "");
    }
    ring.waits("n1", "UN", 2);
}
