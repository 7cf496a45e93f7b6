//! Nodes over SSH: the system's OpenSSH, one connection to each that all commands share. The only effects on other machines come from here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use openssh::{ControlPersist, ForwardType, KnownHosts, Session, SessionBuilder, Stdio};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Mutex,
};

use crate::{
    artifacts::sha256,
    environment::ssh_config,
    exec::shell_word,
    machines::{self, Learning},
    network::{Network, Node},
};

/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(15);
/// A connection that nobody uses ends by itself, also when the provisioner was killed.
const IDLE: u32 = 60;
/// What a command may write.
const MAX_OUTPUT: u64 = 16 << 20;
/// Runs the script that follows as root.
pub(crate) const AS_ROOT: &str =
    "if [ \"$(id -u)\" = 0 ]; then exec sh -c \"$0\"; else exec sudo -n sh -c \"$0\"; fi";

/// Ways to the nodes of a network.
pub(crate) struct Remotes {
    /// Connections to bastions, by name: one for all that is done behind it. They end before their folder goes.
    ways: Mutex<BTreeMap<String, Arc<Session>>>,
    bastions: Vec<Node>,
    config: PathBuf,
    /// Instance ids of machines whose host keys are learned, when they have none yet.
    learned: BTreeSet<String>,
    _learning: Learning,
    /// Sockets and configuration.
    folder: tempfile::TempDir,
}

/// A connection to a node.
pub(crate) struct Remote {
    session: Arc<Session>,
    name: String,
}

/// What a command gave.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Why a node cannot be reached, in words that say what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    #[error(
        "{node}: its host key is not the one that is known, or none is: compare it with the machine's own, then put it into known_hosts, or its \
         fingerprint as host_key into the hosts file"
    )]
    HostKey { node: String, source: io::Error },
    #[error(
        "{node}: it does not let us in: look at private_key_file, the agent's keys and the user"
    )]
    Refused { node: String, source: io::Error },
    #[error("{node}: it cannot be reached")]
    Unreachable { node: String, source: io::Error },
    #[error("{node}: it cannot be reached, as the way leads over {bastion}, which cannot be")]
    Way { node: String, bastion: String },
    #[error("{node}: the connection broke off")]
    Broken {
        node: String,
        source: openssh::Error,
    },
    #[error("{node}: no answer within {seconds} s")]
    Late { node: String, seconds: u64 },
}

impl Remotes {
    /// Writes what ssh is told.
    pub(crate) fn open(network: &Network) -> anyhow::Result<Self> {
        Self::with(network, true)
    }

    /// The same for one command of ssh, which shares no connection and so leaves none.
    pub(crate) fn alone(network: &Network) -> anyhow::Result<Self> {
        Self::with(network, false)
    }

