//! What is looked at on a node, in a table: each check says from facts how it is, and what to do. Pure.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::{
    facts::{Facts, Program, Site, is_networks},
    look::{Disk, Listener, Look, Service},
    monitor::Target,
};
use crate::{
    exec::shell_word,
    network::{Network, Node, Role},
    output::duration,
};

/// Less is too little: HostDiskSpaceLow.
const LOW_SPACE: f64 = 0.15;
/// Certificates are made anew when a third of their life is left; so late, nobody has installed for long.
const LATE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Seconds that clocks may differ by. Of Cassandra's writes the later one wins.
const SKEW: u64 = 1;
/// Characters of a text that is shown in a line.
const LONG: usize = 120;
/// Ports of a node of Cassandra that nobody but the node itself may use.
pub(crate) const LOOPBACK_ALONE: [(u16, &str); 2] = [(7199, "JMX"), (8778, "Jolokia")];

/// A check. What cannot be looked at has no finding: that the node does not answer says enough.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) of: fn(&Facts, &Site) -> Vec<Finding>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) is_problem: bool,
    pub(crate) what: String,
    /// A command that can be pasted.
    pub(crate) todo: Option<String>,
}

/// All of them, in the order in which they are told: what the others depend on first.
pub(crate) const CHECKS: &[Check] = &[
    check("ssh", ssh),
    check("clock", clock),
    check("services", services),
    check("failed units", failed_units),
    check("disks", disks),
    check("mounts", mounts),
    check("load", load),
    check("ports", ports),
    check("certificates", certificates),
    check("names", names),
    check("drift", drift),
    check("last change", last_change),
    check("targets", targets),
    check("delivery", delivery),
    check("ring", ring),
];

const fn check(name: &'static str, of: fn(&Facts, &Site) -> Vec<Finding>) -> Check {
    Check { name, of }
}

/// A check by its name.
pub(crate) fn named(name: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|it| it.name == name)
}

impl Finding {
    fn fine(what: impl Into<String>) -> Self {
        Self {
            is_problem: false,
            what: what.into(),
            todo: None,
        }
    }

    fn problem(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            is_problem: true,
            what: what.into(),
            todo: Some(todo.into()),
        }
    }
}

/// These, or that all is well when there are none.
fn or_fine(problems: Vec<Finding>, fine: impl FnOnce() -> String) -> Vec<Finding> {
    if problems.is_empty() {
        vec![Finding::fine(fine())]
    } else {
        problems
    }
}

/// What runs a command on a node.
fn on(node: &Node, site: &Site, command: &str) -> String {
    format!("{} ssh {} {}", site.command, node.name, shell_word(command))
}

fn ssh(facts: &Facts, _site: &Site) -> Vec<Finding> {
    vec![match &facts.look {
        Ok(_) => Finding::fine("it lets us in, and become root"),
        Err(trouble) => Finding::problem(&trouble.what, &trouble.todo),
    }]
}

fn clock(facts: &Facts, site: &Site) -> Vec<Finding> {
    let Ok(look) = &facts.look else {
        return Vec::new();
    };
    let todo = || on(&facts.node, site, "sudo timedatectl set-ntp true");
    let by = look.skew.unsigned_abs();
    vec![if by <= SKEW {
        Finding::fine("it shows the same time as ours")
    } else {
        let side = if look.skew > 0 { "before" } else { "behind" };
        Finding::problem(format!("it is {by} s {side} ours"), todo())
    }]
}

/// How a program is that should be there: a problem, or None.
pub(crate) fn of_service(facts: &Facts, look: &Look, program: &str) -> Option<String> {
    let Some(service) = look.services.get(program) else {
        return Some("is not installed".to_owned());
    };
    let Service { state, detail, .. } = service;
    if state != "active" {
        return Some(format!("does not run: {state} ({detail})"));
    }
    facts.health.get(program).cloned().flatten()
}

