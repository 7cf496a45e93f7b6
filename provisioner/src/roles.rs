//! What each node should have, by its roles: values made of the configuration and of [`Materials`]. Nothing is asked of the node.

mod agent;
pub(crate) mod cassandra;
mod disks;
mod entry;
mod materials;
mod monitor;
pub(crate) mod scalardl;
mod traefik;
mod unit;

use anyhow::{Context as _, bail};
use daemon::Secret;

pub(crate) use self::cassandra::{OPTIONS as JOLOKIA_OPTIONS, PORT as JOLOKIA_PORT};
pub(crate) use self::materials::Materials;
use self::unit::unit;
use crate::{
    config::Config,
    desired::{CONFIGURATION, Desired, File, Folder, Health, STATE, UNITS, Unit},
    network::{Network, Node, Role},
    pki::Identity,
    remote::{Remote, Remotes},
    secrets::Password,
    tunnel::Tunnel,
};

/// Where programs listen when nobody says otherwise, sorted by name.
const PORTS: &[(&str, u16)] = &[
    ("alert-router", 9093),
    ("cassandra-exporter", 9500),
    ("grafana", 3000),
    ("node-exporter", 9100),
    ("prometheus", 9090),
    ("traefik-exporter", 9101),
];

/// Whom programs know Prometheus as.
const PROMETHEUS: &str = "prometheus";
/// Whom programs know people, and the provisioner, as.
pub(crate) const OPERATOR: &str = "operator";

/// Everything that should be on a node.
pub(crate) fn desired(
    network: &Network,
    node: &Node,
    materials: &Materials,
) -> anyhow::Result<Desired> {
    let made = || -> anyhow::Result<Desired> {
        let name = monitor::name(network, node)?;
        let mut place = Place {
            network,
            node,
            materials,
            identity: materials.pki.node(node, name.as_deref(), materials.now)?,
            desired: Desired {
                replaced: network.config.list("replaces").to_vec(),
                ..Desired::default()
            },
            ports: Vec::new(),
        };
        agent::add(&mut place)?;
        for role in &node.roles {
            match role {
                Role::Cassandra => cassandra::add(&mut place)?,
                Role::Monitor => monitor::add(&mut place)?,
                Role::Traefik => traefik::add(&mut place)?,
                Role::ScalarDl => scalardl::add(&mut place)?,
                Role::Bastion | Role::Host => {}
            }
        }
        Ok(place.desired)
    };
    made().with_context(|| format!("what should be on {}", node.name))
}

/// Where an alert's runbook is, as the link in the alert has it.
pub(crate) fn runbook(network: &Network, alert: &str) -> anyhow::Result<String> {
    Ok(monitor::settings(network)?.runbook(alert))
}

/// The port of a program in an environment.
pub(crate) fn port(config: &Config, program: &str) -> u16 {
    let usual = PORTS.iter().find(|it| it.0 == program);
    let usual = usual.map_or(0, |it| it.1);
    config.port(program).unwrap_or(usual)
}

/// Host and port, as they stand in a URL.
pub(crate) fn socket(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// A way to the network's alert-router, as the operator. None where there is none.
pub(crate) async fn alert_router(
    network: &Network,
    remotes: &Remotes,
    materials: &Materials,
) -> anyhow::Result<Option<Tunnel>> {
    let Some(node) = monitor::alert_routers(network).next() else {
        return Ok(None);
    };
    let remote = remotes.connect(node).await?;
    let port = port(&network.config, "alert-router");
    let url = format!("https://{}/", socket(&node.private_address, port));
    let password = materials.secrets.operator.secret.clone();
    let login = (OPERATOR.to_owned(), password);
    let tunnel = Tunnel::open(&remote, node, &url, Some(login), &materials.pki).await?;
    Ok(Some(tunnel.holding(remote)))
}

/// A way to what a node's node-exporter tells.
pub(crate) async fn node_exporter(
    network: &Network,
    remote: &Remote,
    node: &Node,
    materials: &Materials,
) -> anyhow::Result<Tunnel> {
    let port = port(&network.config, "node-exporter");
    let url = format!("https://{}/metrics", socket(&node.private_address, port));
    let password = materials.secrets.scrape.secret.clone();
    let login = (PROMETHEUS.to_owned(), password);
    Tunnel::open(remote, node, &url, Some(login), &materials.pki).await
}

/// A way to Jolokia on a node of Cassandra.
pub(crate) async fn jolokia(
    remote: &Remote,
    node: &Node,
    password: Secret,
    materials: &Materials,
) -> anyhow::Result<Tunnel> {
    let url = format!("http://127.0.0.1:{}/jolokia", cassandra::PORT);
    let login = (cassandra::USER.to_owned(), password);
    Tunnel::open(remote, node, &url, Some(login), &materials.pki).await
}

/// What alerts and dashboards call the cluster.
fn prefix(network: &Network) -> &str {
    network.config.text("prefix").unwrap_or_default()
}

/// The label `role` of a node: its roles, with commas between them.
fn roles_of(node: &Node) -> String {
    let roles: Vec<_> = node.roles.iter().map(|it| it.word()).collect();
    roles.join(",")
}

/// A node that is being filled.
struct Place<'a> {
    network: &'a Network,
    node: &'a Node,
    materials: &'a Materials,
    identity: Identity,
    desired: Desired,
    /// Those that are taken.
    ports: Vec<(&'static str, u16)>,
}

/// A service of a node, but for what is the same for all of them.
struct Service<'a> {
    /// Of the service, its user and its folders.
    name: &'static str,
    /// The unit that it is made of, and what begins lines in it that are left out.
    unit: &'a str,
    without: &'a [&'a str],
    /// The path of the program in its artifact.
    program: &'a str,
    arguments: Vec<String>,
    /// Files of its folder that it reads at the start alone, and those that it reads on a reload.
    restarted_by: &'a [&'a str],
    reloaded_by: &'a [&'a str],
    /// Where a disk is mounted without which it does not start.
    disk: Option<&'a str>,
    health: Health,
}