    fn with(network: &Network, shares: bool) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("provisioner").tempdir();
        let folder = folder.context("cannot make a folder for connections")?;
        let config = folder.path().join("config");
        let text = configuration(network, shares.then(|| folder.path()))?;
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let bastions = network.nodes.iter();
        let bastions = bastions.filter(|it| network.is_bastion(&it.name));
        let nodes = network.nodes.iter();
        let learned = nodes.filter_map(|it| machines::learns(&network.config, it));
        Ok(Self {
            learned: learned.map(str::to_owned).collect(),
            _learning: Learning::new(network),
            ways: Mutex::default(),
            bastions: bastions.cloned().collect(),
            config,
            folder,
        })
    }

    /// What ssh is told with `-F`.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// Connects to bastions, and gives those to which there is no way.
    pub(crate) async fn closed(&self, patience: Duration) -> BTreeSet<String> {
        let mut closed = BTreeSet::new();
        for bastion in &self.bastions {
            if self.way(bastion, patience).await.is_err() {
                closed.insert(bastion.name.clone());
            }
        }
        closed
    }

    /// Connects to a node, over its bastion. That one's connection is made once.
    pub(crate) async fn connect(&self, node: &Node) -> Result<Remote, ReachError> {
        // ssh's own bound does not hold for the way over a bastion.
        self.connect_within(node, 3 * CONNECT).await
    }

    /// A connection that was made before, or another when it has ended meanwhile: nodes wait while those before them start.
    pub(crate) async fn still(&self, node: &Node, remote: &Remote) -> Result<Remote, ReachError> {
        if remote.session.check().await.is_err() {
            return self.connect(node).await;
        }
        Ok(Remote {
            session: Arc::clone(&remote.session),
            name: remote.name.clone(),
        })
    }

    /// Connects to a node within a time.
    pub(crate) async fn connect_within(
        &self,
        node: &Node,
        patience: Duration,
    ) -> Result<Remote, ReachError> {
        let is_way = |it: &&Node| it.name == node.name || node.bastion.as_ref() == Some(&it.name);
        let way = match self.bastions.iter().find(is_way) {
            Some(bastion) => Some((bastion, self.way(bastion, patience).await?)),
            None => None,
        };
        let session = match way {
            Some((bastion, session)) if bastion.name == node.name => session,
            _ => Arc::new(self.session(node, patience).await?),
        };
        let name = node.name.clone();
        Ok(Remote { session, name })
    }

    /// The connection to a bastion, for ssh to lead others through.
    async fn way(&self, bastion: &Node, patience: Duration) -> Result<Arc<Session>, ReachError> {
        let mut ways = self.ways.lock().await;
        if let Some(session) = ways.get(&bastion.name)
            && session.check().await.is_ok()
        {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.session(bastion, patience).await?);
        let link = way(self.folder.path(), &bastion.name);
        // Without it, ssh makes a connection to the bastion for each that is behind it.
        drop(fs::remove_file(&link));
        drop(std::os::unix::fs::symlink(session.control_socket(), &link));
        ways.insert(bastion.name.clone(), Arc::clone(&session));
        Ok(session)
    }

    async fn session(&self, node: &Node, patience: Duration) -> Result<Session, ReachError> {
        let mut builder = SessionBuilder::default();
        builder
            .config_file(&self.config)
            .control_directory(self.folder.path())
            .known_hosts_check(match &node.instance_id {
                Some(id) if self.learned.contains(id) => KnownHosts::Add,
                _ => KnownHosts::Strict,
            })
            .connect_timeout(CONNECT.min(patience))
            .server_alive_interval(Duration::from_secs(5))
            .control_persist(match std::num::NonZeroUsize::new(IDLE as usize) {
                Some(seconds) => ControlPersist::IdleFor(seconds),
                None => ControlPersist::Forever,
            });
        let name = node.name.clone();
        match tokio::time::timeout(patience, builder.connect_mux(&node.name)).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(ReachError::of(name, error)),
            Err(_elapsed) => Err(ReachError::Late {
                node: name,
                seconds: patience.as_secs(),
            }),
        }
    }
}

impl ReachError {
    fn of(node: String, error: openssh::Error) -> Self {
        let source = match error {
            openssh::Error::Connect(source) | openssh::Error::Master(source) => source,
            other => {
                return Self::Broken {
                    node,
                    source: other,
                };
            }
        };
        let text = source.to_string();
        match () {
            () if text.contains("ost key") => Self::HostKey { node, source },
            () if text.contains("ermission denied") => Self::Refused { node, source },
            () => Self::Unreachable { node, source },
        }
    }
}

/// Where ssh finds the connection to a bastion. Names may be too long for a socket's path.
fn way(folder: &Path, bastion: &str) -> PathBuf {
    folder.join(format!("way-{:.12}", sha256(bastion.as_bytes())))
}

/// The user's own configuration does not count here but for keys of the agent: what is said in the environment's files is all there is.
/// Connections to bastions are shared in a folder, if there is one.
fn configuration(network: &Network, folder: Option<&Path>) -> anyhow::Result<String> {
    let own = crate::own_path()?;
    let mut text = String::new();
    for node in &network.nodes {
        text += &format!("Host {}\n", node.name);
        if let Some(fingerprint) = &node.host_key {
            // The one whose fingerprint is named is known, and no other.
            text += &format!(
                "  UserKnownHostsFile none\n  GlobalKnownHostsFile none\n  HostKeyAlgorithms ssh-ed25519\n  KnownHostsCommand {} known-host {fingerprint} %f %H %t %K\n",
                shell_word(&own.display().to_string())
            );
        }
        if let Some(id) = machines::learns(&network.config, node) {
            // ssh takes the first key of a name that has none; the name is the machine's own.
            let file = machines::known_hosts(&network.folder)?;
            let file = file.display().to_string().replace('%', "%%");
            text += &format!(
                "  HostKeyAlias {id}\n  UserKnownHostsFile \"{file}\"\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking accept-new\n"
            );
        }
        if let Some(folder) = folder.filter(|_| network.is_bastion(&node.name)) {
            // Those behind it share its connection.
            text += &format!("  ControlPath {}\n", way(folder, &node.name).display());
        }
    }
    text += &ssh_config(network);
    text += "\nHost *\n  StrictHostKeyChecking yes\n  BatchMode yes\n  ForwardAgent no\n";
    if network.config.text("private_key_file").is_some() {
        text += "  IdentitiesOnly yes\n";
    }
    if let Some(file) = network.config.text("known_hosts_file") {
        text += &format!("  UserKnownHostsFile \"{file}\"\n");
    }
    Ok(text)
}