fn services(facts: &Facts, site: &Site) -> Vec<Finding> {
    let Ok(look) = &facts.look else {
        return Vec::new();
    };
    if facts.programs.is_empty() {
        return Vec::new();
    }
    let name = &facts.node.name;
    let mut problems = Vec::new();
    for Program { name: program, .. } in &facts.programs {
        let Some(problem) = of_service(facts, look, program) else {
            continue;
        };
        let todo = match look.services.contains_key(program) {
            true => format!("{} start {name} {program}", site.command),
            false => format!("{} install {name}", site.command),
        };
        problems.push(Finding::problem(format!("{program} {problem}"), todo));
    }
    let all = facts.programs.iter().map(|it| it.name.as_str());
    or_fine(problems, || {
        format!("healthy: {}", all.collect::<Vec<_>>().join(", "))
    })
}

fn failed_units(facts: &Facts, site: &Site) -> Vec<Finding> {
    let Ok(look) = &facts.look else {
        return Vec::new();
    };
    let problem = |unit: &String| {
        let command = format!("sudo journalctl -n 50 --no-pager -u {}", shell_word(unit));
        Finding::problem(
            format!("{unit} has failed, and is not started again"),
            on(&facts.node, site, &command),
        )
    };
    or_fine(look.failed.iter().map(problem).collect(), || {
        "systemd has given up none".to_owned()
    })
}

fn disks(facts: &Facts, site: &Site) -> Vec<Finding> {
    let Ok(look) = &facts.look else {
        return Vec::new();
    };
    let low = look.disks.iter().filter(|it| it.free_ratio() < LOW_SPACE);
    let problem = |disk: &Disk| {
        let mount = shell_word(&disk.mount);
        let command = format!("sudo du -xh --max-depth=2 {mount} | sort -h | tail -n 20");
        Finding::problem(
            format!("{} has {:.0} % free", disk.mount, disk.free_ratio() * 100.0),
            on(&facts.node, site, &command),
        )
    };
    or_fine(low.map(problem).collect(), || match look.fullest() {
        Some(disk) => format!(
            "the fullest, {}, has {:.0} % free",
            disk.mount,
            disk.free_ratio() * 100.0
        ),
        None => "nothing of ours is there".to_owned(),
    })
}

fn mounts(facts: &Facts, site: &Site) -> Vec<Finding> {
    let Ok(look) = &facts.look else {
        return Vec::new();
    };
    let ours: BTreeSet<&String> = look.disks.iter().map(|it| &it.mount).collect();
    let read_only = ours
        .into_iter()
        .filter(|it| look.read_only.contains(it.as_str()));
    let problem = |mount: &String| {
        Finding::problem(
            format!("{mount} is read-only"),
            on(&facts.node, site, "sudo dmesg | tail -n 50"),
        )
    };
    or_fine(read_only.map(problem).collect(), || {
        "those with something of ours can be written".to_owned()
    })
}

/// How busy it is; for how long that is too much is for the alerts to say.
fn load(facts: &Facts, _site: &Site) -> Vec<Finding> {
    let load = facts.look.as_ref().ok().and_then(|it| it.load);
    let said = load.map(|(load, processors)| {
        Finding::fine(format!("{load:.1} run or wait, on {processors} processors"))
    });
    said.into_iter().collect()
}

