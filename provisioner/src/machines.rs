//! The machines that Terraform has made, as its outputs named them last: kept in the environment's folder, so that they are known at once, and
//! when AWS does not answer. Host keys are learned once for each machine, and go with it.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    config::{Config, Target},
    hosts::{self, HostsError},
    lock::Journal,
    network::{Network, Node},
    private,
};

/// The output `inventory`, in the form of a hosts file. Nothing in it is secret.
pub(crate) const FILE: &str = "inventory.json";
/// Host keys, in ssh's form, by the machines' instance ids.
const KNOWN_HOSTS: &str = "known_hosts";
/// A larger file is no list of host keys.
const MAX_KNOWN: u64 = 4 << 20;

/// Reads them; none before the first apply.
pub(crate) fn load(folder: &Path) -> Result<Vec<Node>, HostsError> {
    let path = folder.join(FILE);
    if path.exists() {
        hosts::load(&path)
    } else {
        Ok(Vec::new())
    }
}

/// Keeps what Terraform's output says, and forgets host keys of machines that are gone. Gives the machines.
pub(crate) fn keep(folder: &Path, inventory: Option<&Value>) -> anyhow::Result<Vec<Node>> {
    let path = folder.join(FILE);
    let hosts = inventory.and_then(|it| it.get("hosts"));
    let has_some = hosts
        .and_then(Value::as_array)
        .is_some_and(|it| !it.is_empty());
    match inventory.filter(|_| has_some) {
        Some(inventory) => {
            let text = serde_json::to_string_pretty(inventory)? + "\n";
            // One that cannot be read is not to take the place of one that can.
            hosts::parse(&path, &text).context("Terraform's output `inventory`")?;
            private::write(&path, &text)?;
        }
        None => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        },
    }
    let nodes = load(folder)?;
    forget(folder, &nodes)?;
    Ok(nodes)
}

/// Whether a machine's host key is learned at first contact: one that Terraform has made, where nothing else says which it has.
pub(crate) fn learns<'a>(config: &Config, node: &'a Node) -> Option<&'a str> {
    let is_ours = config.target() == Target::Aws && config.text("known_hosts_file").is_none();
    let id = node.instance_id.as_deref()?;
    (is_ours && node.host_key.is_none()).then_some(id)
}

/// Whether there are machines that nobody was on yet, as far as host keys are learned: what made them was interrupted, or they let nobody in.
pub(crate) fn has_unmet(network: &Network) -> anyhow::Result<bool> {
    let known = known(&network.folder)?;
    let mut learned = network
        .nodes
        .iter()
        .filter_map(|it| learns(&network.config, it));
    Ok(learned.any(|id| !known.contains(id)))
}

/// Where learned host keys are.
pub(crate) fn known_hosts(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join(KNOWN_HOSTS);
    std::path::absolute(&path).with_context(|| format!("cannot find {}", path.display()))
}

/// Notes in the journal whose keys were learned while this was there.
pub(crate) struct Learning {
    folder: PathBuf,
    /// Machines whose keys would be: instance id and name.
    machines: Vec<(String, String)>,
    known: BTreeSet<String>,
}

impl Learning {
    pub(crate) fn new(network: &Network) -> Self {
        let nodes = network.nodes.iter();
        let learned = nodes.filter_map(|it| {
            let id = learns(&network.config, it)?;
            Some((id.to_owned(), it.name.clone()))
        });
        let folder = network.folder.clone();
        Self {
            machines: learned.collect(),
            known: known(&folder).unwrap_or_default(),
            folder,
        }
    }
}

impl Drop for Learning {
    fn drop(&mut self) {
        if self.machines.is_empty() {
            return;
        }
        let now = known(&self.folder).unwrap_or_default();
        let journal = Journal::new(&self.folder, "ssh");
        for (id, name) in &self.machines {
            if now.contains(id) && !self.known.contains(id) {
                // The key itself is in the file; a journal that cannot be written is told by who does more than look.
                drop(journal.note(Some(name), &format!("learned the host key of {id}")));
            }
        }
    }
}

/// Instance ids that have a key.
fn known(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let lines = read(folder)?;
    let ids = lines.lines().filter_map(|it| it.split(' ').next());
    Ok(ids.map(str::to_owned).collect())
}

/// Drops keys of machines that are no more.
fn forget(folder: &Path, nodes: &[Node]) -> anyhow::Result<()> {
    let text = read(folder)?;
    let is_there = |line: &&str| {
        let id = line.split(' ').next().unwrap_or_default();
        !id.starts_with("i-") || nodes.iter().any(|it| it.instance_id.as_deref() == Some(id))
    };
    let left: String = text
        .lines()
        .filter(is_there)
        .map(|it| format!("{it}\n"))
        .collect();
    if left == text {
        return Ok(());
    }
    private::write(&folder.join(KNOWN_HOSTS), &left)
}

fn read(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join(KNOWN_HOSTS);
    let cannot = || format!("cannot read {}", path.display());
    match fs::metadata(&path) {
        Ok(meta) if meta.len() > MAX_KNOWN => anyhow::bail!("{} is too large", path.display()),
        Ok(_) => fs::read_to_string(&path).with_context(cannot),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(cannot),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::{FILE, KNOWN_HOSTS, keep, load};

    fn inventory(ids: &[&str]) -> Value {
        let host = |(at, id): (usize, &&str)| json!({"name": format!("n{at}"), "address": format!("10.0.0.{at}"), "role": "host", "instance_id": id});
        json!({"defaults": {"user": "admin"}, "hosts": ids.iter().enumerate().map(host).collect::<Vec<_>>()})
    }

    #[test]
    fn kept_until_there_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(load(folder).unwrap(), []);
        assert_eq!(
            keep(folder, Some(&inventory(&["i-1", "i-2"])))
                .unwrap()
                .len(),
            2
        );
        let keys = "i-1 ssh-ed25519 AAAA\ni-2 ssh-ed25519 BBBB\nby-hand ssh-ed25519 CCCC\n";
        fs::write(folder.join(KNOWN_HOSTS), keys).unwrap();
        // n1 was replaced: its key was the old machine's.
        let nodes = keep(folder, Some(&inventory(&["i-1", "i-3"]))).unwrap();
        assert_eq!(nodes[1].instance_id.as_deref(), Some("i-3"));
        assert_eq!(load(folder).unwrap(), nodes);
        let left = fs::read_to_string(folder.join(KNOWN_HOSTS)).unwrap();
        assert_eq!(left, "i-1 ssh-ed25519 AAAA\nby-hand ssh-ed25519 CCCC\n");

        // What is no inventory leaves the one that was.
        let error = keep(folder, Some(&json!({"hosts": [{"name": "x"}]}))).unwrap_err();
        assert!(
            format!("{error:#}").starts_with("Terraform's output `inventory`: "),
            "{error:#}"
        );
        assert_eq!(load(folder).unwrap(), nodes);
        for none in [Some(inventory(&[])), None] {
            assert_eq!(keep(folder, none.as_ref()).unwrap(), []);
            assert!(!folder.join(FILE).exists());
        }
    }
}
