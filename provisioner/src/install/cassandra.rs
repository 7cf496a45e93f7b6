//! What is asked of Cassandra before one of its nodes is touched, and how one is started anew.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use client::Method;
use daemon::Secret;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::found::JVM;
use crate::{
    network::{Node, Role},
    progress::Step,
    remote::Remote,
    roles,
    silence::{Place, Silence},
    tunnel::Tunnel,
};

/// nodetool starts a JVM for its answer.
const LOOK: Duration = Duration::from_secs(90);
/// For what is in memory to be written, and Cassandra to stop and start.
const RESTART: Duration = Duration::from_secs(600);
/// For a node to read its commit log and be one of the ring again.
const JOINS: Duration = Duration::from_secs(900);
const PAUSE: Duration = Duration::from_secs(2);

const SERVICE: &str = "org.apache.cassandra.db:type=StorageService";
/// Lists of addresses, and what nodetool calls a node that is on one of them.
const LISTS: [(&str, &str); 5] = [
    ("LiveNodes", "UN"),
    ("UnreachableNodes", "DN"),
    ("JoiningNodes", "UJ"),
    ("LeavingNodes", "UL"),
    ("MovingNodes", "UM"),
];

const NODETOOL: &str = "command -v nodetool >/dev/null || { echo 'nodetool is not on the path of root' >&2; exit 1; }\ntimeout 60 nodetool status";

/// The states of nodes in nodetool's words, by address, as one of them sees them.
type Ring = BTreeMap<String, String>;

/// Fails when another Cassandra node than this one is not up and normal. A node is asked that runs Cassandra, this one first; where none
/// does, nothing can be harmed.
pub(super) async fn others_are_well(place: Place<'_>, node: &Node) -> anyhow::Result<()> {
    let mut silent = Vec::new();
    for asked in nodes(place, node) {
        let answer = async {
            let remote = place.remotes.connect(asked).await?;
            ring(&remote, asked, place).await
        };
        match answer.await {
            Ok(Some(ring)) => return is_well(&ring, node),
            Ok(None) => {}
            Err(error) => silent.push(format!("{}: {error:#}", asked.name)),
        }
    }
    if silent.is_empty() {
        return Ok(());
    }
    bail!(
        "{} was not touched, for nobody tells how the other Cassandra nodes are: {}",
        node.name,
        silent.join("; ")
    );
}

/// Whether so many nodes are up and normal, as one of them sees it.
pub(super) async fn is_whole(place: Place<'_>, node: &Node, count: usize) -> anyhow::Result<bool> {
    let remote = place.remotes.connect(node).await?;
    let ring = ring(&remote, node, place).await?;
    Ok(ring.is_some_and(|it| it.len() == count && it.values().all(|it| it == "UN")))
}

fn is_well(ring: &Ring, node: &Node) -> anyhow::Result<()> {
    let is_own = |it: &str| it == node.private_address || it == node.address;
    let others = ring.iter().filter(|it| !is_own(it.0) && it.1 != "UN");
    let others: Vec<_> = others
        .map(|(address, state)| format!("{address} is {state}"))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    bail!(
        "{} was not touched, for other Cassandra nodes are not well: {}",
        node.name,
        others.join(", ")
    );
}

