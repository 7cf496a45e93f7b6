//! What is known of each node when it is judged: what it said, what its programs answer, and what the environment's files say of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use client::Url;
use jiff::Timestamp;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    look::{Look, look},
    monitor::{self, Deliveries, Target},
};
use crate::{
    desired::{Desired, Health, Unit},
    exec::shell_word,
    grpc,
    install::{self, FoundError},
    lock::{Entry, Journal},
    network::{Network, Node},
    output::one_line,
    remote::{ReachError, Remote, Remotes},
    roles::{self, Materials},
    tunnel::Tunnel,
};

/// Services that are the network itself: they serve whoever reaches them.
const NETWORK: &[&str] = &["cassandra", "scalardl", "traefik"];
/// For an answer of gRPC.
const CALL: Duration = Duration::from_secs(5);
/// Nodes that are asked at a time.
const AT_A_TIME: usize = 32;
/// For a connection: a node that hangs is to be told within seconds.
const REACH: Duration = Duration::from_secs(10);
/// For all files of ours to be read.
const DRIFT: Duration = Duration::from_secs(30);

/// An environment that is looked at.
pub(crate) struct Site {
    pub(crate) network: Network,
    /// None when nothing can be said of what should be there; `trouble` says why.
    pub(crate) materials: Option<Materials>,
    /// What should be on each node, by name; nothing without materials.
    pub(crate) desired: BTreeMap<String, Desired>,
    /// The same with the programs themselves, for who compares all of it, or why it is not known.
    pub(crate) whole: Result<BTreeMap<String, Desired>, String>,
    pub(crate) trouble: Option<String>,
    pub(crate) journal: Vec<Entry>,
    pub(crate) now: Timestamp,
    /// How its commands begin.
    pub(crate) command: String,
}

#[cfg(test)]
impl Site {
    /// One of nodes, from which nothing was installed.
    pub(crate) fn of(nodes: Vec<Node>) -> Self {
        Self {
            network: Network {
                folder: "env".into(),
                config: crate::config::Config::default(),
                nodes,
            },
            materials: None,
            desired: BTreeMap::new(),
            whole: Err(String::new()),
            trouble: None,
            journal: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
            command: command(Path::new("env")),
        }
    }
}

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What one look and the programs' own answers say.
    Health,
    /// All that is known a way to.
    Everything,
}

/// What is known of a node.
pub(crate) struct Facts {
    pub(crate) node: Node,
    /// Programs that should be there.
    pub(crate) programs: Vec<Program>,
    pub(crate) look: Result<Look, Trouble>,
    /// What is wrong with programs' answers, if anything is, by program.
    pub(crate) health: BTreeMap<String, Option<String>>,
    /// What `install` would change.
    pub(crate) drift: Option<Result<Vec<String>, String>>,
    /// What the Prometheus there scrapes.
    pub(crate) targets: Option<Result<Vec<Target>, String>>,
    /// The last notification of each way to people, from the alert-router there.
    pub(crate) deliveries: Option<Result<Deliveries, String>>,
    /// Members of Cassandra's ring by their state.
    pub(crate) ring: Option<Result<BTreeMap<String, u64>, String>>,
    /// The last thing that was done to it.
    pub(crate) last_change: Option<Entry>,
}

/// A program that should be on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// Of its service, without `.service`.
    pub(crate) name: String,
    /// Where it listens for whoever has a password; None for one that answers nobody, and for the network's own services.
    pub(crate) port: Option<u16>,
}

/// Why nothing is known, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) what: String,
    pub(crate) todo: String,
}

impl Site {
    /// Reads an environment's files. With `is_whole` programs are read, too, or downloaded: not to be called within a runtime.
    pub(crate) fn load(folder: &Path, is_whole: bool) -> anyhow::Result<Self> {
        let network = Network::load(folder)?;
        let now = Timestamp::now();
        let opened = Materials::to_look(&network, now);
        let known = opened.and_then(|it| Ok((desired(&network, &it)?, it)));
        let (materials, desires, trouble) = match known {
            Ok((desires, materials)) => (Some(materials), desires, None),
            Err(error) => (None, BTreeMap::new(), Some(format!("{error:#}"))),
        };
        let whole = match (&trouble, is_whole) {
            (None, true) => {
                let whole = Materials::open(&network, now);
                let whole = whole.and_then(|it| desired(&network, &it));
                whole.map_err(|error| format!("{error:#}"))
            }
            (trouble, _) => Err(trouble.clone().unwrap_or_default()),
        };
        Ok(Self {
            materials,
            desired: desires,
            whole,
            trouble,
            journal: Journal::entries(folder)?,
            now,
            command: command(folder),
            network,
        })
    }

    /// The same for who has no use for an environment that nothing was installed from.
    pub(crate) fn installed(folder: &Path) -> anyhow::Result<Self> {
        let site = Self::load(folder, false)?;
        match &site.trouble {
            Some(trouble) => anyhow::bail!("{trouble}"),
            None => Ok(site),
        }
    }

    pub(crate) fn materials(&self) -> anyhow::Result<&Materials> {
        self.materials.as_ref().context("nothing was installed")
    }

