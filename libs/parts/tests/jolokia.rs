//! `packaging/cassandra` as an operator meets it: the snippet for cassandra-env.sh beside agents of all kinds, and an agent that is
//! brought to a node that runs.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::Engine as _;
use parts::cassandra::{Agent, NEWEST, Node, Ports, java};
use tempfile::TempDir;
use testkit::{Program, eventually, request, root};

const PATIENCE: Duration = Duration::from_secs(180);

/// A folder with what /etc/cassandra would have.
struct Etc {
    folder: TempDir,
    port: u16,
}

impl Etc {
    fn new() -> Self {
        let etc = Self {
            folder: tempfile::tempdir().unwrap(),
            port: Ports::free(Ipv4Addr::LOCALHOST).unwrap().jolokia,
        };
        let packaging = root().join("packaging/cassandra");
        let policy = etc.path("jolokia-access.xml");
        fs::copy(packaging.join("jolokia-access.xml"), &policy).unwrap();
        let text = fs::read_to_string(packaging.join("jolokia.properties")).unwrap();
        let text = text.replace("8778", &etc.port.to_string());
        let text = text.replace(
            "/etc/cassandra/jolokia-access.xml",
            &policy.display().to_string(),
        );
        etc.config(&format!("{text}password=secret\n"), 0o600);
        etc
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, text: &str, mode: u32) {
        let path = self.path("jolokia.properties");
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// JVM_OPTS after the snippet, and what it said.
    fn source(&self, jar: &Path, java: &Path, shell: &str) -> (String, String) {
        let script = self.path("cassandra");
        let snippet = root().join("packaging/cassandra/jolokia.sh");
        let text = format!(
            "set -eu\nJVM_OPTS=-Xmx1g\n. {}\necho \"$JVM_OPTS\"\n",
            snippet.display()
        );
        fs::write(&script, text).unwrap();
        let ended = Program::at(shell)
            .args([&script])
            .env("JAVA", java)
            .env("JOLOKIA_JAR", jar)
            .env("JOLOKIA_CONFIG", self.path("jolokia.properties"))
            .env("JOLOKIA_TIMEOUT", "60")
            .run();
        assert!(ended.status.success(), "{}", ended.stderr);
        (ended.stdout.trim().to_owned(), ended.stderr)
    }

    fn ask(&self, path: &str) -> Option<String> {
        let word = base64::engine::general_purpose::STANDARD.encode("monitor:secret");
        let auth = format!("Basic {word}");
        let address = (Ipv4Addr::LOCALHOST, self.port).into();
        let headers = [("Authorization", auth.as_str())];
        let (status, _, body) = request(address, "GET", path, &headers, b"")?;
        assert_eq!(status, 200);
        String::from_utf8(body).ok()
    }
}

#[test]
fn a_good_agent_is_added() {
    let (etc, java) = (Etc::new(), java().unwrap());
    // The port is in use, as it is while an old node ends: that must not cost the new one its agent.
    let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, etc.port)).unwrap();
    for agent in [Agent::Jolokia26, Agent::Jolokia23, Agent::Jolokia17] {
        let jar = agent.jar().unwrap();
        let config = etc.path("jolokia.properties");
        let expect = format!(
            "-Xmx1g -javaagent:{}=config={}",
            jar.display(),
            config.display()
        );
        for shell in ["sh", "bash"] {
            let (options, said) = etc.source(&jar, &java, shell);
            assert_eq!((options.as_str(), said.as_str()), (expect.as_str(), ""));
        }
    }
}

#[test]
fn a_bad_agent_is_left_out() {
    let (etc, java) = (Etc::new(), java().unwrap());
    let good = Agent::Jolokia26.jar().unwrap();
    let check = |jar: &Path, java: &Path, expect: &str| {
        let (options, said) = etc.source(jar, java, "sh");
        assert_eq!(options, "-Xmx1g", "{expect}");
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 1, "{said}");
        assert!(
            lines[0].starts_with("jolokia.sh: Cassandra starts without Jolokia: ")
                && lines[0].contains(expect),
            "{expect}: {said}"
        );
    };
    check(&etc.path("none.jar"), &java, "there is no agent at ");
    check(Path::new("/a b.jar"), &java, "a path with a space");
    let broken = etc.path("broken.jar");
    fs::write(&broken, "no archive").unwrap();
    check(&broken, &java, "does not load: Error opening zip file");
    check(&newer(&etc), &java, "UnsupportedClassVersionError");
    // An archive, but none of an agent.
    let jars = parts::cassandra::jars(NEWEST).unwrap();
    check(
        &jars.join(format!("cassandra-all-{NEWEST}.jar")),
        &java,
        "does not load: ",
    );
    check(&good, &etc.path("no-java"), "there is no Java");
    let slow = etc.path("slow-java");
    fs::write(&slow, "#!/bin/sh\nkill -9 $$\n").unwrap();
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).unwrap();
    check(&good, &slow, "is not loaded within 60 s");

    let config = fs::read_to_string(etc.path("jolokia.properties")).unwrap();
    etc.config(&config, 0o644);
    check(&good, &java, "others can read the password in ");
    etc.config(&format!("{config}backlog=many\n"), 0o600);
    check(&good, &java, "NumberFormatException");
    etc.config(&config.replace("policyLocation", "policy"), 0o600);
    check(
        &good,
        &java,
        "names no policy (policyLocation) that can be read, found ''",
    );
    etc.config(&config, 0o600);
    fs::remove_file(etc.path("jolokia-access.xml")).unwrap();
    check(&good, &java, "names no policy");
    fs::remove_file(etc.path("jolokia.properties")).unwrap();
    check(&good, &java, "cannot read ");

    // Said once and for all: without Jolokia.
    let (options, said) = etc.source(Path::new(""), &java, "sh");
    assert_eq!((options.as_str(), said.as_str()), ("-Xmx1g", ""));
}