/// Called by ssh: the host key as known_hosts has it, when it is the one of the hosts file.
pub(crate) fn known_host(words: &[String]) -> anyhow::Result<ExitCode> {
    let [expected, found, host, kind, key] = words else {
        bail!("ssh calls this with five words");
    };
    if expected == found {
        crate::output::say(format!("{host} {kind} {key}"));
    }
    Ok(ExitCode::SUCCESS)
}

impl Remote {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs a script of sh as root, with what it reads, within a time.
    pub(crate) async fn script(
        &self,
        script: &str,
        input: &[u8],
        patience: Duration,
    ) -> Result<Output, ReachError> {
        match tokio::time::timeout(patience, self.run(script, input)).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(source)) => Err(ReachError::Broken {
                node: self.name.clone(),
                source,
            }),
            Err(_elapsed) => Err(ReachError::Late {
                node: self.name.clone(),
                seconds: patience.as_secs(),
            }),
        }
    }

    async fn run(&self, script: &str, input: &[u8]) -> Result<Output, openssh::Error> {
        let mut child = self
            .session
            .command("sh")
            .args(["-c", AS_ROOT, script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .await?;
        let stdin = child.stdin().take();
        let (stdout, stderr) = (child.stdout().take(), child.stderr().take());
        let write = async move {
            let Some(mut stdin) = stdin else {
                return Ok(());
            };
            match stdin.write_all(input).await {
                // It ended before it has read all: its own words say why.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                Err(error) => Err(error),
                Ok(()) => stdin.shutdown().await,
            }
        };
        let read = async |stream: Option<openssh::ChildStdout>| {
            let mut bytes = Vec::new();
            if let Some(stream) = stream {
                stream.take(MAX_OUTPUT).read_to_end(&mut bytes).await?;
            }
            Ok::<_, io::Error>(String::from_utf8_lossy(&bytes).into_owned())
        };
        let read_errors = async {
            let mut bytes = Vec::new();
            if let Some(stream) = stderr {
                stream.take(MAX_OUTPUT).read_to_end(&mut bytes).await?;
            }
            Ok::<_, io::Error>(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (written, stdout, stderr) = tokio::join!(write, read(stdout), read_errors);
        let status = child.wait().await?;
        let broken = openssh::Error::ChildIo;
        if status.success() {
            written.map_err(broken)?;
        }
        Ok(Output {
            code: status.code().unwrap_or(255),
            stdout: stdout.map_err(broken)?,
            stderr: stderr.map_err(broken)?,
        })
    }

    /// A port of this machine that leads to an address which the node reaches.
    pub(crate) async fn forward(&self, host: &str, port: u16) -> anyhow::Result<u16> {
        // The system chooses one that is free; between the choice and its use somebody else may take it.
        for _ in 0..5 {
            let free = std::net::TcpListener::bind("127.0.0.1:0")?
                .local_addr()?
                .port();
            let from = openssh::Socket::new("127.0.0.1", free);
            let to = openssh::Socket::new(host, port);
            let asked = self
                .session
                .request_port_forward(ForwardType::Local, from, to);
            if asked.await.is_ok() {
                return Ok(free);
            }
        }
        bail!(
            "{}: no way to {host}:{port} through its connection",
            self.name
        )
    }

    /// Ends the connection.
    pub(crate) async fn close(self) {
        // A bastion's is needed by others.
        if let Some(session) = Arc::into_inner(self.session) {
            // It ends by itself when this fails.
            drop(session.close().await);
        }
    }
}
