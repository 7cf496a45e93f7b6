//! What people call a machine, to what Terraform calls it: the names of this network, those of the operational guide, and addresses of both.

use anyhow::{Context as _, bail};

use crate::{
    config::near,
    network::{Network, Node},
};

/// Machines by the beginning of their nodes' names, and their resources; sorted.
const MACHINES: &[(&str, &str)] = &[
    ("bastion", "module.network.aws_instance.bastion"),
    ("cassandra", "module.cassandra.aws_instance.cassandra"),
    (
        "monitor",
        "module.service.module.prometheus.aws_instance.instance",
    ),
    ("scalardl", "module.scalar.aws_instance.scalar"),
    (
        "traefik",
        "module.service.module.traefik.aws_instance.instance",
    ),
];
/// The guide's words, and what they are here. Grafana has no machine of its own.
const SHORT: &[(&str, &str)] = &[
    ("bastion", "bastion"),
    ("cassandra", "cassandra"),
    ("scalar", "scalardl"),
    ("service.grafana", "monitor"),
    ("service.prometheus", "monitor"),
    ("service.traefik", "traefik"),
];
/// Modules of the guide, as `-module=` named them, and what they are here.
const MODULES: &[(&str, &str)] = &[
    ("cassandra", "cassandra"),
    ("network", "bastion"),
    ("scalar", "scalardl"),
    ("service.grafana", "monitor"),
    ("service.prometheus", "monitor"),
    ("service.traefik", "traefik"),
];

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its resource: `module.scalar.aws_instance.scalar[0]`.
    pub(crate) address: String,
    /// Its node: `scalardl-1`.
    pub(crate) node: String,
}

/// Finds the machine that somebody names: a node (`scalardl-1`, `sdl-production-scalardl-1`), an instance id, the guide's short form
/// (`scalar.0`, `service.traefik`) or its old one (`-module=scalar aws_instance.scalar.0`), or an address of Terraform's.
pub(crate) fn resolve(text: &str, network: &Network) -> anyhow::Result<Target> {
    let text = text.trim();
    let found = by_id(text, &network.nodes).or_else(|| of(text, network));
    let Some((kind, at)) = found else {
        let nodes = network.nodes.iter().map(|it| it.name.as_str());
        let meant = near(text, nodes.chain(SHORT.iter().map(|it| it.0)));
        let meant = meant.map_or_else(String::new, |it| format!("; did you mean {it}?"));
        bail!(
            "{text:?} is no machine: give a node such as scalardl-1, the guide's scalar.0 or service.traefik, or an address such as \
             module.scalar.aws_instance.scalar[0]{meant}"
        );
    };
    let node = format!("{kind}-{}", at + 1);
    let nodes = &network.nodes;
    if !nodes.is_empty() && !nodes.iter().any(|it| it.name == node) {
        let its: Vec<_> = nodes.iter().map(|it| it.name.as_str()).collect();
        bail!(
            "there is no {node}: this environment has {}",
            its.join(", ")
        );
    }
    let (_, resource) = MACHINES
        .iter()
        .find(|it| it.0 == kind)
        .with_context(|| format!("{node} is no machine of Terraform's"))?;
    Ok(Target {
        address: format!("{resource}[{at}]"),
        node,
    })
}

/// The node that a resource belongs to, with the last part of its address: `module.cassandra.aws_ebs_volume.data[0]` is cassandra-1's.
pub(crate) fn node_of(address: &str) -> Option<String> {
    let (resource, index) = address.strip_suffix(']')?.rsplit_once('[')?;
    let at: usize = index.parse().ok()?;
    let (module, rest) = split(resource)?;
    let (kind, name) = rest.split_once('.')?;
    let (beginning, _) = MACHINES
        .iter()
        .find(|it| split(it.1).is_some_and(|it| it.0 == module))?;
    // The network's module has more than bastions.
    let is_machines = *beginning != "bastion" || name == "bastion";
    let is_numbered = matches!(
        kind,
        "aws_ebs_volume"
            | "aws_ec2_instance_state"
            | "aws_eip"
            | "aws_eip_association"
            | "aws_instance"
            | "aws_network_interface"
            | "aws_route53_record"
            | "aws_volume_attachment"
    );
    (is_machines && is_numbered).then(|| format!("{beginning}-{}", at + 1))
}