impl Place<'_> {
    const fn config(&self) -> &Config {
        &self.network.config
    }

    fn port(&self, program: &str) -> u16 {
        port(self.config(), program)
    }

    /// Where a program of this node listens, which no other may.
    fn listen(&mut self, program: &'static str) -> anyhow::Result<String> {
        let port = self.port(program);
        if let Some((other, _)) = self.ports.iter().find(|it| it.1 == port) {
            bail!("config.json: ports: {other} and {program} both have {port}");
        }
        self.ports.push((program, port));
        Ok(socket(&self.node.private_address, port))
    }

    /// A file in a program's folder that everybody may read.
    fn public(&mut self, program: &str, name: &str, content: impl Into<Vec<u8>>) {
        self.file(program, name, "root", 0o644, content);
    }

    /// One that is for the program's user alone.
    fn secret(&mut self, program: &str, name: &str, content: impl Into<Vec<u8>>) {
        self.file(program, name, program, 0o600, content);
    }

    fn file(
        &mut self,
        program: &str,
        name: &str,
        owner: &str,
        mode: u32,
        content: impl Into<Vec<u8>>,
    ) {
        self.desired.files.push(File {
            path: format!("{CONFIGURATION}/{program}/{name}"),
            owner: owner.to_owned(),
            mode,
            content: content.into(),
        });
    }

    /// The certificate of this node and its key, for a program.
    fn certificate(&mut self, program: &str) {
        let Identity {
            certificate, key, ..
        } = self.identity.clone();
        self.public(program, "tls.crt", certificate);
        self.secret(program, "tls.key", key.expose());
    }

    /// The web configuration of a program, which lets these users in, and its certificate.
    fn web(&mut self, program: &str, users: &[(&str, &Password)]) {
        let mut text = "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n  min_version: TLS12\nbasic_auth_users:\n".to_owned();
        for (user, password) in users {
            text.push_str(&format!("  {user}: {}\n", password.bcrypt.expose()));
        }
        self.secret(program, "web.yml", text);
        self.certificate(program);
    }

    /// A folder of a program's data.
    fn state(&mut self, program: &str) {
        self.folder(program, format!("{STATE}/{program}"));
    }

    fn folder(&mut self, program: &str, path: String) {
        self.desired.folders.push(Folder {
            path,
            owner: program.to_owned(),
            mode: 0o700,
        });
    }

    /// What shows that a program is well, asked as a user.
    fn health(&self, program: &str, path: &str, user: &str, password: &Secret) -> Health {
        Health::GetAs {
            url: format!("{}{path}", self.url(program)),
            user: user.to_owned(),
            password: password.clone(),
        }
    }

    /// Where a program of this node answers.
    fn url(&self, program: &str) -> String {
        let socket = socket(&self.node.private_address, self.port(program));
        format!("https://{socket}")
    }

    /// A program, its user and its service.
    fn service(&mut self, service: Service<'_>) -> anyhow::Result<()> {
        let Service { name, .. } = service;
        let unit_path = format!("{UNITS}/{name}.service");
        let program = format!("{name}/{}", service.program);
        let text = unit(
            service.unit,
            name,
            &program,
            &service.arguments,
            service.without,
            &service.disk.map(disks::needs).unwrap_or_default(),
        )?;
        let below = |files: &[&str]| {
            let paths = files
                .iter()
                .map(|it| format!("{CONFIGURATION}/{name}/{it}"));
            paths.collect::<Vec<_>>()
        };
        let mut restarted_by = below(service.restarted_by);
        restarted_by.insert(0, unit_path.clone());
        let reloaded_by = below(service.reloaded_by);
        let artifact = self.materials.artifacts.resolve(name)?;
        self.desired.users.push(name.to_owned());
        self.desired.programs.push(artifact);
        self.desired.files.push(File {
            path: unit_path,
            owner: "root".to_owned(),
            mode: 0o644,
            content: text.into(),
        });
        self.desired.units.push(Unit {
            name: format!("{name}.service"),
            program: Some(name.to_owned()),
            restarted_by,
            reloaded_by,
            is_stateful: false,
            health: service.health,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
