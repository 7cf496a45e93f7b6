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
    remote::Remote,
    roles::{
        OPERATOR,
        cassandra::{DATA, NATIVE, NODETOOL, data_center},
    },
    secrets::{self, Secrets},
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

/// Sets up what is not yet, exchanges passwords that were exchanged in `secrets/`, and says what it did. It waits for a ring that is whole: what
/// is known of users is to be on several nodes first. `has_all_ledgers` is whether this run goes on to all ledgers.
pub(super) async fn ensure(
    place: Place<'_>,
    has_all_ledgers: bool,
) -> anyhow::Result<Option<String>> {
    let nodes = place.network.nodes.iter();
    let nodes: Vec<_> = nodes
        .filter(|it| it.roles.contains(&Role::Cassandra))
        .collect();
    let Some(first) = nodes.first() else {
        return Ok(None);
    };
    let secrets = &place.materials.secrets;
    let is_whole = cassandra::is_whole(place, first, nodes.len()).await?;
    let remote = place.remotes.connect(first).await?;
    let at = way(&remote, first).await?;
    if !is_whole {
        let said = wait_for_all(at, secrets).await;
        remote.close().await;
        return said;
    }
    let data_center = data_center(&place.network.config).to_owned();
    let copies = nodes.len().min(COPIES);
    // A run that ended before its repair has left that to the next one.
    let mut owes_repair = owes(&remote, "test -e").await?;
    let mut done = Vec::new();
    let superuser = as_superuser(at, secrets).await?;
    let mut cql = match superuser {
        Some((cql, true)) => cql,
        Some((mut cql, false)) => {
            let exchange = password(OPERATOR, &secrets.cassandra);
            blocking(move || cql.query(exchange.expose()))
                .await
                .context("Cassandra's superuser cannot be given another password")?;
            done.push("another password of the superuser");
            known_by_all(place, &nodes, OPERATOR, &secrets.cassandra).await?;
            let operator = login(at, OPERATOR, &secrets.cassandra).await?;
            operator
                .context("Cassandra does not know its superuser's password, which was just set")?
        }
        None => {
            // Its superuser comes last: who finds it finds all of this done.
            let mut cql = by_default(at, first).await?;
            owes(&remote, ": >").await?;
            let spread = replication(&data_center, copies);
            blocking(move || cql.query(&spread))
                .await
                .context("Cassandra's users cannot be kept on more nodes")?;
            repair(place, &nodes).await?;
            owes(&remote, "rm -f").await?;
            owes_repair = false;
            let mut cql = by_default(at, first).await?;
            let superuser = role(OPERATOR, &secrets.cassandra, true);
            blocking(move || cql.query(superuser.expose()))
                .await
                .context("Cassandra's superuser cannot be made")?;
            done.push("superuser");
            let operator = login(at, OPERATOR, &secrets.cassandra).await?;
            operator.context("Cassandra does not know its superuser, who was just made")?
        }
    };
    let is_kept = |it: &Secret| it.expose() == secrets.cassandra.expose();
    if !secrets.cassandra_in_use.as_ref().is_some_and(is_kept) {
        secrets::in_use(&place.network.folder.join("secrets"), &secrets.cassandra)?;
    }
    let has_ledger = login(at, LEDGER, &secrets.scalardl).await?.is_some();
    let ledger = role(LEDGER, &secrets.scalardl, false);
    let other = password(LEDGER, &secrets.scalardl);
    // Only ledgers that are started anew afterwards can do with another password.
    let is_theirs_alone = !place.network.config.installs(Role::ScalarDl);
    let may_exchange = !is_theirs_alone && has_all_ledgers;
    let expect = format!("\"{data_center}\": \"{copies}\"");
    let (changes, is_refused, is_spread, mut cql) = blocking(move || {
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
        let mut is_refused = false;
        if !has_ledger {
            let found = cql.query(&format!(
                "SELECT role FROM system_auth.roles WHERE role = '{LEDGER}'"
            ))?;
            if found.rows.is_empty() {
                cql.query(ledger.expose())?;
                cql.query(&format!("GRANT CREATE ON ALL KEYSPACES TO {LEDGER}"))?;
                changes.push("user of the ledgers");
            } else if may_exchange {
                cql.query(other.expose())?;
                changes.push("another password of the ledgers' user");
            } else {
                is_refused = true;
            }
        }
        let rows = cql.query(
            "SELECT toJson(replication) AS it FROM system_schema.keyspaces WHERE keyspace_name = 'system_auth'",
        )?;
        let is_spread = rows.text(0, "it").is_some_and(|it| it.contains(&expect));
        Ok((changes, is_refused, is_spread, cql))
    })
    .await?;
    if is_refused && is_theirs_alone {
        bail!(
            "Cassandra's user {LEDGER} has another password than secrets/{LEDGER} holds, and the ledgers are not installed from here: write the old one back, or change it with ALTER ROLE, and tell the ledgers"
        );
    }
    if is_refused {
        bail!(
            "Cassandra's user {LEDGER} has another password than secrets/{LEDGER} holds: `install` of all nodes exchanges it, and starts the ledgers anew one after the other"
        );
    }
    if !is_spread {
        owes(&remote, ": >").await?;
        owes_repair = true;
        let spread = replication(&data_center, copies);
        blocking(move || cql.query(&spread))
            .await
            .context("Cassandra's users cannot be kept on more nodes")?;
    }
    if owes_repair {
        repair(place, &nodes).await?;
        owes(&remote, "rm -f").await?;
        done.push("copies of users on more nodes");
    }
    if !has_ledger {
        known_by_all(place, &nodes, LEDGER, &secrets.scalardl).await?;
    }
    done.extend(changes);
    remote.close().await;
    Ok((!done.is_empty()).then(|| format!("Cassandra: {}", done.join(", "))))
}