/// A resource's module and the rest.
fn split(resource: &str) -> Option<(&str, &str)> {
    let at = resource.rfind(".aws_")?;
    Some((resource.get(..at)?, resource.get(at + 1..)?))
}

fn by_id(text: &str, nodes: &[Node]) -> Option<(&'static str, usize)> {
    let node = nodes
        .iter()
        .find(|it| it.instance_id.as_deref() == Some(text))?;
    numbered(&node.name)
}

/// What kind of machine, and which of them, from 0.
fn of(text: &str, network: &Network) -> Option<(&'static str, usize)> {
    if let Some(old) = text.strip_prefix("-module=") {
        let (module, resource) = old.split_once(' ')?;
        let kind = MODULES.iter().find(|it| it.0 == module)?.1;
        return Some((kind, old_index(resource.trim())?));
    }
    if text.starts_with("module.") {
        return by_address(text);
    }
    let config = &network.config;
    let part = |key| config.text(key).unwrap_or_default();
    let cluster = format!("{}-{}-", part("prefix"), part("environment"));
    if let Some(found) = numbered(text.strip_prefix(cluster.as_str()).unwrap_or(text)) {
        return Some(found);
    }
    let short = |name: &str| SHORT.iter().find(|it| it.0 == name).map(|it| it.1);
    if let Some(kind) = short(text).filter(|_| text.starts_with("service.")) {
        return Some((kind, 0));
    }
    let (name, at) = text.rsplit_once('.')?;
    Some((short(name)?, at.parse().ok()?))
}

/// `scalardl-1`.
fn numbered(name: &str) -> Option<(&'static str, usize)> {
    let (beginning, number) = name.rsplit_once('-')?;
    let (kind, _) = MACHINES.iter().find(|it| it.0 == beginning)?;
    let number: usize = number.parse().ok()?;
    Some((kind, number.checked_sub(1)?))
}

/// `aws_instance.scalar.0`, and `aws_instance.instance` for the only one.
fn old_index(resource: &str) -> Option<usize> {
    let mut parts = resource.split('.');
    if (parts.next(), parts.next().is_some()) != (Some("aws_instance"), true) {
        return None;
    }
    let index = match parts.next() {
        None => 0,
        Some(index) => index.parse().ok()?,
    };
    parts.next().is_none().then_some(index)
}

