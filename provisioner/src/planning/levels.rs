//! The figures of resource levels, from `data/levels.toml` or a file of the user's.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use serde::Deserialize;

use crate::config::Config;

const OURS: &str = include_str!("../../data/levels.toml");

/// What the file holds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Levels {
    /// The day of the prices.
    pub(super) as_of: String,
    pub(super) region: String,
    pub(super) prices: Prices,
    pub(super) capacity: Capacity,
    levels: BTreeMap<String, Level>,
    types: BTreeMap<String, Type>,
}

/// A type of machine.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Type {
    /// USD per hour.
    pub(super) price: f64,
    pub(super) vcpu: Option<u32>,
    /// In GiB.
    pub(super) memory: Option<u32>,
}

/// Prices that levels share, in USD.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prices {
    pub(super) hours: f64,
    pub(super) volume_gib: f64,
    pub(super) volume_iops: f64,
    pub(super) volume_mbps: f64,
    pub(super) balancer_hour: f64,
    pub(super) nat_hour: f64,
    pub(super) address_hour: f64,
    pub(super) zone_month: f64,
}

/// What Cassandra carries: an estimate, each constant of which may be replaced by a measurement.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Capacity {
    pub(super) vcpu_operations: f64,
    pub(super) beyond_three: f64,
    pub(super) lwt_operations: f64,
    pub(super) utilization: f64,
    pub(super) version_kib: f64,
    pub(super) compression: f64,
    pub(super) replication: f64,
    pub(super) disk_used: f64,
}

/// A network's machines.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Level {
    pub(super) about: String,
    pub(super) cassandra: Machines,
    pub(super) scalardl: Machines,
    pub(super) traefik: Machines,
    pub(super) bastion: Machines,
    pub(super) monitor: Machines,
    pub(super) nat: u32,
    pub(super) balancer: bool,
    /// How long Prometheus keeps samples.
    pub(crate) retention: String,
}

/// Machines of a role. Sizes are in GiB.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machines {
    pub(super) count: u32,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) root: u32,
    #[serde(default)]
    pub(super) data: u32,
    /// Of an instance store.
    #[serde(default)]
    pub(super) store: u32,
    #[serde(default)]
    pub(super) commitlog: u32,
    #[serde(default = "iops")]
    pub(super) iops: u32,
    #[serde(default = "mbps")]
    pub(super) mbps: u32,
}

/// What a gp3 volume has for nothing.
const fn iops() -> u32 {
    3000
}

const fn mbps() -> u32 {
    125
}

impl Levels {
    /// Ours, or those of a file.
    pub(super) fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return toml::from_str(OURS).context("the figures that the provisioner has");
        };
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    pub(super) fn get(&self, name: &str) -> anyhow::Result<&Level> {
        self.levels.get(name).with_context(|| {
            let known: Vec<_> = self.levels.keys().map(String::as_str).collect();
            format!("there is no level {name}; known are {}", known.join(", "))
        })
    }

    /// Sets the price of a type.
    pub(super) fn price(&mut self, kind: &str, usd: f64) {
        let known = self.types.get(kind);
        let its = Type {
            price: usd,
            vcpu: known.and_then(|it| it.vcpu),
            memory: known.and_then(|it| it.memory),
        };
        self.types.insert(kind.to_owned(), its);
    }

    /// What is known of a type.
    pub(super) fn kind(&self, name: &str) -> Option<Type> {
        self.types.get(name).copied()
    }

    /// The machines of a configuration: those of its level, but for what its keys say.
    pub(super) fn of(&self, config: &Config) -> anyhow::Result<Level> {
        let mut level = self.get(config.text("level").unwrap_or("entry"))?.clone();
        for (machines, kind, count, size) in [
            (
                &mut level.cassandra,
                "cassandra_instance_type",
                "cassandra_instance_count",
                "cassandra_ebs_volume_size",
            ),
            (
                &mut level.scalardl,
                "scalar_instance_type",
                "scalar_autoscaling_group_desire",
                "scalar_ebs_volume_size",
            ),
            (
                &mut level.traefik,
                "traefik_instance_type",
                "traefik_instance_count",
                "",
            ),
            (&mut level.bastion, "bastion_instance_type", "", ""),
            (
                &mut level.monitor,
                "monitor_instance_type",
                "monitor_instance_count",
                "monitor_ebs_volume_size",
            ),
        ] {
            if let Some(kind) = config.text(kind) {
                kind.clone_into(&mut machines.kind);
            }
            if let Some(count) = config.number(count) {
                machines.count = count;
            }
            if let Some(size) = config.number(size) {
                // A ledger has no other volume than its root.
                let place = if machines.data > 0 || machines.store > 0 {
                    &mut machines.data
                } else {
                    &mut machines.root
                };
                *place = size;
            }
        }
        for (resource, machines) in [
            ("traefik", &mut level.traefik),
            ("bastion", &mut level.bastion),
        ] {
            if config.leaves_out(resource) {
                machines.count = 0;
            }
        }
        if ["prometheus", "alert-router", "grafana"]
            .iter()
            .all(|it| config.leaves_out(it))
        {
            level.monitor.count = 0;
        }
        if let Some(retention) = config.text("retention") {
            retention.clone_into(&mut level.retention);
        }
        // The public's way in leads through one, whatever the level.
        let is_public = config.text("site_url").is_some_and(|it| !it.is_empty());
        level.balancer = (level.balancer || is_public) && level.traefik.count > 0;
        Ok(level)
    }
}

impl Level {
    /// The role's word, how many machines, of what type.
    pub(crate) fn machines(&self) -> Vec<(&'static str, u32, String)> {
        let roles = self.roles().into_iter();
        roles
            .map(|(role, its)| (role, its.count, its.kind.clone()))
            .collect()
    }

    pub(super) fn roles(&self) -> [(&'static str, &Machines); 5] {
        [
            ("cassandra", &self.cassandra),
            ("scalardl", &self.scalardl),
            ("traefik", &self.traefik),
            ("bastion", &self.bastion),
            ("monitor", &self.monitor),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::Levels;
    use crate::config::LEVELS;

    #[test]
    fn ours_can_be_read() {
        let levels = Levels::load(None).unwrap();
        for name in LEVELS {
            for (_, machines) in levels.get(name).unwrap().roles() {
                let kind = levels.kind(&machines.kind).unwrap();
                assert!(kind.vcpu.is_some() && kind.memory.is_some());
            }
        }
        let error = format!("{:#}", levels.get("low").unwrap_err());
        assert_eq!(
            error,
            "there is no level low; known are entry, high, high-nvme, medium"
        );
    }
}
