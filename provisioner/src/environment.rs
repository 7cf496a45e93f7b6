//! Commands about an environment's files: a new one, whether they are right, how two differ, and who its machines are.

mod diagram;
mod inventory;
mod new;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

pub(crate) use self::{
    diagram::diagram,
    inventory::{InventoryFlags, inventory, ssh_config},
    new::{NewFlags, new},
};
use crate::{
    config::{Config, FILE},
    network::{Network, Role},
    output, planning,
};

/// `provisioner validate`.
pub(crate) fn validate(folder: &Path) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    // Figures that cannot be are a problem of the configuration, too.
    planning::level(&network.config)?;
    if let Some(said) = network.lacks_zones() {
        output::warn(said);
    }
    let counts = Role::ALL.map(|role| {
        let nodes = network.nodes.iter();
        (role, nodes.filter(|it| it.roles.contains(&role)).count())
    });
    let counts = counts.iter().filter(|it| it.1 > 0);
    let counts: Vec<_> = counts
        .map(|(role, count)| format!("{count} {}", role.word()))
        .collect();
    let hosts = if counts.is_empty() {
        String::new()
    } else {
        format!(": {}", counts.join(", "))
    };
    output::say(format!(
        "{} is right{hosts}",
        network.folder.join(FILE).display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// `provisioner diff`.
#[derive(Debug, clap::Args)]
pub(crate) struct DiffFlags {
    /// The folder of an environment
    a: PathBuf,
    /// The folder of another
    b: PathBuf,
}

/// Says which keys differ; 2 when some do. Secrets are compared and not shown.
pub(crate) fn diff(flags: &DiffFlags) -> anyhow::Result<ExitCode> {
    let a = Config::load(&flags.a.join(FILE))?;
    let b = Config::load(&flags.b.join(FILE))?;
    let (left, right) = (a.shown(), b.shown());
    let keys: BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let mut rows = Vec::new();
    for key in keys {
        if a.holds_the_same(key, &b) {
            continue;
        }
        let show = |it: Option<&String>| it.map_or("-", String::as_str).to_owned();
        rows.push(vec![
            (*key).to_owned(),
            show(left.get(key)),
            show(right.get(key)),
        ]);
    }
    if rows.is_empty() {
        output::say("they are the same");
        return Ok(ExitCode::SUCCESS);
    }
    let name = |it: &Path| it.display().to_string();
    rows.insert(0, vec!["key".to_owned(), name(&flags.a), name(&flags.b)]);
    output::table(&rows);
    Ok(ExitCode::from(2))
}
