//! The hosts file: machines that there are, for `"target": "hosts"`. YAML, of which JSON is a part.

use std::{
    collections::BTreeSet,
    fmt, fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::{
    config::near,
    network::{Node, Purpose, Role, Volume},
};

/// A larger file is no list of hosts.
const MAX_SIZE: u64 = 1 << 20;
/// More machines are no network of ours.
const MAX_HOSTS: usize = 500;

/// Every problem of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HostsError(Vec<String>);

impl fmt::Display for HostsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n  "))
    }
}

impl std::error::Error for HostsError {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Defaults,
    hosts: Vec<Spanned<Host>>,
}

/// What hosts have that say nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    user: Option<String>,
    port: Option<u16>,
    bastion: Option<String>,
    zone: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    name: String,
    /// Where the operator, or the bastion, reaches it.
    address: String,
    /// Where the other hosts reach it; the same without.
    private_address: Option<String>,
    role: Roles,
    zone: Option<String>,
    user: Option<String>,
    port: Option<u16>,
    /// Another host that the way leads over; `none` for none.
    bastion: Option<String>,
    instance_id: Option<String>,
    /// The fingerprint of its host key, as `ssh-keygen -lf` prints it; the known hosts of the user without.
    host_key: Option<String>,
    /// Disks that are its own, and may be formatted when they are empty.
    #[serde(default)]
    volumes: Vec<Disk>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Disk {
    r#for: Purpose,
    /// As the disk says it; the id of a volume of EBS, with or without its hyphen.
    serial: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Roles {
    One(String),
    Many(Vec<String>),
}

/// Reads a file.
pub(crate) fn load(path: &Path) -> Result<Vec<Node>, HostsError> {
    let one = |problem: String| HostsError(vec![format!("{}: {problem}", path.display())]);
    let cannot = |error: std::io::Error| one(format!("cannot read it: {error}"));
    if fs::metadata(path).map_err(cannot)?.len() > MAX_SIZE {
        return Err(one("it has more than 1 MiB".to_owned()));
    }
    let text = fs::read_to_string(path).map_err(cannot)?;
    parse(path, &text)
}

/// Reads the text of one.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<Node>, HostsError> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(1, |it| it.line());
        let reason = error.without_snippet().to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        HostsError(vec![format!("{}, line {line}: {reason}", path.display())])
    })?;
    let mut check = Check {
        path: path.to_owned(),
        problems: Vec::new(),
    };
    let nodes = check.nodes(file);
    if check.problems.is_empty() {
        Ok(nodes)
    } else {
        Err(HostsError(check.problems))
    }
}

struct Check {
    path: PathBuf,
    problems: Vec<String>,
}

impl Check {
    fn problem(&mut self, line: u64, text: &str) {
        let path = self.path.display();
        self.problems.push(format!("{path}, line {line}: {text}"));
    }

