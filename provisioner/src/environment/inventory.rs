//! `provisioner inventory`: the machines, for programs, for ssh and for Ansible.

use std::{path::Path, process::ExitCode};

use serde_json::{Map, Value, json};

use crate::{
    network::{Network, Node, Role},
    output,
};

/// `provisioner inventory`.
#[derive(Debug, clap::Args)]
pub(crate) struct InventoryFlags {
    /// How they are written
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A list of objects
    Json,
    /// For ~/.ssh/config, or ssh -F
    SshConfig,
    /// YAML, with a group for each role
    Ansible,
}

/// Prints the machines.
pub(crate) fn inventory(folder: &Path, flags: &InventoryFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    output::say(match flags.format {
        Format::Json => serde_json::to_string_pretty(&as_json(&network.nodes))?,
        Format::SshConfig => ssh_config(&network),
        Format::Ansible => serde_saphyr::to_string(&ansible(&network))?,
    });
    Ok(ExitCode::SUCCESS)
}

fn as_json(nodes: &[Node]) -> Value {
    let node = |it: &Node| {
        json!({
            "name": it.name,
            "address": it.address,
            "private_address": it.private_address,
            "roles": it.roles.iter().map(|it| it.word()).collect::<Vec<_>>(),
            "zone": it.zone,
            "user": it.user,
            "port": it.port,
            "bastion": it.bastion,
            "instance_id": it.instance_id,
        })
    };
    nodes.iter().map(node).collect()
}

/// What ssh is told of each; also what the provisioner's own connections use.
pub(crate) fn ssh_config(network: &Network) -> String {
    let mut text = String::new();
    for node in &network.nodes {
        let (name, address, port) = (&node.name, &node.address, node.port);
        text += &format!("Host {name}\n  HostName {address}\n  Port {port}\n");
        if let Some(user) = &node.user {
            text += &format!("  User {user}\n");
        }
        if let Some(key) = network.config.text("private_key_file") {
            text += &format!("  IdentityFile \"{key}\"\n");
        }
        if let Some(bastion) = &node.bastion {
            text += &format!("  ProxyJump {bastion}\n");
        }
    }
    text.trim_end().to_owned()
}

fn ansible(network: &Network) -> Value {
    let mut hosts = Map::new();
    for node in &network.nodes {
        let mut variables = Map::new();
        variables.insert("ansible_host".to_owned(), json!(node.address));
        variables.insert("ansible_port".to_owned(), json!(node.port));
        if let Some(user) = &node.user {
            variables.insert("ansible_user".to_owned(), json!(user));
        }
        if let Some(key) = network.config.text("private_key_file") {
            variables.insert("ansible_ssh_private_key_file".to_owned(), json!(key));
        }
        let bastion = node.bastion.as_ref();
        let bastion = bastion.and_then(|name| network.nodes.iter().find(|it| it.name == *name));
        if let Some(bastion) = bastion {
            let user = bastion
                .user
                .as_ref()
                .map_or_else(String::new, |it| format!("{it}@"));
            let jump = format!("-o ProxyJump={user}{}:{}", bastion.address, bastion.port);
            variables.insert("ansible_ssh_common_args".to_owned(), json!(jump));
        }
        hosts.insert(node.name.clone(), Value::Object(variables));
    }
    let mut groups = Map::new();
    for role in Role::ALL {
        let members = network.nodes.iter().filter(|it| it.roles.contains(&role));
        let members: Map<_, _> = members.map(|it| (it.name.clone(), json!({}))).collect();
        if !members.is_empty() {
            groups.insert(role.word().to_owned(), json!({"hosts": members}));
        }
    }
    json!({"all": {"hosts": hosts, "children": groups}})
}
