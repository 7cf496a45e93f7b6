//! Packages on a host: what `make dist` hands out, but with the programs that tests run inside.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use testkit::{Hosts, binary, eventually, root, skip};

use crate::operator::FILES;

const PATIENCE: Duration = Duration::from_secs(30);

/// A host that has none of our packages, and packages to bring there.
struct Machine {
    hosts: Hosts,
    folder: tempfile::TempDir,
}

impl Machine {
    /// None where that cannot be.
    fn start() -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("hosts").tempdir().unwrap();
        let machines = folder.path().join("machines");
        fs::create_dir(&machines).unwrap();
        let Some(hosts) = Hosts::start(&machines, 1) else {
            skip("needs root, for machines in namespaces");
            return None;
        };
        Some(Self { hosts, folder })
    }

    #[track_caller]
    fn shell(&self, command: &str) -> String {
        let (is_fine, said) = self.hosts.shell("n1", command);
        assert!(is_fine, "{command}: {said}");
        said
    }

    /// What a property of a unit is.
    #[track_caller]
    fn shows(&self, unit: &str, property: &str) -> String {
        let said = self.shell(&format!("systemctl show --value -p {property} {unit}"));
        said.trim_end().to_owned()
    }

    /// The answer of a program of the host; empty while there is none.
    fn get(&self, port: u16, path: &str) -> String {
        // There is no curl on the host.
        let ask = format!(
            "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && printf \"GET {path} HTTP/1.0\\r\\n\\r\\n\" >&3 && cat <&3'"
        );
        let (is_fine, said) = self.hosts.shell("n1", &ask);
        if is_fine { said } else { String::new() }
    }

    #[track_caller]
    fn answers(&self, port: u16, path: &str, with: &str) {
        eventually(with, PATIENCE, || {
            self.get(port, path).contains(with).then_some(())
        });
    }

    /// Makes a package of a program, which may be another one than ours, and brings it there.
    #[track_caller]
    fn brings(&self, name: &str, version: &str, program: &[u8]) {
        let work = self.folder.path().join(format!("{name}-{version}"));
        let (from, to) = (work.join("from"), work.join("to"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(&to).unwrap();
        fs::write(from.join(name), program).unwrap();
        fs::set_permissions(from.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        packages(&from, &to, version);
        let package = format!("{name}_{version}_amd64.deb");
        let said = self
            .hosts
            .feed("n1", &format!("cat >/tmp/{package}"), &to.join(&package));
        assert_eq!(said, "");
    }

    /// Has a package installed, or one in the place of another; nobody is there to be asked anything.
    #[track_caller]
    fn installs(&self, name: &str, version: &str) {
        self.shell(&format!(
            "dpkg -i /tmp/{name}_{version}_amd64.deb </dev/null"
        ));
        let state = self.shell(&format!(
            "dpkg-query -W -f '${{Status}} ${{Version}}' {name}"
        ));
        assert_eq!(state, format!("install ok installed {version}"));
    }

    /// Whether the program that runs is that of the package which is installed.
    #[track_caller]
    fn runs_what_is_installed(&self, name: &str) -> bool {
        let process = self.shows(name, "MainPID");
        let compare = format!("cmp -s /proc/{process}/exe /usr/bin/{name}");
        self.hosts.shell("n1", &compare).0
    }

    /// All files that packages may leave. dpkg and systemd have records of their own, of which none may be about us.
    fn files(&self) -> BTreeSet<String> {
        let records = "find /var/lib/private /var/lib/systemd/deb-systemd* /var/lib/dpkg/info 2>/dev/null || true";
        let files = self.shell(FILES) + &self.shell(records);
        let files = files
            .lines()
            .filter(|it| !it.starts_with("/var/lib/dpkg") || it.starts_with("/var/lib/dpkg/info"));
        files.map(str::to_owned).collect()
    }

    #[track_caller]
    fn purges(&self, names: &[&str], before: &BTreeSet<String>) {
        self.shell(&format!("dpkg --purge {}", names.join(" ")));
        let after = self.files();
        let left: Vec<_> = after.difference(before).collect();
        assert!(left.is_empty(), "{left:?}");
        for name in names {
            assert!(!self.hosts.shell("n1", &format!("id {name}")).0, "{name}");
            assert_eq!(self.shows(name, "LoadState"), "not-found");
        }
    }
}

/// Packages of the programs in a folder, by the script that makes those that are handed out.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "tests start programs")]
fn packages(from: &PathBuf, to: &PathBuf, version: &str) {
    let output = Command::new(root().join("scripts/dist.sh"))
        .arg("packages")
        .args([from, to])
        .args(["--fast", "--deb-version", version])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// A program that does the same and is another one.
fn changed(mut program: Vec<u8>) -> Vec<u8> {
    program.push(b'\n');
    program
}

#[test]
fn node_exporter_from_nothing_to_nothing() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let name = "node-exporter";
    let program = fs::read(binary(name)).unwrap();
    let before = machine.files();

    // Installed, it runs, and will after the next boot.
    machine.brings(name, "0.1.0", &program);
    machine.installs(name, "0.1.0");
    let state = machine.shell(&format!(
        "systemctl is-active {name}; systemctl is-enabled {name}"
    ));
    assert_eq!(state, "active\nenabled\n");
    machine.shell("echo 'backup_time_seconds 7' >/var/lib/node-exporter/backup.prom");
    machine.answers(9100, "/metrics", "\nbackup_time_seconds 7\n");
    machine.answers(9100, "/metrics", "\nnode_textfile_scrape_error 0\n");
    machine.answers(
        9100,
        "/metrics",
        "\nnode_scrape_collector_success{collector=\"systemd\"} 1\n",
    );

    // It has no rights.
    let process = machine.shows(name, "MainPID");
    let status = machine.shell(&format!("cat /proc/{process}/status"));
    for line in [
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    assert!(!status.contains("\nUid:\t0"), "{status}");
    for (property, value) in [
        ("DynamicUser", "yes"),
        ("ProtectSystem", "strict"),
        ("PrivateDevices", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("FragmentPath", "/lib/systemd/system/node-exporter.service"),
    ] {
        let shown = machine.shows(name, property);
        // /lib and /usr/lib are one.
        assert!(shown.ends_with(value), "{property}: {shown}");
    }

    // What was configured outlives an upgrade, and the new program runs.
    machine.shell(&format!(
        "sed -i s/:9100/127.0.0.1:9199/ /etc/default/{name} && systemctl restart {name}"
    ));
    machine.answers(9199, "/metrics", "\nbackup_time_seconds 7\n");
    machine.brings(name, "0.2.0", &changed(program));
    machine.installs(name, "0.2.0");
    machine.answers(9199, "/metrics", "\nbackup_time_seconds 7\n");
    assert!(machine.runs_what_is_installed(name));
    assert_ne!(machine.shows(name, "MainPID"), process);
    assert_eq!(machine.get(9100, "/metrics"), "");
    assert_eq!(machine.shows(name, "NRestarts"), "0");

    // A flag that is unknown is said once, nobody tries again, and dpkg goes on all the same.
    machine.shell(&format!(
        "cp /etc/default/{name} /srv/good && echo 'ARGS=--web.listen-adress=:1' >/etc/default/{name}"
    ));
    machine.installs(name, "0.2.0");
    eventually("it gives up", PATIENCE, || {
        (machine.shows(name, "ActiveState") == "failed").then_some(())
    });
    assert_eq!(machine.shows(name, "ExecMainStatus"), "2");
    assert_eq!(machine.shows(name, "NRestarts"), "0");
    let log = machine.shell(&format!("journalctl -u {name} -o cat"));
    assert!(log.contains("'--web.listen-adress'"), "{log}");
    machine.shell(&format!(
        "mv /srv/good /etc/default/{name} && systemctl restart {name}"
    ));
    machine.answers(9199, "/metrics", "\nbackup_time_seconds 7\n");

    // A version that does not run: dpkg takes it, and takes the one before it again, which runs.
    machine.brings(name, "0.3.0", b"#!/bin/sh\nexit 1\n");
    machine.installs(name, "0.3.0");
    eventually("it is down", PATIENCE, || {
        machine.get(9199, "/metrics").is_empty().then_some(())
    });
    machine.installs(name, "0.2.0");
    machine.answers(9199, "/metrics", "\nbackup_time_seconds 7\n");
    assert!(machine.runs_what_is_installed(name));

    // Removed, it is gone but for what was configured; purged, without a trace.
    machine.shell(&format!("dpkg -r {name}"));
    assert_eq!(machine.shows(name, "ActiveState"), "inactive");
    assert_eq!(machine.get(9199, "/metrics"), "");
    let kept = machine.shell(&format!("cat /etc/default/{name}"));
    assert!(kept.contains(":9199"), "{kept}");
    machine.purges(&[name], &before);
}

/// Those that do nothing of use before they are configured are not started, and do not try.
#[test]
fn those_that_wait_to_be_configured() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let names = ["alert-router", "cassandra-exporter", "traefik-exporter"];
    let before = machine.files();
    for name in names {
        machine.brings(name, "0.1.0", &fs::read(binary(name)).unwrap());
        machine.installs(name, "0.1.0");
        let (_, state) = machine.hosts.shell(
            "n1",
            &format!("systemctl is-active {name}; systemctl is-enabled {name}"),
        );
        assert_eq!(state, "inactive\ndisabled\n", "{name}");
    }
    // Started too early, they end once, and say what kind of thing they miss.
    for (name, missing, status) in [
        ("cassandra-exporter", "CREDENTIALS", "243"),
        ("traefik-exporter", "GROUP", "216"),
    ] {
        assert!(
            !machine
                .hosts
                .shell("n1", &format!("systemctl start {name}"))
                .0
        );
        assert_eq!(machine.shows(name, "ExecMainStatus"), status);
        assert_eq!(machine.shows(name, "NRestarts"), "0");
        let log = machine.shell(&format!("journalctl -u {name} -o cat"));
        assert!(log.contains(missing), "{log}");
    }

    machine.shell("install -D -m 600 /dev/null /etc/cassandra-exporter/jolokia.password && echo word >/etc/cassandra-exporter/jolokia.password");
    machine.shell("systemctl enable --now cassandra-exporter");
    machine.answers(9500, "/metrics", "\ncassandra_up 0\n");
    machine.shell("groupadd --system traefik && systemctl enable --now traefik-exporter");
    machine.answers(9101, "/metrics", "\ntraefik_up 0\n");

    // The example wants an address, which root alone may read.
    let settings = "/etc/default/alert-router";
    assert_eq!(machine.shell(&format!("stat -c %a {settings}")), "600\n");
    machine.shell("systemctl start alert-router || true");
    eventually("what is missing is said", PATIENCE, || {
        let log = machine.shell("journalctl -u alert-router -o cat");
        log.contains("api_url: the environment variable SLACK_URL is not set")
            .then_some(())
    });
    machine.shell("systemctl stop alert-router");
    machine.shell(&format!(
        "sed -i 's|^#SLACK_URL=|SLACK_URL=https://127.0.0.1/secret|' {settings}"
    ));
    machine.shell("systemctl enable --now alert-router");
    machine.answers(9093, "/-/ready", " 200 ");
    let listening = machine.shell("ss -Hltn 'sport = 9093' | awk '{print $4}'");
    assert_eq!(listening, "127.0.0.1:9093\n");
    machine.shell("alert-router silence add --alertmanager.url=http://127.0.0.1:9093 --comment=kept --duration=1h alertname=A");

    // What it knows outlives an upgrade, and so does the mode of its secrets.
    let name = "alert-router";
    machine.brings(name, "0.2.0", &changed(fs::read(binary(name)).unwrap()));
    machine.installs(name, "0.2.0");
    machine.answers(9093, "/api/v2/silences", "\"comment\":\"kept\"");
    assert!(machine.runs_what_is_installed(name));
    assert_eq!(machine.shell(&format!("stat -c %a {settings}")), "600\n");
    for property in ["StatusText", "Environment", "ExecStart"] {
        let shown = machine.shows(name, property);
        assert!(!shown.contains("secret"), "{property}: {shown}");
    }

    machine.shell("groupdel traefik");
    machine.purges(&names, &before);
}