/// An agent as it would look that was made for a Java that is not there yet: a jar whose class has a number of that Java.
fn newer(etc: &Etc) -> PathBuf {
    // In an archive without compression the class follows its name.
    let manifest = b"Premain-Class: A\n";
    let class = [&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 99][..], &[0; 8]].concat();
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in [("META-INF/MANIFEST.MF", &manifest[..]), ("A.class", &class)] {
        let offset = u32::try_from(archive.len()).unwrap();
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let name_size = u16::try_from(name.len()).unwrap().to_le_bytes();
        // Version, flags, no compression, time, date; sum, sizes; the name's length, and nothing after the name.
        let common = [
            &[10, 0, 0, 0, 0, 0, 0, 0, 33, 0][..],
            &sum(content).to_le_bytes(),
            &size,
            &size,
            &name_size,
            &[0; 2],
        ]
        .concat();
        archive.extend([b"PK\x03\x04", &common[..], name.as_bytes(), content].concat());
        directory.extend(
            [
                b"PK\x01\x02\x0a\0",
                &common[..],
                &[0; 10],
                &offset.to_le_bytes(),
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let (start, size) = (archive.len(), directory.len());
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
    archive.extend(u32::try_from(size).unwrap().to_le_bytes());
    archive.extend(u32::try_from(start).unwrap().to_le_bytes());
    archive.extend([0, 0]);
    let path = etc.path("newer.jar");
    fs::write(&path, archive).unwrap();
    path
}

/// CRC-32, as archives have it.
fn sum(content: &[u8]) -> u32 {
    let byte = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 * (sum & 1))
        })
    };
    !content.iter().fold(u32::MAX, byte)
}

/// An agent comes to a node that runs, by the means of the README, and goes again; the node goes on.
#[test]
fn attached_to_a_running_node() {
    let (etc, java) = (Etc::new(), java().unwrap());
    let ports = Ports::free(Ipv4Addr::LOCALHOST).unwrap();
    let mut node = Node::new(NEWEST, "n1", etc.path("node"), ports)
        .jolokia(None)
        .start()
        .unwrap();
    node.wait_ready(PATIENCE).unwrap();
    let mode = "/jolokia/read/org.apache.cassandra.db:type=StorageService/OperationMode";
    let jar = Agent::Jolokia26.jar().unwrap();
    let launch = |jar: &Path, command: &str| {
        let ended = Program::at(&java)
            .args(["-jar"])
            .args([jar])
            .args(["--config"])
            .args([etc.path("jolokia.properties")])
            .args([command, &node.pid().to_string()])
            .run();
        (ended.status.code(), ended.stdout)
    };
    // Again and again, as long as it is the same one.
    for _ in 0..2 {
        assert_eq!(launch(&jar, "start").0, Some(0));
        let body = eventually("Jolokia answers", PATIENCE, || etc.ask(mode));
        assert!(body.contains("\"value\":\"NORMAL\""), "{body}");
        let list = etc.ask("/jolokia/list").unwrap();
        assert!(list.contains("\"status\":403"), "{list}");
        assert_eq!(launch(&jar, "stop").0, Some(0));
        eventually("nobody listens", PATIENCE, || {
            etc.ask(mode).is_none().then_some(())
        });
    }
    // Of another one, the classes that are there already are in the way; the node does not mind.
    let (code, said) = launch(&Agent::Jolokia23.jar().unwrap(), "start");
    assert_eq!(code, Some(1), "{said}");
    node.cql(&["SELECT release_version FROM system.local"])
        .unwrap();
    node.stop().unwrap();
}
