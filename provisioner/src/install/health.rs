//! Whether a service does what it should: its own answer, and that it is not started again and again. That it is "active" proves nothing: so
//! is one in a crash loop, between two crashes.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::{
    desired::{Health, Unit},
    grpc,
    network::Node,
    remote::Remote,
    roles::Materials,
    tunnel::Tunnel,
};

/// A service may take so long until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// One that keeps data may take so long.
const JOINS: Duration = Duration::from_secs(1800);
/// It must not be started again for so long.
const STILL: Duration = Duration::from_secs(3);
/// A service that was started again so often will not get better.
const CRASHES: u32 = 3;
/// For one answer of gRPC.
const CALL: Duration = Duration::from_secs(5);
/// Between looks: until it is well, and from then on.
const LOOK: Duration = Duration::from_millis(300);
const WATCH: Duration = Duration::from_secs(1);

/// Waits for services that were started or reloaded.
pub(super) async fn wait(
    remote: &Remote,
    node: &Node,
    units: &[&Unit],
    materials: &Materials,
) -> anyhow::Result<()> {
    if units.is_empty() {
        return Ok(());
    }
    // A database reads its log, or gets its share of the data, before it serves.
    let is_slow = units.iter().any(|it| it.is_stateful);
    let end = Instant::now() + if is_slow { JOINS } else { PATIENCE };
    let mut probes = Vec::new();
    for unit in units {
        probes.extend(Probe::new(remote, node, unit, materials).await?);
    }
    let mut since = Instant::now();
    let mut restarts = None;
    let mut at_first: Option<Vec<u32>> = None;
    loop {
        let states = states(remote, units).await?;
        let counts: Vec<u32> = states.iter().map(|it| it.1).collect();
        let problem = match states.iter().zip(units).find(|it| !it.0.0) {
            Some((_, unit)) => Some(format!("{} does not run", unit.name)),
            None => asked(&probes).await,
        };
        let is_well = problem.is_none();
        if !is_well || restarts.as_ref() != Some(&counts) {
            since = Instant::now();
        }
        let before = at_first.get_or_insert_with(|| counts.clone());
        let crashes = before
            .iter()
            .zip(&counts)
            .map(|(before, now)| now.saturating_sub(*before));
        let is_crashing = crashes.max() >= Some(CRASHES);
        restarts = Some(counts);
        if since.elapsed() >= STILL {
            return Ok(());
        }
        let has_ended = states
            .iter()
            .zip(units)
            .any(|it| it.0.2 && it.1.is_stateful);
        if is_crashing || has_ended || Instant::now() > end {
            let problem = problem.unwrap_or_else(|| "it is started again and again".to_owned());
            bail!("{problem}{}", last_words(remote, units).await);
        }
        let left = STILL.saturating_sub(since.elapsed());
        tokio::time::sleep(if is_well { left.min(WATCH) } else { LOOK }).await;
    }
}

/// What is wrong with a service at the moment, if anything is.
pub(super) async fn problem(
    remote: &Remote,
    node: &Node,
    unit: &Unit,
    materials: &Materials,
) -> anyhow::Result<Option<String>> {
    let states = states(remote, &[unit]).await?;
    if !states.iter().all(|it| it.0) {
        return Ok(Some(format!("{} does not run", unit.name)));
    }
    let probe = Probe::new(remote, node, unit, materials).await?;
    Ok(asked(probe.as_slice()).await)
}

/// What is wrong with the first that does not answer as it should.
async fn asked(probes: &[Probe]) -> Option<String> {
    for probe in probes {
        if let Some(problem) = probe.problem().await {
            return Some(problem);
        }
    }
    None
}

/// Whether each runs, how often it was started again, and whether nobody will start it any more.
async fn states(remote: &Remote, units: &[&Unit]) -> anyhow::Result<Vec<(bool, u32, bool)>> {
    let names: Vec<_> = units.iter().map(|it| it.name.as_str()).collect();
    let script = format!(
        "systemctl show -p ActiveState -p NRestarts {}",
        names.join(" ")
    );
    let output = remote.script(&script, &[], Duration::from_secs(30)).await?;
    // Its order is its own.
    let state = |unit: &str| {
        let value = |key| unit.lines().find_map(|it| it.strip_prefix(key));
        // A timer has none.
        let restarts = value("NRestarts=").map_or(Some(0), |it| it.parse().ok());
        let state = value("ActiveState=")?;
        let has_ended = ["failed", "inactive"].contains(&state);
        Some((state == "active", restarts?, has_ended))
    };
    let states: Option<Vec<_>> = output.stdout.split("\n\n").map(state).collect();
    states
        .filter(|it| it.len() == units.len())
        .with_context(|| format!("{}: systemctl says nothing of use", remote.name()))
}

/// The end of what a service that fails has said.
async fn last_words(remote: &Remote, units: &[&Unit]) -> String {
    let names: Vec<_> = units.iter().map(|it| format!("-u {}", it.name)).collect();
    let script = format!(
        "journalctl -q --no-pager -o cat -n 3 {} 2>/dev/null",
        names.join(" ")
    );
    let output = remote.script(&script, &[], Duration::from_secs(30)).await;
    let said = output.map(|it| it.stdout).unwrap_or_default();
    let said = said.trim().replace('\n', " | ");
    if said.is_empty() {
        said
    } else {
        format!(" ({})", said.chars().take(500).collect::<String>())
    }
}

/// What asks one service.
struct Probe {
    name: String,
    way: Way,
}

enum Way {
    Http(Box<Tunnel>),
    /// This machine's end of it.
    Grpc(SocketAddr),
}

impl Probe {
    /// None for one that answers nobody.
    async fn new(
        remote: &Remote,
        node: &Node,
        unit: &Unit,
        materials: &Materials,
    ) -> anyhow::Result<Option<Self>> {
        let way = if let Health::Grpc { host, port } = &unit.health {
            let local = remote.forward(host, *port).await?;
            Way::Grpc(([127, 0, 0, 1], local).into())
        } else {
            let Some((url, login)) = unit.health.asked() else {
                return Ok(None);
            };
            let tunnel = Tunnel::open(remote, node, url, login, &materials.pki).await?;
            Way::Http(Box::new(tunnel.expecting(unit.health.words())))
        };
        let name = unit.name.clone();
        Ok(Some(Self { name, way }))
    }

    /// What is wrong, if anything is.
    async fn problem(&self) -> Option<String> {
        let problem = match &self.way {
            Way::Http(tunnel) => tunnel.problem().await?,
            Way::Grpc(address) => grpc::problem(*address, CALL).await?,
        };
        Some(format!("{} {problem}", self.name))
    }
}