/// How a node sees the ring: by Jolokia when it is in there, by nodetool otherwise, or when Jolokia was started with another password than the
/// one that stands there. None when Cassandra does not run.
async fn ring(remote: &Remote, node: &Node, place: Place<'_>) -> anyhow::Result<Option<Ring>> {
    let look = format!(
        "{JVM}\n[ -n \"$jvm\" ] || {{ echo none; exit; }}\nlistens {} && {{ echo \"jolokia $(sed -n s/^password=//p {OPTIONS})\"; exit; }}\n\
         {NODETOOL}",
        roles::JOLOKIA_PORT,
        OPTIONS = roles::JOLOKIA_OPTIONS,
    );
    let output = remote.script(&look, &[], LOOK).await?;
    let said = output.stdout.trim();
    // The password may be another one than it should be: the one that stands there is what its Jolokia was started with.
    match said.strip_prefix("jolokia ") {
        Some(password) => {
            let password = Secret::new(password.to_owned());
            let jolokia = roles::jolokia(remote, node, password, place.materials).await?;
            let error = match by_jolokia(&jolokia).await {
                Ok(ring) => return Ok(Some(ring)),
                Err(error) => error,
            };
            let output = remote.script(NODETOOL, &[], LOOK).await?;
            match output.code {
                0 => Ok(Some(by_nodetool(&output.stdout)?)),
                _ => Err(error),
            }
        }
        None if said == "none" => Ok(None),
        None if output.code == 0 => Ok(Some(by_nodetool(said)?)),
        None => bail!(
            "{}",
            output.stderr.trim().lines().last().unwrap_or("no answer")
        ),
    }
}

async fn by_jolokia(jolokia: &Tunnel) -> anyhow::Result<Ring> {
    let question = json!({"type": "read", "mbean": SERVICE, "attribute": LISTS.map(|it| it.0)});
    let answer = jolokia.ask(Method::POST, None, Some(&question)).await?;
    states(&answer).with_context(|| format!("Jolokia says nothing of use: {}", answer["error"]))
}

fn states(answer: &Value) -> Option<Ring> {
    let value = answer.get("value")?;
    let mut ring = Ring::new();
    for (list, state) in LISTS {
        for address in value.get(list)?.as_array()? {
            // One that moves is a live one, too.
            ring.insert(address.as_str()?.to_owned(), state.to_owned());
        }
    }
    Some(ring)
}

fn by_nodetool(text: &str) -> anyhow::Result<Ring> {
    let line = |it: &str| {
        let mut words = it.split_whitespace();
        let (state, address) = (words.next()?, words.next()?);
        let is_state = state.len() == 2
            && state.starts_with(['U', 'D', '?'])
            && state.ends_with(['N', 'L', 'J', 'M']);
        is_state.then(|| (address.to_owned(), state.to_owned()))
    };
    let ring: Ring = text.lines().filter_map(line).collect();
    if ring.is_empty() {
        bail!("nodetool status names no node");
    }
    Ok(ring)
}

/// Starts Cassandra on a node anew, with a silence meanwhile, and waits until it is one of the ring again and sees all others.
pub(super) async fn restart(
    remote: &Remote,
    node: &Node,
    place: Place<'_>,
    step: &Step,
) -> anyhow::Result<()> {
    others_are_well(place, node).await?;
    let why = format!("{} is started anew by the provisioner", node.name);
    let silence = Silence::set(place, &node.name, &why).await?;
    step.at("restarting Cassandra");
    let restarted = restart_now(remote, node, place, step).await;
    // When it is down for longer, people should know.
    let lifted = match silence {
        Some(silence) => silence.lift(place).await,
        None => Ok(()),
    };
    restarted.and(lifted)
}