    /// The service of a node, when it should be there.
    pub(crate) fn unit(&self, node: &str, program: &str) -> Option<&Unit> {
        let mut units = self.desired.get(node)?.units.iter();
        units.find(|it| name_of(it) == program)
    }

    /// The nodes that should have a service.
    pub(crate) fn with(&self, program: &str) -> impl Iterator<Item = &Node> {
        let nodes = self.network.nodes.iter();
        nodes.filter(move |it| self.unit(&it.name, program).is_some())
    }

    /// A way to a program of a node, as the one who may ask it.
    pub(crate) async fn tunnel(
        &self,
        remote: &Remote,
        node: &Node,
        program: &str,
    ) -> anyhow::Result<Tunnel> {
        let unit = self.unit(&node.name, program);
        let unit = unit.with_context(|| format!("{} has no {program}", node.name))?;
        let pki = &self.materials()?.pki;
        let asked = unit.health.asked();
        let (url, login) = asked.with_context(|| format!("{program} answers nobody"))?;
        let tunnel = Tunnel::open(remote, node, url, login, pki).await?;
        Ok(tunnel.expecting(unit.health.words()))
    }
}

/// `provisioner`, with the environment.
pub(crate) fn command(folder: &Path) -> String {
    let shown = folder.display().to_string();
    match shown.as_str() {
        "." => "provisioner".to_owned(),
        _ => format!("provisioner -e {}", shell_word(&shown)),
    }
}

fn desired(network: &Network, materials: &Materials) -> anyhow::Result<BTreeMap<String, Desired>> {
    let nodes = network.nodes.iter();
    let each = nodes.map(|it| Ok((it.name.clone(), roles::desired(network, it, materials)?)));
    each.collect()
}

/// Whether a program is one of the network's own services, which listen for everybody who reaches them.
pub(crate) fn is_networks(program: &str) -> bool {
    NETWORK.contains(&program)
}

pub(crate) fn name_of(unit: &Unit) -> &str {
    unit.name.strip_suffix(".service").unwrap_or(&unit.name)
}

/// Connects to nodes, many beside each other, and does something with each connection. Sorted as the nodes are.
pub(crate) async fn each<T, F>(
    remotes: &Arc<Remotes>,
    nodes: Vec<Node>,
    work: impl Fn(Node, Result<Remote, ReachError>) -> F + Send + Sync + 'static,
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let closed = Arc::new(remotes.closed(REACH).await);
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let work = Arc::new(work);
    let mut running = JoinSet::new();
    for (at, node) in nodes.into_iter().enumerate() {
        let (remotes, closed) = (Arc::clone(remotes), Arc::clone(&closed));
        let (places, work) = (Arc::clone(&places), Arc::clone(&work));
        running.spawn(async move {
            let _place = places.acquire().await;
            let bastion = node.bastion.clone().filter(|it| closed.contains(it));
            let remote = match bastion {
                Some(bastion) => Err(ReachError::Way {
                    node: node.name.clone(),
                    bastion,
                }),
                None => remotes.connect_within(&node, REACH).await,
            };
            (at, work(node, remote).await)
        });
    }
    let mut all = running.join_all().await;
    all.sort_by_key(|it| it.0);
    all.into_iter().map(|it| it.1).collect()
}

