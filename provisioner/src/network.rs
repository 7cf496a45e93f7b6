//! The machines of a network, wherever they come from.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    config::{Config, Target},
    hosts, machines,
};

/// What a machine is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Bastion,
    Cassandra,
    /// No part of the network; it is monitored.
    Host,
    Monitor,
    ScalarDl,
    Traefik,
}

impl Role {
    /// Sorted by their words.
    pub(crate) const ALL: [Self; 6] = [
        Self::Bastion,
        Self::Cassandra,
        Self::Host,
        Self::Monitor,
        Self::ScalarDl,
        Self::Traefik,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Bastion => "bastion",
            Self::Cassandra => "cassandra",
            Self::Host => "host",
            Self::Monitor => "monitor",
            Self::ScalarDl => "scalardl",
            Self::Traefik => "traefik",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    pub(crate) fn words() -> String {
        Self::ALL.map(Self::word).join(", ")
    }
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// What alerts and people call it.
    pub(crate) name: String,
    /// Where the operator, or its bastion, reaches it.
    pub(crate) address: String,
    /// Where the other machines reach it.
    pub(crate) private_address: String,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) zone: Option<String>,
    pub(crate) user: Option<String>,
    /// Of SSH.
    pub(crate) port: u16,
    /// The machine that the way leads over.
    pub(crate) bastion: Option<String>,
    pub(crate) instance_id: Option<String>,
    /// The fingerprint of its host key, when that is how it is known.
    pub(crate) host_key: Option<String>,
    /// Disks that were made for it.
    pub(crate) volumes: Vec<Volume>,
}

/// A disk that is known by its serial; one of EBS has its id without the hyphen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) purpose: Purpose,
    pub(crate) serial: String,
}

/// What a disk is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Purpose {
    /// Cassandra's data.
    Data,
    /// Cassandra's commit log.
    CommitLog,
    /// What a monitor's programs keep.
    Monitor,
}

impl Purpose {
    /// The role of the machines that have such a disk.
    pub(crate) const fn role(self) -> Role {
        match self {
            Self::Data | Self::CommitLog => Role::Cassandra,
            Self::Monitor => Role::Monitor,
        }
    }
}

#[cfg(test)]
impl Node {
    /// One with nothing but a name, and addresses that are the same.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: "10.0.0.1".to_owned(),
            private_address: "10.0.0.1".to_owned(),
            roles: BTreeSet::new(),
            zone: None,
            user: None,
            port: 22,
            bastion: None,
            instance_id: None,
            host_key: None,
            volumes: Vec::new(),
        }
    }
}

/// An environment: its configuration and its machines.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) folder: PathBuf,
    pub(crate) config: Config,
    /// Sorted as they stand in the hosts file.
    pub(crate) nodes: Vec<Node>,
}

/// The hosts file when the configuration names none.
pub(crate) const HOSTS_FILE: &str = "hosts.yml";

impl Network {
    /// Reads the environment in a folder. Problems of both files are told at once. Machines in AWS are those that the last apply has left.
    pub(crate) fn load(folder: &Path) -> anyhow::Result<Self> {
        let config = Config::load_environment(folder);
        // The hosts file is looked at even when the configuration is wrong: one run shows all that is to be mended.
        let named = config.as_ref().ok().and_then(|it| it.text("hosts_file"));
        let path = named.map_or_else(|| folder.join(HOSTS_FILE), PathBuf::from);
        let is_aws = config.as_ref().is_ok_and(|it| it.target() == Target::Aws);
        let nodes = match (is_aws, config.is_err() && !path.exists()) {
            (true, _) => machines::load(folder),
            (false, false) => hosts::load(&path),
            (false, true) => Ok(Vec::new()),
        };
        let (config, nodes) = match (config, nodes) {
            (Ok(config), Ok(nodes)) => (config, nodes),
            (Err(error), Ok(_)) => return Err(error.into()),
            (Ok(_), Err(error)) => return Err(error.into()),
            (Err(a), Err(b)) => return Err(a.and(&b).into()),
        };
        Ok(Self {
            folder: folder.to_owned(),
            config,
            nodes,
        })
    }

    /// What is to be said of Cassandra's nodes that have no zone, where it is installed from here: a rack cannot be another once there are data.
    pub(crate) fn lacks_zones(&self) -> Option<String> {
        let nodes = self.nodes.iter();
        let nodes: Vec<_> = nodes
            .filter(|it| it.roles.contains(&Role::Cassandra))
            .collect();
        let without: Vec<_> = nodes
            .iter()
            .filter(|it| it.zone.is_none())
            .map(|it| it.name.as_str())
            .collect();
        // Fewer than there are copies are all the same.
        if !self.config.installs(Role::Cassandra) || nodes.len() < 3 || without.is_empty() {
            return None;
        }
        Some(format!(
            "{} no zone, and so one rack: Cassandra does not know which copies are lost together, and it cannot be told once there are data; \
             say `zone` in the hosts file",
            match without.as_slice() {
                [one] => format!("{one} has"),
                more => format!("{} have", more.join(", ")),
            }
        ))
    }

    /// Whether the way to another node leads over this one.
    pub(crate) fn is_bastion(&self, name: &str) -> bool {
        self.nodes
            .iter()
            .any(|it| it.bastion.as_deref() == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::Network;

    fn said(folder: &Path, services: &str, zones: &[&str]) -> String {
        let config = format!(
            r#"{{"target": "hosts", "name": "n", "prefix": "p", "environment": "e", "tag": "1", "no_notifications": true, "services": {services}}}"#
        );
        fs::write(folder.join("config.json"), config).unwrap();
        let mut hosts = "hosts:\n".to_owned();
        for (at, zone) in zones.iter().enumerate() {
            let zone = match *zone {
                "" => String::new(),
                zone => format!(", zone: {zone}"),
            };
            hosts += &format!("  - {{name: c{at}, address: 10.0.0.{at}, role: cassandra{zone}}}\n");
        }
        fs::write(folder.join("hosts.yml"), hosts).unwrap();
        let said = Network::load(folder).unwrap().lacks_zones();
        let said = said.unwrap_or_default();
        said.split(" no zone").next().unwrap().to_owned()
    }

    #[test]
    fn zones_are_racks() {
        let folder = tempfile::tempdir().unwrap();
        let ours = r#"["cassandra"]"#;
        for (services, zones, expect) in [
            (ours, &["", "", ""][..], "c0, c1, c2 have"),
            (ours, &["a", "b", ""], "c2 has"),
            (ours, &["a", "b", "c"], ""),
            (ours, &["a", "a", "a"], ""),
            (ours, &["", ""], ""),
            ("[]", &["", "", ""], ""),
        ] {
            assert_eq!(said(folder.path(), services, zones), expect, "{zones:?}");
        }
    }
}