/// What listens where it should not, or should and does not.
pub(crate) fn ports(facts: &Facts, site: &Site) -> Vec<Finding> {
    let Ok(look) = &facts.look else {
        return Vec::new();
    };
    if facts.programs.is_empty() {
        return Vec::new();
    }
    let see = || on(&facts.node, site, "sudo ss -ltnp");
    if look.lacks.contains("ss") {
        return vec![Finding::problem(
            "it has no ss, which tells who listens",
            on(&facts.node, site, "sudo apt-get install iproute2"),
        )];
    }
    let mut problems = Vec::new();
    for Program { name, port } in &facts.programs {
        let mut listeners = look.listeners.iter();
        let is_there = listeners.any(|it| Some(it.port) == *port && is_private(it, facts, look));
        if let (Some(port), false) = (port, is_there) {
            problems.push(Finding::problem(
                format!(
                    "nothing listens on {} port {port}, where {name} should",
                    facts.node.private_address
                ),
                format!("{} start {} {name}", site.command, facts.node.name),
            ));
        }
    }
    for listener in &look.listeners {
        let Listener { address, port, .. } = listener;
        if is_loopback(address) {
            continue;
        }
        let inside = LOOPBACK_ALONE.iter().find(|it| it.0 == *port);
        if let Some((_, what)) = inside.filter(|_| facts.node.roles.contains(&Role::Cassandra)) {
            problems.push(Finding::problem(
                format!("{what} (port {port}) listens on {address}: on 127.0.0.1 alone it is safe"),
                see(),
            ));
            continue;
        }
        if let Some(program) = ours(listener, &facts.programs)
            && !is_private(listener, facts, look)
        {
            problems.push(Finding::problem(
                format!(
                    "{program} listens on {address} port {port}, not on the private address alone"
                ),
                see(),
            ));
        }
    }
    or_fine(problems, || {
        format!("ours listen on {} alone", facts.node.private_address)
    })
}

/// Which of our programs it is, or whose port it has.
fn ours<'a>(listener: &Listener, programs: &'a [Program]) -> Option<&'a str> {
    let is = |it: &&Program| {
        let process = listener.process.as_deref();
        // The kernel keeps 15 bytes of a name.
        let is_named = process.is_some_and(|known| it.name.get(..15).unwrap_or(&it.name) == known);
        is_named || it.port == Some(listener.port)
    };
    let mut programs = programs.iter().filter(|it| !is_networks(&it.name));
    Some(programs.find(is)?.name.as_str())
}

fn is_private(listener: &Listener, facts: &Facts, look: &Look) -> bool {
    listener.address == facts.node.private_address || look.addresses.contains(&listener.address)
}

fn is_loopback(address: &str) -> bool {
    let address = address.strip_prefix("::ffff:").unwrap_or(address);
    address == "::1" || address.starts_with("127.")
}

fn certificates(facts: &Facts, site: &Site) -> Vec<Finding> {
    let (Ok(look), Some(materials)) = (&facts.look, &site.materials) else {
        return Vec::new();
    };
    let install = || format!("{} install {}", site.command, facts.node.name);
    let mut problems = Vec::new();
    let mut first = None;
    for pem in &look.certificates {
        let Some(seen) = materials.pki.judge(pem) else {
            problems.push(Finding::problem(
                "there is one that cannot be read",
                install(),
            ));
            continue;
        };
        if !seen.is_ours {
            problems.push(Finding::problem(
                "there is one of another authority than this environment's",
                install(),
            ));
        }
        let left = seen.ends.duration_since(site.now);
        if left < LATE {
            let days = left.as_hours() / 24;
            let when = match left.is_negative() {
                true => format!("has ended {} days ago", -days),
                false => format!("ends in {days} days"),
            };
            problems.push(Finding::problem(
                format!("there is one that {when}"),
                install(),
            ));
        }
        first = Some(first.map_or(seen.ends, |it| seen.ends.min(it)));
    }
    let Some(first) = first else {
        return problems;
    };
    or_fine(problems, || {
        let days = first.duration_since(site.now).as_hours() / 24;
        format!("good for {days} days")
    })
}

fn names(facts: &Facts, site: &Site) -> Vec<Finding> {
    let Ok(look) = &facts.look else {
        return Vec::new();
    };
    if look.names.is_empty() {
        return Vec::new();
    }
    let lost = look.names.iter().filter(|it| !it.1).map(|it| it.0);
    let problem = |name: &String| {
        let command = format!("getent ahosts {}; cat /etc/resolv.conf", shell_word(name));
        Finding::problem(
            format!("{name} is not found"),
            on(&facts.node, site, &command),
        )
    };
    or_fine(lost.map(problem).collect(), || {
        let all: Vec<_> = look.names.keys().map(String::as_str).collect();
        format!("found: {}", all.join(", "))
    })
}

