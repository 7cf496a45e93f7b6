//! The programs of the local network: names, ports, command lines.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
};

use anyhow::{Context as _, bail};

use super::{
    Extra,
    state::{Network, ProgramSpec},
};

/// The ports when nobody says otherwise, sorted by program.
const DEFAULTS: &[(&str, u16)] = &[
    ("alert-router", 9093),
    ("cassandra", 9042),
    ("cassandra-exporter", 9500),
    ("cassandra-jmx", 7199),
    ("cassandra-jolokia", 8778),
    ("cassandra-storage", 7000),
    ("grafana", 3000),
    ("inbox", 8025),
    ("inbox-smtp", 8026),
    ("ledger", 8083),
    ("ledger-admin", 50055),
    ("ledger-clients", 50053),
    ("ledger-privileged", 50054),
    ("node-exporter", 9100),
    ("prometheus", 9090),
    ("sample-1", 8081),
    ("sample-2", 8082),
    ("traefik", 8080),
    ("traefik-exporter", 9101),
    ("traefik-ledger", 50051),
    ("traefik-privileged", 50052),
    ("traefik-secure", 8443),
];

/// The further ports of programs that listen on several.
const FURTHER: &[(&str, &[&str])] = &[
    (
        "cassandra",
        &["cassandra-jmx", "cassandra-jolokia", "cassandra-storage"],
    ),
    ("inbox", &["inbox-smtp"]),
    (
        "ledger",
        &["ledger-admin", "ledger-clients", "ledger-privileged"],
    ),
    (
        "traefik",
        &["traefik-ledger", "traefik-privileged", "traefik-secure"],
    ),
];

/// Those that a program has besides its own.
pub(super) fn further_ports(program: &str) -> &'static [&'static str] {
    let found = FURTHER.iter().find(|it| it.0 == program);
    found.map_or(&[], |it| it.1)
}

/// Which part a port belongs to; None for those that are always there.
fn part_of(port: &str) -> Option<Extra> {
    match port.split('-').next()? {
        "cassandra" => Some(Extra::Cassandra),
        "ledger" => Some(Extra::Ledger),
        "sample" | "traefik" => Some(Extra::Traefik),
        _ => None,
    }
}

/// A port for each program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ports(BTreeMap<&'static str, u16>);

impl Ports {
    /// What `--ports` asks for; 0 is the port that `running` has, else any free one. Those of parts that are not `with` it are
    /// in nobody's way.
    pub(super) fn read(
        flags: &[String],
        with: &[Extra],
        running: Option<&Network>,
    ) -> anyhow::Result<Self> {
        let mut ports: BTreeMap<_, _> = DEFAULTS.iter().copied().collect();
        for flag in flags {
            let (name, port) = flag
                .split_once('=')
                .with_context(|| format!("--ports: {flag:?} is not of the form program=port"))?;
            let names: Vec<_> = DEFAULTS.iter().map(|it| it.0).collect();
            let known = DEFAULTS.iter().find(|it| it.0 == name);
            let (name, _) = known.with_context(|| {
                format!(
                    "--ports: there is no program {name:?}; there are {}",
                    names.join(", ")
                )
            })?;
            let port = port
                .parse()
                .ok()
                .with_context(|| format!("--ports: {port:?} is no port of 0 to 65535"))?;
            ports.insert(name, port);
        }
        ports.retain(|name, _| part_of(name).is_none_or(|it| with.contains(&it)));
        let mut taken = Vec::new();
        // Held until every program has its port: the kernel may give one that was let go again.
        let mut held = Vec::new();
        for (name, port) in &mut ports {
            if *port == 0 {
                *port = match running.and_then(|it| port_of(it, name)) {
                    Some(port) => port,
                    None => {
                        let listener = free_port()?;
                        let port = listener.local_addr()?.port();
                        held.push(listener);
                        port
                    }
                };
            }
            if taken.contains(port) {
                bail!("--ports: two programs have the port {port}");
            }
            taken.push(*port);
        }
        Ok(Self(ports))
    }

    pub(super) fn get(&self, program: &str) -> u16 {
        self.0.get(program).copied().unwrap_or(0)
    }

    /// Fails when somebody else listens on one of these programs' ports.
    pub(super) fn check_free(&self, programs: &[&str]) -> anyhow::Result<()> {
        for program in programs {
            let port = self.get(program);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if let Err(error) = TcpListener::bind(address) {
                let holder = holder(port).map_or_else(String::new, |it| format!(", held by {it}"));
                bail!(
                    "the port {port} of {program} is not free ({error}{holder}); stop what holds it, or choose another with --ports {program}=0"
                );
            }
        }
        Ok(())
    }
}