/// Today's address, whose index may be as it once was: `.0`.
fn by_address(text: &str) -> Option<(&'static str, usize)> {
    let (kind, resource) = MACHINES.iter().find(|it| text.starts_with(it.1))?;
    let rest = text.strip_prefix(resource)?;
    let rest = rest
        .strip_prefix('.')
        .or_else(|| rest.strip_prefix('[')?.strip_suffix(']'))?;
    Some((kind, rest.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{node_of, resolve};
    use crate::{
        config::Config,
        network::{Network, Node},
    };

    const PROMETHEUS: &str = "module.service.module.prometheus.aws_instance.instance[0]";
    const TRAEFIK: &str = "module.service.module.traefik.aws_instance.instance[0]";

    fn network(names: &[&str]) -> Network {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"name": "n", "prefix": "sdl", "environment": "production"}"#;
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        let node = |name: &&str| Node {
            instance_id: Some(format!("i-{name}")),
            ..Node::named(name)
        };
        Network {
            folder: folder.path().to_owned(),
            config: Config::load(&folder.path().join("config.json")).unwrap(),
            nodes: names.iter().map(node).collect(),
        }
    }

    #[test]
    fn names() {
        let network = network(&[
            "bastion-1",
            "cassandra-1",
            "monitor-1",
            "scalardl-1",
            "scalardl-2",
            "traefik-1",
        ]);
        for (text, address, node) in [
            (
                "-module=network aws_instance.bastion",
                "module.network.aws_instance.bastion[0]",
                "bastion-1",
            ),
            (
                "-module=scalar aws_instance.scalar.0",
                "module.scalar.aws_instance.scalar[0]",
                "scalardl-1",
            ),
            (
                "-module=scalar aws_instance.scalar.1",
                "module.scalar.aws_instance.scalar[1]",
                "scalardl-2",
            ),
            (
                "-module=service.grafana aws_instance.instance",
                PROMETHEUS,
                "monitor-1",
            ),
            (
                "-module=service.prometheus aws_instance.instance",
                PROMETHEUS,
                "monitor-1",
            ),
            (
                "-module=service.traefik aws_instance.instance",
                TRAEFIK,
                "traefik-1",
            ),
            (
                "bastion-1",
                "module.network.aws_instance.bastion[0]",
                "bastion-1",
            ),
            (
                "cassandra.0",
                "module.cassandra.aws_instance.cassandra[0]",
                "cassandra-1",
            ),
            (
                "i-scalardl-2",
                "module.scalar.aws_instance.scalar[1]",
                "scalardl-2",
            ),
            (
                "module.scalar.aws_instance.scalar.1",
                "module.scalar.aws_instance.scalar[1]",
                "scalardl-2",
            ),
            (PROMETHEUS, PROMETHEUS, "monitor-1"),
            (
                "scalar.0",
                "module.scalar.aws_instance.scalar[0]",
                "scalardl-1",
            ),
            (
                "scalardl-2",
                "module.scalar.aws_instance.scalar[1]",
                "scalardl-2",
            ),
            (
                "sdl-production-scalardl-1",
                "module.scalar.aws_instance.scalar[0]",
                "scalardl-1",
            ),
            ("service.grafana", PROMETHEUS, "monitor-1"),
            ("service.prometheus", PROMETHEUS, "monitor-1"),
            ("service.traefik", TRAEFIK, "traefik-1"),
            ("service.traefik.0", TRAEFIK, "traefik-1"),
        ] {
            let found = resolve(text, &network).unwrap();
            assert_eq!(
                (found.address.as_str(), found.node.as_str()),
                (address, node),
                "{text}"
            );
        }
        for (text, expect) in [
            ("", "\"\" is no machine: give a node"),
            ("-module=scalar aws_eip.scalar.0", "is no machine"),
            ("-module=scaler aws_instance.scalar.0", "is no machine"),
            ("module.scalar.aws_instance.scalar[x]", "is no machine"),
            ("module.scalar.aws_instance.scalars[0]", "is no machine"),
            ("scalar", "is no machine"),
            (
                "scalar.2",
                "there is no scalardl-3: this environment has bastion-1",
            ),
            ("scalardl-0", "is no machine"),
            ("scalrdl-1", "did you mean scalardl-1?"),
            ("sdl-staging-scalardl-1", "is no machine"),
        ] {
            let error = resolve(text, &network).unwrap_err().to_string();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }

    /// Before the first apply there is nothing to compare with.
    #[test]
    fn without_machines() {
        let found = resolve("scalar.4", &network(&[])).unwrap();
        assert_eq!(found.node, "scalardl-5");
    }

    #[test]
    fn whose() {
        for (address, expect) in [
            (
                "module.cassandra.aws_ebs_volume.commitlog[2]",
                Some("cassandra-3"),
            ),
            ("module.network.aws_eip.bastion[0]", Some("bastion-1")),
            ("module.network.aws_eip.nat[0]", None),
            ("module.network.aws_subnet.public[0]", None),
            ("module.network.aws_vpc.vpc", None),
            (
                "module.scalar.aws_ec2_instance_state.scalar[1]",
                Some("scalardl-2"),
            ),
            (
                "module.service.module.prometheus.aws_iam_role.monitor[0]",
                None,
            ),
            (
                "module.service.module.prometheus.aws_volume_attachment.data[0]",
                Some("monitor-1"),
            ),
            (
                "module.service.module.traefik.aws_lb_listener.traefik[\"client\"]",
                None,
            ),
        ] {
            assert_eq!(node_of(address).as_deref(), expect, "{address}");
        }
    }
}
