//! `provisioner diagram`: a picture of the network, drawn of its configuration and of its machines where there are some. In Mermaid's language,
//! which GitHub and many wikis show as a drawing.

use std::{path::Path, process::ExitCode};

use crate::{
    config::Config,
    network::{Network, Role},
    output, planning,
};

/// Prints it.
pub(crate) fn diagram(folder: &Path) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    output::say(mermaid(&groups(&network)?, &told(&network.config)));
    Ok(ExitCode::SUCCESS)
}

/// The machines of a role.
#[derive(Debug)]
struct Group {
    role: Role,
    /// What they are, when that is known of a plan alone.
    kind: String,
    nodes: Vec<String>,
}

/// From where things come first to where they end.
const ORDER: [Role; 6] = [
    Role::Traefik,
    Role::ScalarDl,
    Role::Cassandra,
    Role::Bastion,
    Role::Monitor,
    Role::Host,
];

/// Machines that there are, or those that the configuration asks for.
fn groups(network: &Network) -> anyhow::Result<Vec<Group>> {
    let planned = planning::level(&network.config)?.machines();
    let group = |role: Role| {
        if !network.nodes.is_empty() {
            let its = network.nodes.iter().filter(|it| it.roles.contains(&role));
            return Group {
                role,
                kind: String::new(),
                nodes: its.map(|it| it.name.clone()).collect(),
            };
        }
        let its = planned.iter().find(|it| it.0 == role.word());
        let (count, kind) = its.map_or((0, ""), |it| (it.1, it.2.as_str()));
        Group {
            role,
            kind: kind.to_owned(),
            nodes: (1..=count)
                .map(|it| format!("{}-{it}", role.word()))
                .collect(),
        }
    };
    Ok(ORDER
        .map(group)
        .into_iter()
        .filter(|it| !it.nodes.is_empty())
        .collect())
}

/// Who is told of alerts.
fn told(config: &Config) -> Vec<&'static str> {
    let ways = [
        ("slack_webhook_url", "Slack"),
        ("alert_email", "mail"),
        ("pagerduty_routing_key", "PagerDuty"),
    ];
    let ways = ways.into_iter().filter(|it| config.secret(it.0).is_some());
    ways.map(|it| it.1).collect()
}

/// The drawing; pure.
fn mermaid(groups: &[Group], told: &[&str]) -> String {
    let has = |role: Role| groups.iter().any(|it| it.role == role);
    let mut text = "flowchart LR\n".to_owned();
    let entry = [Role::Traefik, Role::ScalarDl]
        .into_iter()
        .find(|it| has(*it));
    if entry.is_some() {
        text += "  clients([clients])\n";
    }
    text += "  operator([operator])\n";
    for group in groups {
        let word = group.role.word();
        let kind = match group.kind.as_str() {
            "" => String::new(),
            kind => format!(", {kind}"),
        };
        text += &format!(
            "  subgraph {word} [\"{word}: {}{kind}\"]\n",
            runs(group.role)
        );
        for (number, node) in (1..).zip(&group.nodes) {
            // What holds data is drawn as what holds data.
            let (open, close) = match group.role {
                Role::Cassandra => ("[(", ")]"),
                _ => ("[", "]"),
            };
            text += &format!("    {word}_{number}{open}\"{node}\"{close}\n");
        }
        text += "  end\n";
    }
    if has(Role::Monitor) && !told.is_empty() {
        text += &format!("  people([\"{}\"])\n", told.join(", "));
    }
    let mut arrow = |from: &str, what: &str, to: &str| {
        text += &format!("  {from} -->|{what}| {to}\n");
    };
    if let Some(entry) = entry {
        arrow("clients", "50051, 50052", entry.word());
    }
    for (from, what, to) in [
        (Role::Traefik, "50051, 50052", Role::ScalarDl),
        (Role::ScalarDl, "9042", Role::Cassandra),
    ] {
        if has(from) && has(to) {
            arrow(from.word(), what, to.word());
        }
    }
    let way = if has(Role::Bastion) {
        arrow("operator", "ssh", "bastion");
        "bastion"
    } else {
        "operator"
    };
    for group in groups.iter().filter(|it| it.role != Role::Bastion) {
        arrow(way, "ssh", group.role.word());
    }
    for group in groups
        .iter()
        .filter(|it| has(Role::Monitor) && it.role != Role::Monitor)
    {
        arrow("monitor", "scrapes", group.role.word());
    }
    if has(Role::Monitor) && !told.is_empty() {
        arrow("monitor", "alerts", "people");
    }
    text.trim_end().to_owned()
}

/// What is on a machine of a role, besides its agents.
const fn runs(role: Role) -> &'static str {
    match role {
        Role::Bastion => "the way in",
        Role::Cassandra => "the data",
        Role::Host => "watched alone",
        Role::Monitor => "Prometheus, alert-router, Grafana",
        Role::ScalarDl => "ledgers",
        Role::Traefik => "the entry point",
    }
}

#[cfg(test)]
mod tests {
    use super::{Group, ORDER, mermaid};
    use crate::network::Role;

    fn group(role: Role, nodes: &[&str]) -> Group {
        Group {
            role,
            kind: String::new(),
            nodes: nodes.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn every_role_has_its_place() {
        for role in Role::ALL {
            assert_eq!(ORDER.iter().filter(|it| **it == role).count(), 1);
        }
    }

    /// Every arrow leads between things that are drawn.
    #[test]
    fn arrows() {
        for (groups, told, expect) in [
            (vec![], vec!["Slack"], ""),
            (
                vec![group(Role::Cassandra, &["c"])],
                vec!["Slack"],
                "operator -->|ssh| cassandra",
            ),
            (
                vec![
                    group(Role::ScalarDl, &["l"]),
                    group(Role::Cassandra, &["c"]),
                ],
                vec![],
                "clients -->|50051, 50052| scalardl
scalardl -->|9042| cassandra
operator -->|ssh| scalardl
operator -->|ssh| cassandra",
            ),
            (
                vec![
                    group(Role::Traefik, &["t"]),
                    group(Role::Bastion, &["b"]),
                    group(Role::Monitor, &["t"]),
                ],
                vec!["Slack", "mail"],
                "clients -->|50051, 50052| traefik
operator -->|ssh| bastion
bastion -->|ssh| traefik
bastion -->|ssh| monitor
monitor -->|scrapes| traefik
monitor -->|scrapes| bastion
monitor -->|alerts| people",
            ),
        ] {
            let text = mermaid(&groups, &told);
            let arrows = text.lines().filter(|it| it.contains("-->"));
            let arrows: Vec<_> = arrows.map(str::trim).collect();
            assert_eq!(arrows.join("\n"), expect);
        }
        let text = mermaid(&[group(Role::Cassandra, &["c"])], &[]);
        assert!(text.contains("cassandra_1[(\"c\")]"), "{text}");
    }
}
