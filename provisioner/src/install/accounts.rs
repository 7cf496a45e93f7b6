//! Who may log in to a Cassandra of ours: its superuser has a password of the environment's, Cassandra's own default user has none, and the
//! ledgers have a user that may make keyspaces, and do what it likes in those. Done over CQL, through the connection to a node.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use daemon::Secret;
use parts::cassandra::{Cql, CqlError};
use tokio::time::Instant;

use super::cassandra;
use crate::{
    network::{Node, Role},
    roles::{
        OPERATOR,
        cassandra::{NATIVE, NODETOOL, data_center},
    },
    silence::Place,
};

/// The ledgers' user.
const LEDGER: &str = "scalardl";
/// Cassandra's own, and its password.
const DEFAULT: &str = "cassandra";
/// Copies of what Cassandra knows of users.
const COPIES: usize = 3;
/// For an answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Cassandra makes its default user ten seconds after its start.
const FIRST: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(2);
/// For nodetool to compare a few rows with other nodes.
const REPAIR: Duration = Duration::from_secs(300);
/// Of the protocol: it does not know who this is.
const BAD_CREDENTIALS: u32 = 0x0100;

/// Sets up what is not yet, and says what it did. It waits for a ring that is whole: what is known of users is to be on several nodes first.
pub(super) async fn ensure(place: Place<'_>) -> anyhow::Result<Option<String>> {
    let nodes = place.network.nodes.iter();
    let nodes: Vec<_> = nodes
        .filter(|it| it.roles.contains(&Role::Cassandra))
        .collect();
    let Some(first) = nodes.first() else {
        return Ok(None);
    };
    if !cassandra::is_whole(place, first, nodes.len()).await? {
        return Ok(Some(
            "passwords of Cassandra are set when all of its nodes are up: until then its default user has its default password".to_owned(),
        ));
    }
    let remote = place.remotes.connect(first).await?;
    let local = remote.forward(&first.private_address, NATIVE).await?;
    let at = SocketAddr::from(([127, 0, 0, 1], local));
    let secrets = &place.materials.secrets;
    let data_center = data_center(&place.network.config).to_owned();
    let copies = nodes.len().min(COPIES);
    let mut done = Vec::new();
    if login(at, OPERATOR, &secrets.cassandra).await?.is_none() {
        // Its superuser comes last: who finds it finds all of this done.
        let mut cql = by_default(at, first).await?;
        let spread = replication(&data_center, copies);
        blocking(move || cql.query(&spread))
            .await
            .context("Cassandra's users cannot be kept on more nodes")?;
        repair(place, &nodes).await?;
        let mut cql = by_default(at, first).await?;
        let superuser = role(OPERATOR, &secrets.cassandra, true);
        blocking(move || cql.query(superuser.expose()))
            .await
            .context("Cassandra's superuser cannot be made")?;
        done.push("superuser");
    }
    let operator = login(at, OPERATOR, &secrets.cassandra).await?;
    let mut cql = operator.context("Cassandra does not know its superuser, who was just made")?;
    let has_ledger = login(at, LEDGER, &secrets.scalardl).await?.is_some();
    let ledger = role(LEDGER, &secrets.scalardl, false);
    let (changes, is_spread) = blocking(move || {
        let mut changes = Vec::new();
        let rows = cql.query(&format!(
            "SELECT can_login, is_superuser FROM system_auth.roles WHERE role = '{DEFAULT}'"
        ))?;
        let is_on = |it: &Option<Vec<u8>>| it.as_deref() == Some(&[1]);
        if rows.rows.iter().flatten().any(is_on) {
            cql.query(&format!(
                "ALTER ROLE {DEFAULT} WITH SUPERUSER = false AND LOGIN = false"
            ))?;
            changes.push("no default user");
        }
        if !has_ledger {
            let found = cql.query(&format!(
                "SELECT role FROM system_auth.roles WHERE role = '{LEDGER}'"
            ))?;
            if !found.rows.is_empty() {
                // It may be in use: another password would end that.
                return Ok((vec![""], true));
            }
            cql.query(ledger.expose())?;
            cql.query(&format!("GRANT CREATE ON ALL KEYSPACES TO {LEDGER}"))?;
            changes.push("user of the ledgers");
        }
        let rows = cql.query(
            "SELECT toJson(replication) AS it FROM system_schema.keyspaces WHERE keyspace_name = 'system_auth'",
        )?;
        let expect = format!("\"{data_center}\": \"{copies}\"");
        let is_spread = rows.text(0, "it").is_some_and(|it| it.contains(&expect));
        if !is_spread {
            cql.query(&replication(&data_center, copies))?;
        }
        Ok((changes, is_spread))
    })
    .await?;
    if changes == [""] {
        bail!(
            "Cassandra's user {LEDGER} has another password than secrets/{LEDGER} holds: write the old one back, or change it with ALTER ROLE"
        );
    }
    if !is_spread {
        repair(place, &nodes).await?;
        done.push("copies of users on more nodes");
    }
    done.extend(changes);
    remote.close().await;
    Ok((!done.is_empty()).then(|| format!("Cassandra: {}", done.join(", "))))
}