fn drift(facts: &Facts, site: &Site) -> Vec<Finding> {
    let todo = || format!("{} install {}", site.command, facts.node.name);
    match &facts.drift {
        None => Vec::new(),
        Some(Ok(lines)) if lines.is_empty() => vec![Finding::fine("it has what it should")],
        Some(Ok(lines)) => vec![Finding::problem(
            format!("install would {}", shortened(lines)),
            todo(),
        )],
        Some(Err(problem)) => vec![Finding::problem(
            format!("it is not known what differs: {problem}"),
            format!("{} install --dry-run {}", site.command, facts.node.name),
        )],
    }
}

fn shortened(lines: &[String]) -> String {
    let some: Vec<_> = lines.iter().take(3).map(String::as_str).collect();
    let more = lines.len().saturating_sub(some.len());
    let some = some.join(", ");
    match more {
        0 => some,
        more => format!("{some}, and {more} things more"),
    }
}

fn last_change(facts: &Facts, site: &Site) -> Vec<Finding> {
    if facts.look.is_err() {
        return Vec::new();
    }
    let Some(entry) = &facts.last_change else {
        return vec![Finding::problem(
            "the journal knows of none",
            format!("{} install {}", site.command, facts.node.name),
        )];
    };
    let age = site.now.duration_since(entry.time).as_secs();
    let what = format!(
        "{} ago by {}, {}: {}",
        duration(age.try_into().unwrap_or(0)),
        entry.who,
        entry.command,
        beginning(&entry.result)
    );
    let is_bad = ["failed", "rolled back"]
        .iter()
        .any(|it| entry.result.starts_with(it));
    vec![if is_bad {
        Finding::problem(
            what,
            format!("{} install {}", site.command, facts.node.name),
        )
    } else {
        Finding::fine(what)
    }]
}