/// What is to be said, or why not to go on, while not all nodes are up.
async fn wait_for_all(at: SocketAddr, secrets: &Secrets) -> anyhow::Result<Option<String>> {
    // A node that does not answer is one that nothing was set up on.
    let superuser = as_superuser(at, secrets).await.ok().flatten();
    let Some((_, is_current)) = superuser else {
        return Ok(Some(
            "passwords of Cassandra are set when all of its nodes are up: until then its default user has its default password".to_owned(),
        ));
    };
    if !is_current || login(at, LEDGER, &secrets.scalardl).await?.is_none() {
        bail!(
            "passwords of Cassandra's users are not those of secrets/cassandra and secrets/{LEDGER}: they are exchanged when all of its nodes are up"
        );
    }
    Ok(None)
}

/// Its superuser, by the password that it should have (true) or had before.
async fn as_superuser(at: SocketAddr, secrets: &Secrets) -> anyhow::Result<Option<(Cql, bool)>> {
    if let Some(cql) = login(at, OPERATOR, &secrets.cassandra).await? {
        return Ok(Some((cql, true)));
    }
    let Some(before) = &secrets.cassandra_in_use else {
        return Ok(None);
    };
    let cql = login(at, OPERATOR, before).await?;
    Ok(cql.map(|it| (it, false)))
}

/// Waits until a user gets in by a password on all nodes, which keep what they know for some seconds.
async fn known_by_all(
    place: Place<'_>,
    nodes: &[&Node],
    user: &str,
    password: &Secret,
) -> anyhow::Result<()> {
    let end = Instant::now() + FIRST;
    for node in nodes {
        let remote = place.remotes.connect(node).await?;
        let at = way(&remote, node).await?;
        while login(at, user, password).await?.is_none() {
            if Instant::now() > end {
                bail!(
                    "{}: Cassandra does not let its user {user} in by the password that was just set",
                    node.name
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
        remote.close().await;
    }
    Ok(())
}

/// Where CQL is spoken on a node, from here.
async fn way(remote: &Remote, node: &Node) -> anyhow::Result<SocketAddr> {
    let local = remote.forward(&node.private_address, NATIVE).await?;
    Ok(SocketAddr::from(([127, 0, 0, 1], local)))
}

/// Looks whether the first node keeps a mark that a repair is owed, makes it (`: >`) or takes it away, and says how that went. It is beside the
/// data, so that it stays for as long as they do.
async fn owes(remote: &Remote, what: &str) -> anyhow::Result<bool> {
    let script = format!("{what} {DATA}/users-owe-repair");
    let output = remote.script(&script, &[], ANSWER).await?;
    if output.code > 1 || !output.stderr.trim().is_empty() {
        bail!("{}: {}", remote.name(), output.stderr.trim());
    }
    Ok(output.code == 0)
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
                "{}: Cassandra knows neither {OPERATOR} with the password of secrets/cassandra nor its default user: write the password that {OPERATOR} has into secrets/cassandra, install, then exchange it; or change it with ALTER ROLE",
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

fn password(name: &str, password: &Secret) -> Secret {
    Secret::new(format!(
        "ALTER ROLE {name} WITH PASSWORD = '{}'",
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

    use super::{password, replication, role};

    #[test]
    fn statements() {
        let secret = Secret::new("p-1".to_owned());
        assert_eq!(
            role("operator", &secret, true).expose(),
            "CREATE ROLE IF NOT EXISTS operator WITH PASSWORD = 'p-1' AND LOGIN = true AND SUPERUSER = true"
        );
        assert_eq!(
            password("operator", &secret).expose(),
            "ALTER ROLE operator WITH PASSWORD = 'p-1'"
        );
        assert_eq!(
            replication("us-east-1", 3),
            "ALTER KEYSPACE system_auth WITH replication = {'class': 'NetworkTopologyStrategy', 'us-east-1': 3}"
        );
    }
}
