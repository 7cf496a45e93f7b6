//! Whether ports are closed that should be: on the nodes, from where the operator is, and to those without a password.

use std::time::Duration;

use client::StatusCode;
use tokio::{net::TcpStream, task::JoinSet};

use super::Step;
use crate::{
    network::Node,
    remote::Remote,
    see::{Facts, LOOPBACK_ALONE, Program, Site, look, ports},
};

/// A port that is closed by a firewall does not answer at all.
const KNOCK: Duration = Duration::from_secs(2);

/// Where each program answers nobody without a password; health may be free.
fn guarded(program: &str) -> &'static str {
    match program {
        "alert-router" => "/api/v2/alerts",
        "grafana" => "/api/search",
        _ => "/metrics",
    }
}

/// What the node itself says, and its programs.
pub(super) async fn steps(site: &Site, node: &Node, remote: Result<&Remote, &String>) -> Vec<Step> {
    let remote = match remote {
        Ok(remote) => remote,
        Err(problem) => return vec![Step::failed("ports", node, problem)],
    };
    let mut facts = Facts::new(site, node.clone());
    match look(remote, node, &[].into()).await {
        Ok(look) => facts.look = Ok(look),
        Err(error) => {
            let problem = format!("{:#}", anyhow::Error::from(error));
            return vec![Step::failed("ports", node, problem)];
        }
    }
    let (problems, fine): (Vec<_>, Vec<_>) = ports(&facts, site)
        .into_iter()
        .partition(|it| it.is_problem);
    let what: Vec<_> = fine.into_iter().map(|it| it.what).collect();
    let problems = problems.into_iter().map(|it| it.what).collect();
    let ports = Step::of("ports", node, what.join(", "), problems);
    vec![ports, passwords(site, node, remote, &facts.programs).await]
}

async fn passwords(site: &Site, node: &Node, remote: &Remote, programs: &[Program]) -> Step {
    let mut problems = Vec::new();
    let programs = programs.iter().filter(|it| it.port.is_some());
    let names: Vec<_> = programs.map(|it| it.name.as_str()).collect();
    for name in &names {
        let asked = async {
            let tunnel = site.tunnel(remote, node, name).await?;
            tunnel.stranger(guarded(name)).await
        };
        match asked.await {
            Ok(StatusCode::UNAUTHORIZED) => {}
            Ok(other) => problems.push(format!("{name} answers {other} without a password")),
            Err(error) => problems.push(format!("{name}: {error:#}")),
        }
    }
    let what = format!("asked for by {}", names.join(", "));
    Step::of("passwords", node, what, problems)
}

/// What hosts that we reach by themselves answer us.
pub(super) async fn outside(site: &Site) -> Vec<Step> {
    let mut steps = Vec::new();
    let nodes = site.network.nodes.iter();
    for node in nodes.filter(|it| it.bastion.is_none()) {
        if node.address == node.private_address {
            steps.push(Step {
                node: Some(node.name.clone()),
                ..Step::left_out("outside", "we are where its private address is reached")
            });
            continue;
        }
        let ours = Facts::new(site, node.clone()).programs;
        let ours = ours.into_iter().filter_map(|it| Some((it.name, it.port?)));
        let inside = LOOPBACK_ALONE.iter().map(|it| (it.1.to_owned(), it.0));
        let mut knocking = JoinSet::new();
        for (name, port) in ours.chain(inside) {
            let address = node.address.clone();
            knocking.spawn(async move {
                is_open(&address, port)
                    .await
                    .then(|| format!("{name} (port {port}) answers from here"))
            });
        }
        let problems = knocking.join_all().await.into_iter().flatten().collect();
        let what = format!("ours do not answer at {}", node.address);
        steps.push(Step::of("outside", node, what, problems));
    }
    steps
}

async fn is_open(host: &str, port: u16) -> bool {
    let knock = TcpStream::connect((host, port));
    matches!(tokio::time::timeout(KNOCK, knock).await, Ok(Ok(_)))
}