/// Of a long text, enough to know what it is about.
fn beginning(text: &str) -> String {
    match text.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn targets(facts: &Facts, site: &Site) -> Vec<Finding> {
    let again = || format!("{} doctor {}", site.command, facts.node.name);
    let targets = match &facts.targets {
        None => return Vec::new(),
        Some(Err(problem)) => {
            return vec![Finding::problem(
                format!("Prometheus does not tell them: {problem}"),
                format!("{} logs {} prometheus", site.command, facts.node.name),
            )];
        }
        Some(Ok(targets)) => targets,
    };
    let down = targets.iter().filter(|it| it.health == "down");
    let problem = |it: &Target| {
        let its = format!("{} of {} is down: {}", it.job, it.instance, it.error);
        let is_known =
            |network: &Network| network.nodes.iter().any(|node| node.name == it.instance);
        let todo = if is_known(&site.network) {
            format!("{} doctor {}", site.command, it.instance)
        } else {
            again()
        };
        Finding::problem(its, todo)
    };
    or_fine(down.map(problem).collect(), || {
        format!("{} are scraped", targets.len())
    })
}

fn delivery(facts: &Facts, site: &Site) -> Vec<Finding> {
    let logs = || format!("{} logs {} alert-router", site.command, facts.node.name);
    let all = match &facts.deliveries {
        None => return Vec::new(),
        Some(Err(problem)) => {
            return vec![Finding::problem(
                format!("alert-router does not tell what it told people: {problem}"),
                logs(),
            )];
        }
        Some(Ok(all)) => all,
    };
    let mut problems = Vec::new();
    for it in all.last.iter().filter(|it| it.status != "sent") {
        problems.push(Finding::problem(
            format!(
                "the last message by {}[{}] to {} did not arrive: {}",
                it.integration, it.index, it.receiver, it.error
            ),
            format!("{} alerts test", site.command),
        ));
    }
    if !all.is_stored {
        problems.push(Finding::problem(
            "its disk takes nothing, so alerts are refused",
            logs(),
        ));
    }
    or_fine(problems, || match all.last.len() {
        0 => "nobody was told of anything since the start".to_owned(),
        ways => format!(
            "the last message of each of {ways} ways arrived; {:.0} failed since the start, {:.0} groups wait",
            all.failed, all.waiting
        ),
    })
}

fn ring(facts: &Facts, site: &Site) -> Vec<Finding> {
    let members = match &facts.ring {
        None => return Vec::new(),
        Some(Err(problem)) => {
            return vec![Finding::problem(
                format!("it is not known: {problem}"),
                on(&facts.node, site, "nodetool status"),
            )];
        }
        Some(Ok(members)) => members,
    };
    let shown: Vec<_> = members
        .iter()
        .map(|it| format!("{} {}", it.1, it.0))
        .collect();
    let shown = shown.join(", ");
    vec![if members.keys().all(|it| it == "UN") {
        Finding::fine(shown)
    } else {
        Finding::problem(shown, on(&facts.node, site, "nodetool status"))
    }]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        super::{
            facts::{Facts, Program, Site, Trouble},
            look::{Disk, Listener, Look, Service},
            monitor::{Deliveries, Delivery, Target},
        },
        Finding, named,
    };
    use crate::{
        lock::Entry,
        network::{Node, Role},
    };

    /// A node with node-exporter, of which all is well.
    fn well() -> Facts {
        let site = Site::of(Vec::new());
        let mut facts = Facts::new(&site, Node::named("n"));
        facts.programs = vec![Program {
            name: "node-exporter".to_owned(),
            port: Some(9100),
        }];
        facts.health = [("node-exporter".to_owned(), None)].into();
        let service = Service {
            state: "active".to_owned(),
            ..Service::default()
        };
        facts.look = Ok(Look {
            services: [("node-exporter".to_owned(), service)].into(),
            disks: vec![disk("/", 50), disk("/var", 20)],
            listeners: vec![
                listener("10.0.0.1", 9100, "node-exporter"),
                listener("0.0.0.0", 22, "sshd"),
            ],
            ..Look::default()
        });
        facts
    }

    fn disk(mount: &str, free: u64) -> Disk {
        Disk {
            mount: mount.to_owned(),
            size: 100,
            free,
        }
    }

    fn listener(address: &str, port: u16, process: &str) -> Listener {
        Listener {
            address: address.to_owned(),
            port,
            process: Some(process.to_owned()),
        }
    }

    /// What a check finds: a line for each, with a problem's command after an arrow.
    fn check(name: &str, facts: &Facts, expect: &[&str]) {
        let site = Site::of(vec![Node::named("n"), Node::named("b")]);
        let found = (named(name).unwrap().of)(facts, &site);
        let found: Vec<_> = found
            .into_iter()
            .map(|it| {
                let Finding {
                    is_problem,
                    what,
                    todo,
                } = it;
                assert_eq!(is_problem, todo.is_some());
                match todo {
                    Some(todo) => format!("{what} -> {todo}"),
                    None => what,
                }
            })
            .collect();
        assert_eq!(found, expect, "{name}");
    }

    /// After something was made worse.
    fn worse(name: &str, change: impl Fn(&mut Facts, &mut Look), expect: &[&str]) {
        let mut facts = well();
        let mut look = facts.look.clone().unwrap();
        change(&mut facts, &mut look);
        facts.look = facts.look.map(|_| look);
        check(name, &facts, expect);
    }

    #[test]
    fn all_is_well() {
        let facts = well();
        for (name, expect) in [
            ("ssh", "it lets us in, and become root"),
            ("clock", "it shows the same time as ours"),
            ("services", "healthy: node-exporter"),
            ("failed units", "systemd has given up none"),
            ("disks", "the fullest, /var, has 20 % free"),
            ("mounts", "those with something of ours can be written"),
            ("ports", "ours listen on 10.0.0.1 alone"),
        ] {
            check(name, &facts, &[expect]);
        }
        // What it has nothing to do with.
        for name in [
            "names",
            "drift",
            "targets",
            "delivery",
            "ring",
            "load",
            "certificates",
        ] {
            check(name, &facts, &[]);
        }
    }

    #[test]
    fn not_reached() {
        let mut facts = well();
        facts.look = Err(Trouble {
            what: "it cannot be reached".to_owned(),
            todo: "do this".to_owned(),
        });
        for it in super::CHECKS.iter().filter(|it| it.name != "ssh") {
            check(it.name, &facts, &[]);
        }
        check("ssh", &facts, &["it cannot be reached -> do this"]);
    }

    /// Of a node that nothing is known to be on, nothing is said.
    #[test]
    fn nothing_should_be_there() {
        for name in ["services", "ports"] {
            worse(name, |facts, _| facts.programs.clear(), &[]);
        }
    }

    #[test]
    fn clocks() {
        let todo = "provisioner -e env ssh n 'sudo timedatectl set-ntp true'";
        for (skew, expect) in [(5, "it is 5 s before ours"), (-5, "it is 5 s behind ours")] {
            worse(
                "clock",
                |_, look| look.skew = skew,
                &[&format!("{expect} -> {todo}")],
            );
        }
    }

    #[test]
    fn services() {
        worse(
            "services",
            |facts, _| {
                let answer = Some("answers 500".to_owned());
                facts.health.insert("node-exporter".to_owned(), answer);
            },
            &["node-exporter answers 500 -> provisioner -e env start n node-exporter"],
        );
        worse(
            "services",
            |_, look| {
                let service = look.services.get_mut("node-exporter").unwrap();
                service.state = "failed".to_owned();
                service.detail = "exit-code".to_owned();
            },
            &[
                "node-exporter does not run: failed (exit-code) -> provisioner -e env start n node-exporter",
            ],
        );
        worse(
            "services",
            |_, look| look.services.clear(),
            &["node-exporter is not installed -> provisioner -e env install n"],
        );
        worse(
            "failed units",
            |_, look| look.failed = ["a.service".to_owned()].into(),
            &[
                "a.service has failed, and is not started again -> provisioner -e env ssh n 'sudo journalctl -n 50 --no-pager -u a.service'",
            ],
        );
    }

    #[test]
    fn disks() {
        worse(
            "disks",
            |_, look| look.disks.push(disk("/x", 3)),
            &[
                "/x has 3 % free -> provisioner -e env ssh n 'sudo du -xh --max-depth=2 /x | sort -h | tail -n 20'",
            ],
        );
        worse(
            "mounts",
            |_, look| look.read_only = ["/var", "/cdrom"].map(str::to_owned).into(),
            &["/var is read-only -> provisioner -e env ssh n 'sudo dmesg | tail -n 50'"],
        );
    }

    #[test]
    fn ports() {
        let see = "provisioner -e env ssh n 'sudo ss -ltnp'";
        worse(
            "ports",
            |_, look| look.listeners = vec![listener("*", 9100, "node-exporter")],
            &[
                "nothing listens on 10.0.0.1 port 9100, where node-exporter should -> provisioner -e env start n node-exporter",
                &format!(
                    "node-exporter listens on * port 9100, not on the private address alone -> {see}"
                ),
            ],
        );
        // By its name, of which the kernel keeps a part; and by its port.
        worse(
            "ports",
            |facts, look| {
                facts.programs.push(Program {
                    name: "cassandra-exporter".to_owned(),
                    port: None,
                });
                look.listeners
                    .push(listener("0.0.0.0", 1234, "cassandra-expor"));
                look.listeners.push(listener("203.0.113.1", 9100, "other"));
                look.listeners.push(listener("127.0.0.1", 9100, "other"));
                look.listeners
                    .push(listener("::ffff:127.0.0.1", 9100, "other"));
            },
            &[
                &format!(
                    "cassandra-exporter listens on 0.0.0.0 port 1234, not on the private address alone -> {see}"
                ),
                &format!(
                    "node-exporter listens on 203.0.113.1 port 9100, not on the private address alone -> {see}"
                ),
            ],
        );
        // A private address that is a name.
        worse(
            "ports",
            |facts, look| {
                facts.node.private_address = "n.internal".to_owned();
                look.addresses = ["10.0.0.1".to_owned()].into();
            },
            &["ours listen on n.internal alone"],
        );
        for (role, expect) in [
            (Role::Host, "ours listen on 10.0.0.1 alone".to_owned()),
            (
                Role::Cassandra,
                format!(
                    "Jolokia (port 8778) listens on 10.0.0.1: on 127.0.0.1 alone it is safe -> {see}"
                ),
            ),
        ] {
            worse(
                "ports",
                |facts, look| {
                    facts.node.roles = [role].into();
                    look.listeners.push(listener("10.0.0.1", 8778, "java"));
                    look.listeners.push(listener("127.0.0.1", 7199, "java"));
                },
                &[&expect],
            );
        }
    }

    #[test]
    fn files_and_changes() {
        let drift = |lines: &[&str]| Some(Ok(lines.iter().map(ToString::to_string).collect()));
        let install = "provisioner -e env install n";
        worse(
            "drift",
            |facts, _| facts.drift = drift(&[]),
            &["it has what it should"],
        );
        worse(
            "drift",
            |facts, _| facts.drift = drift(&["write a", "write b", "stop c", "start d"]),
            &[&format!(
                "install would write a, write b, stop c, and 1 things more -> {install}"
            )],
        );
        let entry = |result: &str| Entry {
            time: jiff::Timestamp::from_second(-90).unwrap(),
            who: "me@here".to_owned(),
            command: "install".to_owned(),
            node: Some("n".to_owned()),
            result: result.to_owned(),
        };
        worse(
            "last change",
            |_, _| {},
            &[&format!("the journal knows of none -> {install}")],
        );
        worse(
            "last change",
            |facts, _| facts.last_change = Some(entry("changed: all")),
            &["1m30s ago by me@here, install: changed: all"],
        );
        worse(
            "last change",
            |facts, _| facts.last_change = Some(entry("rolled back")),
            &[&format!(
                "1m30s ago by me@here, install: rolled back -> {install}"
            )],
        );
        worse(
            "names",
            |_, look| look.names = [("a".to_owned(), true), ("b".to_owned(), false)].into(),
            &["b is not found -> provisioner -e env ssh n 'getent ahosts b; cat /etc/resolv.conf'"],
        );
    }

    #[test]
    fn what_programs_say() {
        let target = |instance: &str, health: &str| Target {
            job: "node".to_owned(),
            instance: instance.to_owned(),
            health: health.to_owned(),
            error: "refused".to_owned(),
        };
        worse(
            "targets",
            |facts, _| {
                facts.targets = Some(Ok(vec![
                    target("n", "up"),
                    target("b", "down"),
                    target("x", "down"),
                ]));
            },
            &[
                "node of b is down: refused -> provisioner -e env doctor b",
                "node of x is down: refused -> provisioner -e env doctor n",
            ],
        );
        let delivery = Delivery {
            time: jiff::Timestamp::UNIX_EPOCH,
            receiver: "team".to_owned(),
            integration: "slack".to_owned(),
            index: 0,
            status: "failed".to_owned(),
            error: "404".to_owned(),
        };
        let all = Deliveries {
            last: vec![delivery],
            ..Deliveries::default()
        };
        worse(
            "delivery",
            |facts, _| facts.deliveries = Some(Ok(all.clone())),
            &[
                "the last message by slack[0] to team did not arrive: 404 -> provisioner -e env alerts test",
                "its disk takes nothing, so alerts are refused -> provisioner -e env logs n alert-router",
            ],
        );
        let ring = |states: &[(&str, u64)]| {
            let all = states.iter().map(|it| (it.0.to_owned(), it.1));
            Some(Ok(all.collect::<BTreeMap<_, _>>()))
        };
        worse(
            "ring",
            |facts, _| facts.ring = ring(&[("UN", 3)]),
            &["3 UN"],
        );
        worse(
            "ring",
            |facts, _| facts.ring = ring(&[("DN", 1), ("UN", 2)]),
            &["1 DN, 2 UN -> provisioner -e env ssh n 'nodetool status'"],
        );
    }
}