    fn nodes(&mut self, file: File) -> Vec<Node> {
        if file.hosts.is_empty() || file.hosts.len() > MAX_HOSTS {
            self.problem(1, &format!("there must be 1 to {MAX_HOSTS} hosts"));
        }
        let mut names = BTreeSet::new();
        let mut nodes: Vec<Node> = Vec::new();
        let mut bastions = Vec::new();
        for Spanned {
            value: host,
            referenced,
            ..
        } in file.hosts
        {
            let line = referenced.line();
            let name = &host.name;
            if !is_name(name) {
                self.problem(
                    line,
                    &format!(
                        "{name:?} is no name of a host: letters, digits and hyphens, at most 63"
                    ),
                );
            }
            if !names.insert(name.clone()) {
                self.problem(line, &format!("there are two hosts called {name}"));
            }
            let private = host.private_address.as_ref().unwrap_or(&host.address);
            for address in [&host.address, private] {
                if !is_address(address) {
                    self.problem(
                        line,
                        &format!("{name}: {address:?} is neither an IP address nor a name"),
                    );
                }
            }
            if nodes.iter().any(|it| it.private_address == *private) {
                self.problem(
                    line,
                    &format!("{name}: another host has the address {private}, too"),
                );
            }
            let words = match host.role {
                Roles::One(word) => vec![word],
                Roles::Many(words) => words,
            };
            let mut roles = BTreeSet::new();
            for word in &words {
                match Role::of(word) {
                    Some(role) => drop(roles.insert(role)),
                    None => {
                        let meant = near(word, Role::ALL.iter().map(|it| it.word()));
                        let meant =
                            meant.map_or_else(String::new, |it| format!("; did you mean {it}?"));
                        self.problem(
                            line,
                            &format!(
                                "{name}: there is no role {word:?}: {}{meant}",
                                Role::words()
                            ),
                        );
                    }
                }
            }
            if words.is_empty() {
                self.problem(line, &format!("{name}: it has no role"));
            }
            let bastion = host.bastion.or_else(|| file.defaults.bastion.clone());
            // The bastion's own default would be itself.
            let bastion = bastion.filter(|it| it != "none" && it != name);
            if let Some(bastion) = &bastion {
                bastions.push((line, name.clone(), bastion.clone()));
            }
            if host.host_key.as_ref().is_some_and(|it| !is_fingerprint(it)) {
                self.problem(line, &format!("{name}: host_key must be a fingerprint such as SHA256:…, as ssh-keygen -lf prints it"));
            }
            let volumes = self.volumes(line, name, &roles, host.volumes);
            nodes.push(Node {
                private_address: private.clone(),
                name: host.name,
                address: host.address,
                roles,
                zone: host.zone.or_else(|| file.defaults.zone.clone()),
                user: host.user.or_else(|| file.defaults.user.clone()),
                port: host.port.or(file.defaults.port).unwrap_or(22),
                bastion,
                instance_id: host.instance_id,
                host_key: host.host_key,
                volumes,
            });
        }
        for (line, name, bastion) in bastions {
            match nodes.iter().find(|it| it.name == bastion) {
                None => self.problem(
                    line,
                    &format!("{name}: its bastion {bastion} is none of the hosts"),
                ),
                Some(its) if its.bastion.is_some() => {
                    self.problem(
                        line,
                        &format!("{name}: its bastion {bastion} is behind a bastion itself"),
                    );
                }
                Some(_) => {}
            }
        }
        let all = nodes.iter().flat_map(|it| &it.volumes);
        let mut serials = BTreeSet::new();
        for volume in all {
            if !serials.insert(volume.serial.as_str()) {
                let problem = format!("the volume {} is there twice", volume.serial);
                self.problem(1, &problem);
            }
        }
        nodes
    }

    fn volumes(
        &mut self,
        line: u64,
        name: &str,
        roles: &BTreeSet<Role>,
        disks: Vec<Disk>,
    ) -> Vec<Volume> {
        let mut volumes = Vec::new();
        for Disk { r#for, serial } in disks {
            // A disk of EBS says it so.
            let serial = match serial.strip_prefix("vol-") {
                Some(id) => format!("vol{id}"),
                None => serial,
            };
            if !is_serial(&serial) {
                self.problem(
                    line,
                    &format!("{name}: {serial:?} is no serial of a disk: letters, digits, '_' and '-', at most 64"),
                );
            }
            if volumes.iter().any(|it: &Volume| it.purpose == r#for) {
                self.problem(line, &format!("{name}: two volumes are for the same"));
            }
            let role = r#for.role();
            if !roles.contains(&role) {
                let word = role.word();
                self.problem(
                    line,
                    &format!("{name}: the volume {serial} is for a host of the role {word}; those of cassandra are for data and commitlog, a monitor's for monitor"),
                );
            }
            volumes.push(Volume {
                purpose: r#for,
                serial,
            });
        }
        volumes
    }
}

fn is_serial(text: &str) -> bool {
    let is_fine = |it: u8| it.is_ascii_alphanumeric() || b"_-".contains(&it);
    (1..=64).contains(&text.len()) && text.bytes().all(is_fine)
}

fn is_name(text: &str) -> bool {
    let is_fine = |it: u8| it.is_ascii_alphanumeric() || it == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(is_fine) && !text.starts_with('-')
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(is_name))
}

