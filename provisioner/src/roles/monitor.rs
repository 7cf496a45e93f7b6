//! What a monitor has: Prometheus, Grafana, and on the first of them alert-router, which all of them notify.

mod alert_router;
mod expected;
mod grafana;
mod prometheus;

use client::Url;

use super::{Place, disks, port, socket, unit::adapted};
use crate::{
    alerting,
    desired::{Move, STATE},
    network::{Network, Node, Purpose, Role},
};

/// Where a monitor's disk is mounted, when it has one.
const DATA: &str = "/var/lib/monitor";

/// Groups of rules, and the roles that they are about.
const GROUPS: &[(&str, Role)] = &[
    ("cassandra", Role::Cassandra),
    ("ledger", Role::ScalarDl),
    ("traefik", Role::Traefik),
];

pub(super) fn add(place: &mut Place<'_>) -> anyhow::Result<()> {
    let rendered = dashboards::render(&settings(place.network)?);
    let disk = disks::mount(place, Purpose::Monitor, DATA).then_some(DATA);
    let config = place.config();
    let (has_prometheus, has_grafana) = (
        !config.leaves_out("prometheus"),
        !config.leaves_out("grafana"),
    );
    // alert-router before Prometheus, which has something to tell at once, and that before Grafana, which asks it.
    if alert_routers(place.network).any(|it| it.name == place.node.name) {
        alert_router::add(place, disk)?;
    }
    if has_prometheus {
        prometheus::add(place, disk, rendered.rules)?;
    }
    if has_grafana {
        grafana::add(place, disk, rendered.grafana)?;
    }
    Ok(())
}

/// The folder of what a program keeps. What it has kept before there was a disk is brought there.
fn kept(place: &mut Place<'_>, program: &str, disk: Option<&str>) -> String {
    let before = format!("{STATE}/{program}");
    let Some(disk) = disk else {
        place.folder(program, before.clone());
        return before;
    };
    let path = format!("{disk}/{program}");
    place.folder(program, path.clone());
    place.desired.moved.push(Move {
        unit: format!("{program}.service"),
        from: before,
        to: path.clone(),
    });
    path
}

fn monitors(network: &Network) -> impl Iterator<Item = &Node> {
    let nodes = network.nodes.iter();
    nodes.filter(|it| it.roles.contains(&Role::Monitor))
}

/// Those that run Prometheus.
fn prometheuses(network: &Network) -> impl Iterator<Item = &Node> {
    let has = !network.config.leaves_out("prometheus");
    monitors(network).filter(move |_| has)
}

/// The one that runs alert-router: two would each tell people.
pub(super) fn alert_routers(network: &Network) -> impl Iterator<Item = &Node> {
    let has = !network.config.leaves_out("alert-router");
    monitors(network).take(1).filter(move |_| has)
}

pub(super) fn settings(network: &Network) -> anyhow::Result<dashboards::Settings> {
    let config = &network.config;
    let grafana = match monitors(network).next() {
        Some(monitor) if !config.leaves_out("grafana") => Some(url(network, monitor, "grafana")?),
        _ => None,
    };
    let runbooks = config
        .text("runbook_base_url")
        .unwrap_or(dashboards::PUBLIC_RUNBOOKS);
    let has = |role| network.nodes.iter().any(|it| it.roles.contains(&role));
    let without = GROUPS.iter().filter(|it| !has(it.1)).map(|it| it.0);
    let has_router = alert_routers(network).next().is_some();
    Ok(dashboards::Settings {
        runbook_base_url: runbooks.trim_end_matches('/').to_owned(),
        dashboard_base_url: grafana,
        thresholds: alerting::thresholds(config)?,
        repairs: alert_router::COMMANDS.iter().map(|it| it.0).collect(),
        without: without
            .chain((!has_router).then_some("alert-router"))
            .collect(),
    })
}

/// A program's unit, which may write where that is kept.
fn keeping(unit: &str, program: &str, state: &str) -> anyhow::Result<String> {
    let before = format!("ReadWritePaths={STATE}/{program}");
    adapted(unit, &[(&before, &format!("ReadWritePaths={state}"))])
}

/// The name that people reach a monitor by, when external_url says another than its own.
pub(super) fn name(network: &Network, node: &Node) -> anyhow::Result<Option<String>> {
    let given = network.config.text("external_url");
    let Some(given) = given.filter(|_| node.roles.contains(&Role::Monitor)) else {
        return Ok(None);
    };
    // A URL's address of version 6 is in brackets.
    let url = Url::parse(given)?;
    let host = url.host_str().unwrap_or_default();
    Ok(Some(host.trim_matches(['[', ']']).to_owned()))
}

/// Where people reach a program of a monitor, for links: the host of external_url, or the monitor's address, and the program's port.
fn url(network: &Network, monitor: &Node, program: &str) -> anyhow::Result<String> {
    let given = network.config.text("external_url").map(Url::parse);
    let given = given.transpose()?;
    let host = given.as_ref().and_then(Url::host_str);
    let port = port(&network.config, program);
    let socket = match host {
        // A URL's address of version 6 is in brackets already.
        Some(host) => format!("{host}:{port}"),
        None => socket(&monitor.private_address, port),
    };
    Ok(format!("https://{socket}"))
}
