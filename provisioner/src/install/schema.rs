//! The ledger's tables: whether Cassandra has them, which it is asked itself, and bringing them in by the loader's own image on a node of a
//! ledger. Its properties, with the password, are on standard input and in memory for as long as it runs.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use parts::cassandra::Cql;

use super::{containers, found, runtime};
use crate::{
    desired::{Desired, ImageSource},
    lock::{Journal, Lock},
    network::{Network, Role},
    output,
    remote::{Remote, Remotes},
    roles::{
        Materials,
        scalardl::{Database, PACKAGES, database, schema_image},
    },
};

/// What the loader makes, and nobody else.
const KEYSPACES: [&str; 2] = ["coordinator", "scalar"];
/// Copies of each row, where there are so many nodes.
const COPIES: usize = 3;
const CQL_PORT: u16 = 9042;
const CQL_PATIENCE: Duration = Duration::from_secs(10);
/// A schema is agreed upon by all nodes, table after table.
const PATIENCE: Duration = Duration::from_secs(300);

/// Reads properties from standard input. The image's user is another than root.
const LOAD: &str = r#"
set -eu
umask 077
folder=$(mktemp -d /run/sdl-schema.XXXXXX)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$folder/database.properties"
chown -R 201:201 "$folder"
timeout 280 podman run --rm --replace --name scalardl-schema --cgroups=disabled --network=host --pull=never --user=201:201 --cap-drop=all \
  --security-opt=no-new-privileges --volume="$folder/database.properties:/database.properties:ro" "$1" \
  --config /database.properties --coordinator --replication-factor "$2" </dev/null >"$folder/said" 2>&1 || { tail -n 3 "$folder/said" >&2; exit 1; }
"#;

/// `provisioner scalardl schema load`.
pub(crate) fn load_schema(folder: &Path) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    if !network.config.installs(Role::ScalarDl) {
        bail!(
            "ledgers are not installed from here: services in config.json does not name scalardl"
        );
    }
    let mut nodes = network.nodes.iter();
    let node = nodes.find(|it| it.roles.contains(&Role::ScalarDl));
    let node = node.context("there is no node of the role scalardl")?;
    let _lock = Lock::take(folder, "scalardl schema load")?;
    let materials = Materials::open(&network, jiff::Timestamp::now())?;
    runtime()?.block_on(async {
        let remotes = Arc::new(Remotes::open(&network)?);
        let remote = remotes.connect(node).await?;
        let said = load(&remote, &network, &materials).await?;
        Journal::new(folder, "scalardl schema load").note(Some(&node.name), &said)?;
        output::say(said);
        Ok(ExitCode::SUCCESS)
    })
}

/// Makes what is missing, by way of a ledger's node, and says what it did.
pub(super) async fn load(
    remote: &Remote,
    network: &Network,
    materials: &Materials,
) -> anyhow::Result<String> {
    let Some(database) = database(network, materials)? else {
        return Ok("the ledger is not kept by Cassandra: its schema is yours to load".to_owned());
    };
    let missing = missing(remote, &database).await?;
    if missing.is_empty() {
        return Ok("Cassandra has the ledger's schema".to_owned());
    }
    let image = schema_image(&network.config, materials)?;
    let needed = Desired {
        packages: PACKAGES.to_vec(),
        images: vec![image.clone()],
        ..Desired::default()
    };
    let found = found::find(remote, "the user", &needed).await?;
    let changes = super::changes(&needed, &found, crate::artifacts::sha256);
    containers::prepare(remote, &changes.packages, &changes.images).await?;
    let name = match &image.from {
        ImageSource::Archive { id, .. } => id,
        ImageSource::Registry { .. } => &image.reference,
    };
    let copies = database.points.len().clamp(1, COPIES);
    let script = format!("set -- {} {copies}\n{LOAD}", crate::exec::shell_word(name));
    let Database {
        points,
        user,
        password,
    } = &database;
    let properties = format!(
        "scalar.db.contact_points={}\nscalar.db.storage=cassandra\nscalar.db.username={user}\nscalar.db.password={}\n",
        points.join(","),
        password.expose()
    );
    let output = remote
        .script(&script, properties.as_bytes(), PATIENCE)
        .await?;
    if output.code != 0 {
        bail!(
            "{}: the ledger's schema could not be loaded by {}: {}",
            remote.name(),
            image.reference,
            output.stderr.trim().replace('\n', " | ")
        );
    }
    let still = self::missing(remote, &database).await?;
    if !still.is_empty() {
        bail!(
            "{} ended well, and Cassandra has no keyspace {}",
            image.reference,
            still.join(", ")
        );
    }
    Ok(format!("the ledger's schema was loaded, {copies} copies"))
}

/// What `load` would do; None when there is nothing to be done. Cassandra is asked, and may not be there yet.
pub(super) async fn would(
    remote: &Remote,
    network: &Network,
    materials: &Materials,
) -> anyhow::Result<Option<String>> {
    let Some(database) = database(network, materials)? else {
        return Ok(None);
    };
    let by = schema_image(&network.config, materials)?.reference;
    Ok(match missing(remote, &database).await {
        Ok(missing) if missing.is_empty() => None,
        Ok(missing) => Some(format!(
            "load the ledger's schema by {by}: Cassandra has no keyspace {}",
            missing.join(", ")
        )),
        Err(_) => Some(format!(
            "load the ledger's schema by {by}, unless Cassandra has it: it does not answer at the moment"
        )),
    })
}

/// Keyspaces that Cassandra has not, by the first node of it that answers.
async fn missing(remote: &Remote, database: &Database) -> anyhow::Result<Vec<&'static str>> {
    let mut problem = None;
    for point in &database.points {
        let local = remote.forward(point, CQL_PORT).await?;
        let (user, password) = (database.user.clone(), database.password.clone());
        let asked = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
            let address = ([127, 0, 0, 1], local).into();
            let mut cql = Cql::connect_as(address, &user, password.expose(), CQL_PATIENCE)?;
            Ok(cql.query("SELECT keyspace_name FROM system_schema.keyspaces")?)
        });
        match asked.await.context("nobody asked")? {
            Ok(rows) => {
                let names = (0..rows.rows.len()).filter_map(|it| rows.text(it, "keyspace_name"));
                let names: Vec<_> = names.collect();
                let missing = KEYSPACES.into_iter().filter(|it| !names.contains(it));
                return Ok(missing.collect());
            }
            Err(error) => problem = Some(error.context(format!("{point}:{CQL_PORT}"))),
        }
    }
    let problem = problem.unwrap_or_else(|| anyhow::anyhow!("no contact points"));
    Err(problem.context(format!(
        "{}: Cassandra could not be asked for the ledger's schema from there",
        remote.name()
    )))
}
