//! `--with cassandra`: a node of Cassandra with Jolokia, cassandra-exporter, and the password between the two.

use std::{collections::BTreeMap, fs, io};

use anyhow::Context as _;
use parts::cassandra::{Agent, Jolokia, NEWEST, Node};

use super::{
    files::{spec, url},
    network::{Ports, ours},
    state::{Health, ProgramSpec, State},
};

const USER: &str = "monitor";
/// What an idle node with the tables of a trial needs.
const HEAP_MIB: u32 = 256;
/// Files in the state folder.
const PASSWORD: &str = "cassandra/jolokia.password";
const POLICY: &str = "cassandra/conf/jolokia-access.xml";

/// What the two read.
pub(super) fn files(state: &State, ports: &Ports) -> anyhow::Result<BTreeMap<String, String>> {
    let password = password(state)?;
    let node = node(state, ports, &password);
    let mut files: BTreeMap<_, _> = node
        .files()
        .into_iter()
        .map(|(path, text)| (format!("cassandra/{path}"), text))
        .collect();
    let policy = include_str!("../../../packaging/cassandra/jolokia-access.xml");
    files.insert(POLICY.to_owned(), policy.to_owned());
    files.insert(PASSWORD.to_owned(), password);
    Ok(files)
}

/// The node before the one that asks it.
pub(super) fn programs(
    state: &State,
    ports: &Ports,
    files: &BTreeMap<String, String>,
) -> anyhow::Result<[ProgramSpec; 2]> {
    let jolokia = format!("{}/jolokia", url(ports.get("cassandra-jolokia")));
    let password = files.get(PASSWORD).map_or("", String::as_str);
    let command = node(state, ports, password).command()?;
    let mut cassandra = spec(ports, "cassandra", "", command, files, &["cassandra/conf/"]);
    cassandra.health = Health::Cql {
        cql: format!("127.0.0.1:{}", cassandra.port),
    };
    cassandra.url.clone_from(&jolokia);
    let command = vec![
        ours("cassandra-exporter")?.display().to_string(),
        // One node with few tables: every panel may have data.
        "--profile=full".to_owned(),
        format!("--jolokia.url={jolokia}"),
        format!("--jolokia.username={USER}"),
        format!("--jolokia.password-file={}", state.path(PASSWORD).display()),
        format!(
            "--web.listen-address=127.0.0.1:{}",
            ports.get("cassandra-exporter")
        ),
    ];
    let exporter = spec(
        ports,
        "cassandra-exporter",
        "/-/healthy",
        command,
        files,
        &[PASSWORD],
    );
    Ok([cassandra, exporter])
}

fn node(state: &State, ports: &Ports, password: &str) -> Node {
    let policy = state.path(POLICY);
    let ports = parts::cassandra::Ports {
        storage: ports.get("cassandra-storage"),
        cql: ports.get("cassandra"),
        jolokia: ports.get("cassandra-jolokia"),
        jmx: ports.get("cassandra-jmx"),
    };
    Node::new(NEWEST, "cassandra", state.path("cassandra"), ports)
        .heap_mib(HEAP_MIB)
        .jolokia(Some(Jolokia::guarded(
            Agent::Jolokia26,
            USER,
            password,
            &policy,
        )))
}

/// The one that was made once, else a new one: a second `up` must change nothing.
fn password(state: &State) -> anyhow::Result<String> {
    let path = state.path(PASSWORD);
    match fs::read_to_string(&path) {
        Ok(text) if !text.is_empty() => return Ok(text),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
        _ => {}
    }
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("cannot make a password: {error}"))?;
    Ok(bytes.iter().map(|it| format!("{it:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::{PASSWORD, files};
    use crate::local::{Extra, network::Ports, state::State};

    #[test]
    fn the_password_stays_where_it_belongs() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(Some(folder.path().join("s"))).unwrap();
        let ports = Ports::read(&[], &[Extra::Cassandra], None).unwrap();
        let first = files(&state, &ports).unwrap();
        let password = &first[PASSWORD];
        assert_eq!(password.len(), 48);
        let with: Vec<_> = first.iter().filter(|it| it.1.contains(password)).collect();
        let names: Vec<_> = with.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["cassandra/conf/jolokia.properties", PASSWORD]);
        // Until it is written, each is another; then it stays.
        assert_ne!(&files(&state, &ports).unwrap()[PASSWORD], password);
        state.write(PASSWORD, password).unwrap();
        assert_eq!(files(&state, &ports).unwrap(), first);
        state.write(PASSWORD, "").unwrap();
        assert_eq!(files(&state, &ports).unwrap()[PASSWORD].len(), 48);
    }
}