/// A connection as the default user of one that is new.
async fn by_default(at: SocketAddr, node: &Node) -> anyhow::Result<Cql> {
    let password = Secret::new(DEFAULT.to_owned());
    let end = Instant::now() + FIRST;
    loop {
        if let Some(cql) = login(at, DEFAULT, &password).await? {
            return Ok(cql);
        }
        if Instant::now() > end {
            bail!(
                "{}: Cassandra knows neither {OPERATOR} with the password of secrets/cassandra nor its default user: write the password that {OPERATOR} has into secrets/cassandra, or change it with ALTER ROLE",
                node.name
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// None when Cassandra does not know who that is.
async fn login(at: SocketAddr, user: &str, password: &Secret) -> anyhow::Result<Option<Cql>> {
    let (user, password) = (user.to_owned(), password.clone());
    let connect = move || match Cql::connect_as(at, &user, password.expose(), ANSWER) {
        Ok(cql) => Ok(Some(cql)),
        Err(CqlError::Refused {
            code: BAD_CREDENTIALS,
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    };
    blocking(connect).await.context("no way into Cassandra")
}

async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, CqlError> + Send + 'static,
) -> anyhow::Result<T> {
    Ok(tokio::task::spawn_blocking(ask).await??)
}

/// Words of passwords have no quotes in them.
fn role(name: &str, password: &Secret, is_superuser: bool) -> Secret {
    Secret::new(format!(
        "CREATE ROLE IF NOT EXISTS {name} WITH PASSWORD = '{}' AND LOGIN = true AND SUPERUSER = {is_superuser}",
        password.expose()
    ))
}

fn replication(data_center: &str, copies: usize) -> String {
    format!(
        "ALTER KEYSPACE system_auth WITH replication = {{'class': 'NetworkTopologyStrategy', '{data_center}': {copies}}}"
    )
}

/// Each node compares its own part with the others that have it.
async fn repair(place: Place<'_>, nodes: &[&Node]) -> anyhow::Result<()> {
    let names: BTreeSet<_> = nodes.iter().map(|it| it.name.as_str()).collect();
    for node in nodes.iter().filter(|_| names.len() > 1) {
        let remote = place.remotes.connect(node).await?;
        let script = format!("timeout 240 {NODETOOL} repair --full -pr system_auth >&2");
        let output = remote.script(&script, &[], REPAIR).await?;
        if output.code != 0 {
            let said = output.stderr.trim();
            bail!(
                "{}: what Cassandra knows of users could not be brought to all nodes: {}",
                node.name,
                said.lines().last().unwrap_or("no answer")
            );
        }
        remote.close().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use daemon::Secret;

    use super::{replication, role};

    #[test]
    fn statements() {
        let secret = Secret::new("p-1".to_owned());
        assert_eq!(
            role("operator", &secret, true).expose(),
            "CREATE ROLE IF NOT EXISTS operator WITH PASSWORD = 'p-1' AND LOGIN = true AND SUPERUSER = true"
        );
        assert_eq!(
            replication("us-east-1", 3),
            "ALTER KEYSPACE system_auth WITH replication = {'class': 'NetworkTopologyStrategy', 'us-east-1': 3}"
        );
    }
}
