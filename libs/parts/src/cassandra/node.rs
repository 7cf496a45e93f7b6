//! What a node is to be: a builder, and from it the files and the command line.

use std::{
    collections::{BTreeMap, hash_map::RandomState},
    hash::{BuildHasher as _, Hasher as _},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Agent, files, jars, java};
use crate::PartError;

/// A node's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Between nodes; the same for all nodes of a ring.
    pub storage: u16,
    /// For clients.
    pub cql: u16,
    /// For those who ask Jolokia.
    pub jolokia: u16,
    /// For nodetool; always on 127.0.0.1, whatever the node's address.
    pub jmx: u16,
}

impl Ports {
    /// Ports that are free at this moment.
    ///
    /// # Errors
    /// When there are none.
    pub fn free(address: Ipv4Addr) -> io::Result<Self> {
        let ports = Self::free_ring(&[address])?;
        ports
            .first()
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The same for a ring: one port between nodes, for clients and for Jolokia on all of the addresses.
    ///
    /// # Errors
    /// When there are none.
    pub fn free_ring(addresses: &[Ipv4Addr]) -> io::Result<Vec<Self>> {
        // Held until all are found, so that none is found twice.
        let mut held = Vec::new();
        let mut shared = || free_on_all(addresses, &mut held);
        let (storage, cql, jolokia) = (shared()?, shared()?, shared()?);
        let mut ports = Vec::new();
        for _ in addresses {
            let jmx = free_on_all(&[Ipv4Addr::LOCALHOST], &mut held)?;
            ports.push(Self {
                storage,
                cql,
                jolokia,
                jmx,
            });
        }
        Ok(ports)
    }
}

/// A port that nobody listens on, below those that the kernel gives to outgoing connections (`ip_local_port_range`): between now and
/// the node's start one of those may be taken by anybody who calls somebody.
fn free_on_all(addresses: &[Ipv4Addr], held: &mut Vec<TcpListener>) -> io::Result<u16> {
    const TRIES: usize = 200;
    const FIRST: u16 = 12_000;
    const COUNT: u64 = 20_000;
    let mut last = io::ErrorKind::AddrInUse.into();
    for _ in 0..TRIES {
        // Its seed is random.
        let random = RandomState::new().build_hasher().finish() % COUNT;
        let port = FIRST + u16::try_from(random).unwrap_or(0);
        let all = addresses.iter().map(|it| TcpListener::bind((*it, port)));
        match all.collect::<io::Result<Vec<_>>>() {
            Ok(mut all) => {
                held.append(&mut all);
                return Ok(port);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A key store for `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PKCS #12.
    pub keystore: PathBuf,
    /// Its password.
    pub password: String,
}

/// How Jolokia answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jolokia {
    /// Which one.
    pub agent: Agent,
    /// User and password that it asks for.
    pub user: Option<(String, String)>,
    /// A policy: which requests it answers.
    pub policy: Option<PathBuf>,
    /// HTTPS in place of HTTP.
    pub tls: Option<Tls>,
    /// The path that it answers at.
    pub context: String,
    /// Further options of the agent.
    pub options: Vec<(String, String)>,
}

impl Jolokia {
    /// One without a password or a policy, as somebody would start it who has read no more than the first page about it.
    #[must_use]
    pub fn open(agent: Agent) -> Self {
        Self {
            agent,
            user: None,
            policy: None,
            tls: None,
            context: "/jolokia".to_owned(),
            options: Vec::new(),
        }
    }

    /// One that asks for a password and obeys a policy.
    #[must_use]
    pub fn guarded(agent: Agent, user: &str, password: &str, policy: &Path) -> Self {
        Self {
            user: Some((user.to_owned(), password.to_owned())),
            policy: Some(policy.to_owned()),
            ..Self::open(agent)
        }
    }
}

/// A node that is to be.
#[derive(Debug, Clone)]
pub struct Node {
    pub(super) version: String,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) ports: Ports,
    pub(super) address: Ipv4Addr,
    pub(super) seeds: Vec<Ipv4Addr>,
    pub(super) heap_mib: u32,
    pub(super) tokens: u32,
    pub(super) ring_delay: Duration,
    pub(super) unsafe_system: bool,
    pub(super) jolokia: Option<Jolokia>,
    pub(super) java_arguments: Vec<String>,
    pub(super) java_agents: Vec<String>,
    pub(super) yaml: String,
}

impl Node {
    /// A node that is a cluster by itself on 127.0.0.1, with a small heap and an open Jolokia; all that it writes is below `folder`.
    #[must_use]
    pub fn new(version: &str, name: &str, folder: impl Into<PathBuf>, ports: Ports) -> Self {
        Self {
            version: version.to_owned(),
            name: name.to_owned(),
            folder: folder.into(),
            ports,
            address: Ipv4Addr::LOCALHOST,
            seeds: Vec::new(),
            heap_mib: 320,
            tokens: 4,
            ring_delay: Duration::from_secs(2),
            unsafe_system: false,
            jolokia: Some(Jolokia::open(Agent::Jolokia26)),
            java_arguments: Vec::new(),
            java_agents: Vec::new(),
            yaml: String::new(),
        }
    }

    /// Where it listens; nodes of a ring differ by address.
    #[must_use]
    pub fn address(mut self, address: Ipv4Addr) -> Self {
        self.address = address;
        self
    }

    /// The nodes that it learns the ring from; itself when there are none.
    #[must_use]
    pub fn seeds(mut self, seeds: &[Ipv4Addr]) -> Self {
        self.seeds = seeds.to_vec();
        self
    }

    /// The heap, from its start; 300 tables want 2048, 1,000 tables 4096.
    #[must_use]
    pub fn heap_mib(mut self, heap: u32) -> Self {
        self.heap_mib = heap;
        self
    }

    /// `num_tokens`.
    #[must_use]
    pub fn tokens(mut self, tokens: u32) -> Self {
        self.tokens = tokens;
        self
    }

    /// How long it waits for the ring to settle.
    #[must_use]
    pub fn ring_delay(mut self, delay: Duration) -> Self {
        self.ring_delay = delay;
        self
    }

    /// Does not write its own tables to the disk at each change: many tables are made in a fraction of the time.
    #[must_use]
    pub fn unsafe_system(mut self) -> Self {
        self.unsafe_system = true;
        self
    }

    /// Its Jolokia; None for a node without.
    #[must_use]
    pub fn jolokia(mut self, jolokia: Option<Jolokia>) -> Self {
        self.jolokia = jolokia;
        self
    }

    /// One more argument of Java.
    #[must_use]
    pub fn java_argument(mut self, argument: impl Into<String>) -> Self {
        self.java_arguments.push(argument.into());
        self
    }

    /// One more agent, with the options that it takes (`9404:config.yml`); empty for none.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub fn java_agent(mut self, agent: Agent, options: &str) -> Result<Self, PartError> {
        let jar = agent.jar()?;
        let separator = if options.is_empty() { "" } else { "=" };
        let argument = format!("-javaagent:{}{separator}{options}", jar.display());
        self.java_agents.push(argument);
        Ok(self)
    }

    /// More lines for `cassandra.yaml`.
    #[must_use]
    pub fn yaml(mut self, lines: &str) -> Self {
        self.yaml = format!("{}{}\n", self.yaml, lines.trim_end());
        self
    }

    /// The files that it reads when it starts, by their path below its folder. Nobody else may read them: one has the password.
    #[must_use]
    pub fn files(&self) -> BTreeMap<&'static str, String> {
        let mut files = BTreeMap::from([
            ("conf/cassandra.yaml", files::yaml(self)),
            ("conf/cassandra-rackdc.properties", files::rack().to_owned()),
            ("conf/java.options", files::java_options(self)),
            ("conf/logback.xml", files::logback("System.out", "INFO")),
            (
                "conf/logback-tools.xml",
                files::logback("System.err", "WARN"),
            ),
            ("conf/modules.options", files::modules()),
        ]);
        if let Some(jolokia) = &self.jolokia {
            files.insert("conf/jolokia.properties", files::jolokia(self, jolokia));
        }
        files
    }

    /// Java and its arguments; fetches what is missing.
    ///
    /// # Errors
    /// When Java, the jars or an agent cannot be fetched.
    pub fn command(&self) -> Result<Vec<String>, PartError> {
        let lib = jars(&self.version)?;
        let mut command = vec![
            java()?.display().to_string(),
            format!("@{}", self.conf("modules.options").display()),
            format!("@{}", self.conf("java.options").display()),
        ];
        // It measures objects in memory by it; versions differ by line.
        if let Some(jamm) = jar_of(&lib, "jamm-") {
            command.push(format!("-javaagent:{}", jamm.display()));
        }
        if let Some(jolokia) = &self.jolokia {
            command.push(format!(
                "-javaagent:{}=config={}",
                jolokia.agent.jar()?.display(),
                self.conf("jolokia.properties").display()
            ));
        }
        command.extend(self.java_agents.iter().cloned());
        command.extend(self.java_arguments.iter().cloned());
        command.extend([
            "-classpath".to_owned(),
            // Its data centre and rack are looked for there.
            format!("{}:{}/*", self.folder.join("conf").display(), lib.display()),
            "org.apache.cassandra.service.CassandraDaemon".to_owned(),
        ]);
        Ok(command)
    }

    pub(super) fn conf(&self, file: &str) -> PathBuf {
        self.folder.join("conf").join(file)
    }

    /// Where clients reach it.
    #[must_use]
    pub fn cql_address(&self) -> SocketAddr {
        (self.address, self.ports.cql).into()
    }

    /// Where Jolokia answers; None for a node without.
    #[must_use]
    pub fn jolokia_url(&self) -> Option<String> {
        let jolokia = self.jolokia.as_ref()?;
        let scheme = if jolokia.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let (address, port, context) = (self.address, self.ports.jolokia, &jolokia.context);
        Some(format!("{scheme}://{address}:{port}{context}"))
    }
}

fn jar_of(lib: &Path, start: &str) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(lib).ok()?.flatten();
    entries
        .find(|it| {
            it.file_name()
                .to_str()
                .is_some_and(|it| it.starts_with(start))
        })
        .map(|it| it.path())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::Ports;

    #[test]
    fn ports_of_a_ring() {
        let addresses = [11, 12, 13].map(|it| Ipv4Addr::new(127, 0, 0, it));
        let ports = Ports::free_ring(&addresses).unwrap();
        assert_eq!(ports.len(), 3);
        let shared = |it: &Ports| (it.storage, it.cql, it.jolokia);
        assert!(ports.iter().all(|it| shared(it) == shared(&ports[0])));
        let mut all: Vec<_> = ports.iter().map(|it| it.jmx).collect();
        all.extend([ports[0].storage, ports[0].cql, ports[0].jolokia]);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6);
    }
}