async fn restart_now(
    remote: &Remote,
    node: &Node,
    place: Place<'_>,
    step: &Step,
) -> anyhow::Result<()> {
    // What runs in the service's own group of processes is the service's.
    let script = format!(
        "{JVM}\nset -u\n[ -n \"$jvm\" ] || {{ echo 'Cassandra does not run' >&2; exit 1; }}\n\
         unit=$(grep -o '[^/]*\\.service' /proc/$jvm/cgroup | tail -n 1)\n\
         [ -n \"$unit\" ] || {{ echo 'systemd does not run Cassandra here: restart it as it was started' >&2; exit 1; }}\n\
         trap '' HUP INT TERM PIPE\n\
         if command -v nodetool >/dev/null; then timeout 120 nodetool drain >&2 || :; fi\nsystemctl restart \"$unit\""
    );
    let output = remote.script(&script, &[], RESTART).await?;
    if output.code != 0 {
        bail!("{}: {}", node.name, output.stderr.trim());
    }
    step.at("waiting for Cassandra");
    let end = Instant::now() + JOINS;
    while let Some(problem) = away(node, place).await {
        if Instant::now() > end {
            bail!(
                "{}: Cassandra was started anew and is not back after {} s: {problem}",
                node.name,
                JOINS.as_secs()
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
    // Its loader leaves out what would keep Cassandra from starting.
    let script = format!("{JVM}\nlistens {}", roles::JOLOKIA_PORT);
    if remote.script(&script, &[], LOOK).await?.code != 0 {
        bail!(
            "{}: Cassandra is back without Jolokia: its log says why (jolokia.sh)",
            node.name
        );
    }
    Ok(())
}

/// Who does not see a node as one of the ring yet, and all others too; the node itself is asked first.
async fn away(node: &Node, place: Place<'_>) -> Option<String> {
    for asked in nodes(place, node) {
        let seen = async {
            let remote = place.remotes.connect(asked).await?;
            ring(&remote, asked, place).await
        };
        let problem = match seen.await {
            Ok(Some(ring)) => match is_well(&ring, node) {
                Ok(()) if is_up(&ring, node) => continue,
                Ok(()) => "does not see it up and normal".to_owned(),
                Err(error) => error.to_string(),
            },
            Ok(None) => "does not run Cassandra".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        return Some(format!("{}: {problem}", asked.name));
    }
    None
}

fn is_up(ring: &Ring, node: &Node) -> bool {
    let own = [&node.private_address, &node.address];
    own.iter()
        .any(|it| ring.get(*it).is_some_and(|it| it == "UN"))
}

/// All that are to run Cassandra, this one first.
fn nodes<'a>(place: Place<'a>, first: &Node) -> Vec<&'a Node> {
    let nodes = place.network.nodes.iter();
    let mut nodes: Vec<_> = nodes
        .filter(|it| it.roles.contains(&Role::Cassandra))
        .collect();
    nodes.sort_by_key(|it| it.name != first.name);
    nodes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{by_nodetool, states};

    /// As nodetool of 4.1 prints it, and of two data centres.
    const STATUS: &str = "Datacenter: dc1\n===============\nStatus=Up/Down\n|/ State=Normal/Leaving/Joining/Moving\n\
        --  Address    Load       Tokens  Owns (effective)  Host ID                               Rack\n\
        UN  10.0.0.1   104.4 KiB  16      66.4%             1b5c3a38-6b5e-4d6a-9d6f-6f1f7d0d8f4e  r1\n\
        DN  10.0.0.2   ?          16      66.4%             2b5c3a38-6b5e-4d6a-9d6f-6f1f7d0d8f4e  r2\n\n\
        Datacenter: dc2\n===============\nUJ  10.1.0.1   1 KiB  16      ?  3b5c3a38-6b5e-4d6a-9d6f-6f1f7d0d8f4e  r1\n";

    #[test]
    fn of_nodetool() {
        let ring = by_nodetool(STATUS).unwrap();
        let shown: Vec<_> = ring.iter().map(|it| format!("{} {}", it.0, it.1)).collect();
        assert_eq!(shown.join(", "), "10.0.0.1 UN, 10.0.0.2 DN, 10.1.0.1 UJ");
        by_nodetool("error: no such host\nUNKNOWN x").unwrap_err();
    }

    #[test]
    fn of_jolokia() {
        let mut value = json!({"LiveNodes": ["10.0.0.1", "10.0.0.3"], "UnreachableNodes": ["10.0.0.2"],
            "JoiningNodes": [], "LeavingNodes": [], "MovingNodes": ["10.0.0.3"]});
        let ring = states(&json!({"value": value})).unwrap();
        let shown: Vec<_> = ring.iter().map(|it| format!("{} {}", it.0, it.1)).collect();
        assert_eq!(shown.join(", "), "10.0.0.1 UN, 10.0.0.2 DN, 10.0.0.3 UM");
        value["MovingNodes"].take();
        assert_eq!(states(&json!({"value": value})), None);
        assert_eq!(states(&json!({"error": "no"})), None);
    }
}