fn is_fingerprint(text: &str) -> bool {
    let hash = text.strip_prefix("SHA256:");
    hash.is_some_and(|it| {
        it.len() == 43
            && it
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"+/".contains(&it))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::parse;

    fn check(text: &str) -> Result<String, String> {
        let nodes = parse(Path::new("hosts.yml"), text).map_err(|it| it.to_string())?;
        let show = |it: &crate::network::Node| {
            let roles: Vec<_> = it.roles.iter().map(|it| it.word()).collect();
            format!(
                "{} {} {} {} {}@:{} {}",
                it.name,
                it.address,
                it.private_address,
                roles.join("+"),
                it.user.as_deref().unwrap_or("-"),
                it.port,
                it.bastion.as_deref().unwrap_or("-")
            )
        };
        Ok(nodes.iter().map(show).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn hosts() {
        let text = "defaults: {user: admin, bastion: b}\nhosts:\n  - {name: b, address: 203.0.113.5, private_address: 10.0.0.5, role: [bastion, monitor]}\n  - name: c1\n    address: 10.0.0.11\n    role: cassandra\n    user: root\n    port: 2222\n  - {name: n, address: n.example, role: scalardl, bastion: none}\n";
        assert_eq!(
            check(text).unwrap(),
            "b 203.0.113.5 10.0.0.5 bastion+monitor admin@:22 -\n\
             c1 10.0.0.11 10.0.0.11 cassandra root@:2222 b\n\
             n n.example n.example scalardl admin@:22 -"
        );
        let json = r#"{"hosts": [{"name": "a", "address": "10.0.0.1", "role": "traefik"}]}"#;
        assert_eq!(check(json).unwrap(), "a 10.0.0.1 10.0.0.1 traefik -@:22 -");
    }

    #[test]
    fn volumes() {
        let host = |name: &str, volumes: &str| {
            format!(
                "hosts:\n  - {{name: {name}, address: 10.0.0.1, role: cassandra, volumes: [{volumes}]}}\n"
            )
        };
        let text = host(
            "c",
            "{for: data, serial: vol-0a1}, {for: commitlog, serial: S_1}",
        );
        let nodes = parse(Path::new("hosts.yml"), &text).unwrap();
        let serials = nodes[0].volumes.iter().map(|it| it.serial.as_str());
        assert_eq!(serials.collect::<Vec<_>>(), ["vol0a1", "S_1"]);
        for (volumes, expect) in [
            (
                "{for: data, serial: a b}",
                "hosts.yml, line 2: c: \"a b\" is no serial of a disk",
            ),
            (
                "{for: data, serial: a}, {for: data, serial: b}",
                "hosts.yml, line 2: c: two volumes are for the same",
            ),
            (
                "{for: data, serial: a}, {for: commitlog, serial: a}",
                "hosts.yml, line 1: the volume a is there twice",
            ),
            (
                "{for: monitor, serial: a}",
                "hosts.yml, line 2: c: the volume a is for a host of the role monitor; those of cassandra are",
            ),
            (
                "{for: swap, serial: a}",
                "hosts.yml, line 2: unknown variant",
            ),
            ("{for: data}", "hosts.yml, line 2: missing field"),
        ] {
            let error = check(&host("c", volumes)).unwrap_err();
            assert!(error.starts_with(expect), "{volumes}: {error}");
        }
    }

    #[test]
    fn every_problem_at_once() {
        let text = "hosts:\n  - {name: a b, address: 10.0.0.1, role: cassandre}\n  - {name: c, address: 10.0.0.1, role: bastion, bastion: x}\n  - {name: c, address: '!', role: [], host_key: SHA256:abc}\n";
        assert_eq!(
            check(text).unwrap_err(),
            "hosts.yml, line 2: \"a b\" is no name of a host: letters, digits and hyphens, at most 63\n  \
             hosts.yml, line 2: a b: there is no role \"cassandre\": bastion, cassandra, host, monitor, scalardl, traefik; did you mean cassandra?\n  \
             hosts.yml, line 3: c: another host has the address 10.0.0.1, too\n  \
             hosts.yml, line 4: there are two hosts called c\n  \
             hosts.yml, line 4: c: \"!\" is neither an IP address nor a name\n  \
             hosts.yml, line 4: c: \"!\" is neither an IP address nor a name\n  \
             hosts.yml, line 4: c: it has no role\n  \
             hosts.yml, line 4: c: host_key must be a fingerprint such as SHA256:…, as ssh-keygen -lf prints it\n  \
             hosts.yml, line 3: c: its bastion x is none of the hosts"
        );
        for (text, expect) in [
            ("hosts: [", "hosts.yml, line 1: "),
            (
                "hosts:\n  - {name: a, adress: x}",
                "hosts.yml, line 2: unknown field `adress`",
            ),
            ("host: []", "hosts.yml, line 1: unknown field `host`"),
            (
                "hosts: []",
                "hosts.yml, line 1: there must be 1 to 500 hosts",
            ),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.starts_with(expect), "{text}: {error}");
        }
    }
}