/// Asks nodes, and their programs.
pub(crate) async fn gather(
    site: &Arc<Site>,
    nodes: Vec<Node>,
    depth: Depth,
) -> anyhow::Result<Vec<Facts>> {
    let remotes = Arc::new(Remotes::open(&site.network)?);
    let its = Arc::clone(site);
    let facts = each(&remotes, nodes, move |node, remote| {
        let site = Arc::clone(&its);
        async move {
            let mut facts = Facts::new(&site, node);
            let asked = match remote {
                Ok(remote) => facts.ask(&site, &remote, depth).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = asked {
                facts.look = Err(Trouble::new(&site.command, &facts.node, error));
            }
            facts
        }
    });
    Ok(facts.await)
}

impl Facts {
    pub(crate) fn new(site: &Site, node: Node) -> Self {
        let units = site.desired.get(&node.name).map(|it| it.units.as_slice());
        let programs = units.unwrap_or_default().iter().map(Program::of).collect();
        let changes = site.journal.iter().rev();
        let mut changes = changes.filter(|it| it.node.as_deref() == Some(&node.name));
        Self {
            programs,
            look: Ok(Look::default()),
            health: BTreeMap::new(),
            drift: None,
            targets: None,
            deliveries: None,
            ring: None,
            last_change: changes.next().cloned(),
            node,
        }
    }

    async fn ask(&mut self, site: &Site, remote: &Remote, depth: Depth) -> Result<(), FoundError> {
        let is_deep = depth == Depth::Everything;
        let names = if is_deep {
            needed_names(site, &self.node)
        } else {
            BTreeSet::new()
        };
        self.look = Ok(look(remote, &self.node, &names).await?);
        self.health = health(site, remote, &self.node, &self.programs).await;
        if !is_deep {
            return Ok(());
        }
        self.drift = Some(drift(site, remote, &self.node).await);
        let has = |program: &str| self.health.get(program).is_some_and(Option::is_none);
        let node = &self.node;
        if has("prometheus") {
            let asked =
                async { monitor::targets(&site.tunnel(remote, node, "prometheus").await?).await };
            self.targets = Some(told(asked).await);
        }
        if has("alert-router") {
            let asked = async {
                monitor::deliveries(&site.tunnel(remote, node, "alert-router").await?).await
            };
            self.deliveries = Some(told(asked).await);
        }
        if has("cassandra-exporter") {
            let asked = async {
                monitor::ring(&site.tunnel(remote, node, "cassandra-exporter").await?).await
            };
            self.ring = Some(told(asked).await);
        }
        Ok(())
    }
}

async fn told<T>(asked: impl Future<Output = anyhow::Result<T>>) -> Result<T, String> {
    asked.await.map_err(|error| format!("{error:#}"))
}

/// What programs answer, all beside each other.
async fn health(
    site: &Site,
    remote: &Remote,
    node: &Node,
    programs: &[Program],
) -> BTreeMap<String, Option<String>> {
    let mut answers = BTreeMap::new();
    let mut asking = JoinSet::new();
    for Program { name, .. } in programs {
        let unit = site.unit(&node.name, name);
        match unit.map(|it| &it.health) {
            None | Some(Health::Active) => continue,
            Some(Health::Grpc { host, port }) => {
                match remote.forward(host, *port).await {
                    Ok(local) => {
                        let name = name.clone();
                        let address = ([127, 0, 0, 1], local).into();
                        asking.spawn(async move { (name, grpc::problem(address, CALL).await) });
                    }
                    Err(error) => drop(answers.insert(name.clone(), Some(format!("{error:#}")))),
                }
                continue;
            }
            Some(Health::Get { .. } | Health::GetAs { .. } | Health::Says { .. }) => {}
        }
        match site.tunnel(remote, node, name).await {
            Ok(tunnel) => {
                let name = name.clone();
                asking.spawn(async move { (name, tunnel.problem().await) });
            }
            Err(error) => drop(answers.insert(name.clone(), Some(format!("{error:#}")))),
        }
    }
    answers.extend(asking.join_all().await);
    answers
}

async fn drift(site: &Site, remote: &Remote, node: &Node) -> Result<Vec<String>, String> {
    let whole = site.whole.as_ref().map_err(Clone::clone)?;
    let desired = whole.get(&node.name);
    let desired = desired.ok_or_else(|| "it is not known what should be there".to_owned())?;
    let user = node.user.as_deref().unwrap_or("the user");
    match tokio::time::timeout(DRIFT, install::drift(remote, user, desired)).await {
        Ok(lines) => lines.map_err(|error| format!("{:#}", anyhow::Error::from(error))),
        Err(_elapsed) => Err(format!("no answer within {} s", DRIFT.as_secs())),
    }
}

/// The names that a node's programs call.
fn needed_names(site: &Site, node: &Node) -> BTreeSet<String> {
    let config = &site.network.config;
    let host = |url: &str| Some(Url::parse(url).ok()?.host_str()?.to_owned());
    let mut names = BTreeSet::new();
    if site.unit(&node.name, "alert-router").is_some() {
        let smarthost = config.text("smtp_smarthost");
        names.extend(smarthost.and_then(|it| host(&format!("smtp://{it}"))));
        for key in ["slack_webhook_url", "heartbeat_url"] {
            names.extend(config.secret(key).and_then(|it| host(it.expose())));
        }
        let pager = config.secret("pagerduty_routing_key");
        names.extend(pager.map(|_| "events.pagerduty.com".to_owned()));
    }
    if site.unit(&node.name, "prometheus").is_some() {
        let writes = config.each("remote_write");
        names.extend(writes.filter_map(|it| host(it.text("url")?)));
    }
    // An address needs nobody to find it.
    names.retain(|it| it.trim_matches(['[', ']']).parse::<IpAddr>().is_err());
    names
}

impl Program {
    fn of(unit: &Unit) -> Self {
        let name = name_of(unit);
        Self {
            name: name.to_owned(),
            port: unit.health.port().filter(|_| !is_networks(name)),
        }
    }
}

impl Trouble {
    fn new(command: &str, node: &Node, error: FoundError) -> Self {
        let name = &node.name;
        let todo = match &error {
            FoundError::Reach(ReachError::HostKey { .. }) => {
                format!(
                    "ssh-keyscan -t ed25519 -p {} {} | ssh-keygen -lf -",
                    node.port, node.address
                )
            }
            FoundError::Reach(ReachError::Way { bastion, .. }) => {
                format!("{command} doctor {bastion}")
            }
            FoundError::Reach(_) => format!("{command} ssh {name} uptime"),
            FoundError::Sudo { .. } => format!("{command} ssh {name} sudo -n -l"),
            FoundError::Said { .. } => format!("{command} ssh {name}"),
        };
        let what = format!("{:#}", anyhow::Error::from(error));
        let what = what.strip_prefix(&format!("{name}: ")).unwrap_or(&what);
        Self {
            what: one_line(what),
            todo,
        }
    }
}
