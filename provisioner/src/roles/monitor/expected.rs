//! What should be there, as metrics: a host that is gone as a whole sends nothing, so rules need to be told of it.
//!
//! `scalar_dl:expected_hosts{cluster, role}` is how many hosts have a role, `scalar_dl:expected_host{cluster, instance, role, target}` is 1 for
//! each of them; its `target` is that of `node_tcp_probe_success` on the monitors.

use std::collections::BTreeMap;

use super::super::{prefix, roles_of, socket};
use crate::{alerting::quoted, network::Network};

pub(super) const FILE: &str = "expected.rules.yml";

/// The rules. Each is a constant: they change with the hosts file alone.
pub(super) fn rules(network: &Network) -> String {
    let cluster = quoted(prefix(network));
    let mut counts = BTreeMap::new();
    for role in network.nodes.iter().flat_map(|it| &it.roles) {
        *counts.entry(role).or_insert(0_usize) += 1;
    }
    let mut text = "# What this environment should have; changes are lost.\ngroups:\n- name: scalar_dl.expected\n  rules:\n".to_owned();
    for (role, count) in counts {
        text.push_str(&format!(
            "  - record: scalar_dl:expected_hosts\n    expr: vector({count})\n    labels: {{cluster: {cluster}, role: {}}}\n",
            role.word()
        ));
    }
    for node in &network.nodes {
        let target = socket(&node.private_address, node.port);
        text.push_str(&format!(
            "  - record: scalar_dl:expected_host\n    expr: vector(1)\n    labels: {{cluster: {cluster}, instance: {}, role: {}, target: {}}}\n",
            quoted(&node.name),
            quoted(&roles_of(node)),
            quoted(&target)
        ));
    }
    text
}