/// The port of this name that a network has.
fn port_of(network: &Network, name: &str) -> Option<u16> {
    let mut ports = network.programs.iter().flat_map(ProgramSpec::all_ports);
    ports.find(|it| it.0 == name).map(|it| it.1)
}

fn free_port() -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")
}

/// Who listens on a port of this machine, when `/proc` tells: `python3 (pid 5)`.
fn holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|path| {
            let text = fs::read_to_string(path).ok()?;
            text.lines().skip(1).find_map(|line| {
                let fields: Vec<_> = line.split_ascii_whitespace().collect();
                // State 0A is LISTEN (proc(5)).
                let listens = fields.get(3) == Some(&"0A");
                let (_, its) = fields.get(1)?.rsplit_once(':')?;
                let same = u16::from_str_radix(its, 16).ok()? == port;
                (listens && same).then(|| fields.get(9).map(|it| format!("socket:[{it}]")))?
            })
        })?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.into_iter().find_map(|process| {
        let name = process.file_name();
        let pid: u32 = name.to_str()?.parse().ok()?;
        let mut open = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        let held = open
            .any(|it| fs::read_link(it.path()).is_ok_and(|it| it.as_os_str() == inode.as_str()));
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        held.then(|| format!("{} (pid {pid})", name.trim()))
    })
}

/// A program of ours: beside this one, where a build puts them, else on the PATH.
pub(super) fn ours(program: &str) -> anyhow::Result<PathBuf> {
    let own = crate::own_path()?;
    let beside = own
        .parent()
        .map(|it| it.join(program))
        .filter(|it| it.is_file());
    beside.or_else(|| parts::on_path(program)).with_context(|| {
        format!("{program} is neither beside {} nor on the PATH; build it with: cargo build --release -p {program}", own.display())
    })
}

/// The name of this host: what alerts call it.
pub(super) fn host_name() -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy().into_owned();
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
    let name: String = name.chars().filter(|it| plain(*it)).collect();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{DEFAULTS, Extra, FURTHER, Ports};

    fn read(flags: &[&str]) -> Result<Ports, String> {
        read_with(flags, &[])
    }

    fn read_with(flags: &[&str], with: &[Extra]) -> Result<Ports, String> {
        let flags: Vec<_> = flags.iter().map(|it| (*it).to_owned()).collect();
        Ports::read(&flags, with, None).map_err(|it| it.to_string())
    }

    #[test]
    fn tables() {
        assert!(DEFAULTS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(FURTHER.is_sorted_by(|a, b| a.0 < b.0));
        for (program, ports) in FURTHER {
            for name in [&[*program], *ports].concat() {
                assert!(DEFAULTS.iter().any(|it| it.0 == name), "{name}");
            }
        }
    }

    #[test]
    fn ports() {
        assert_eq!(read(&[]).unwrap().get("prometheus"), 9090);
        assert_eq!(read(&["prometheus=1234"]).unwrap().get("prometheus"), 1234);
        assert_ne!(read(&["prometheus=0"]).unwrap().get("prometheus"), 0);
        for (flag, expect) in [
            (
                "prometheus",
                "--ports: \"prometheus\" is not of the form program=port",
            ),
            (
                "prom=1",
                "--ports: there is no program \"prom\"; there are alert-router, cassandra, cassandra-exporter, cassandra-jmx, cassandra-jolokia, cassandra-storage, grafana, inbox, inbox-smtp, ledger, ledger-admin, ledger-clients, ledger-privileged, node-exporter, prometheus, sample-1, sample-2, traefik, traefik-exporter, traefik-ledger, traefik-privileged, traefik-secure",
            ),
            ("inbox=70000", "--ports: \"70000\" is no port of 0 to 65535"),
            ("inbox=9090", "--ports: two programs have the port 9090"),
        ] {
            assert_eq!(read(&[flag]).unwrap_err(), expect);
        }
        // A part that is not started takes no port.
        assert!(read(&["inbox=9500"]).is_ok());
        assert_eq!(
            read_with(&["inbox=9500"], &[Extra::Cassandra]).unwrap_err(),
            "--ports: two programs have the port 9500"
        );
    }

    #[test]
    fn a_taken_port_names_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ports = read(&[&format!("inbox={port}")]).unwrap();
        let error = ports.check_free(&["inbox"]).unwrap_err().to_string();
        let expect = format!(
            "the port {port} of inbox is not free (Address already in use (os error 98), held by "
        );
        assert!(
            error.starts_with(&expect) && error.contains(&format!("(pid {})", std::process::id())),
            "{error}"
        );
        drop(listener);
        ports.check_free(&["inbox"]).unwrap();
    }
}
