//! `provisioner destroy`: everything that Terraform has made, but never data that nobody has spoken of.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::{Session, ask, show, workspace::Wanted};
use crate::{
    lock::{Journal, Lock},
    network::Network,
    output,
    progress::Progress,
};

/// Takes the place of `prevent_destroy` for as long as the run lasts.
const OVERRIDE: &str = "modules/cassandra/provisioner_override.tf";
const NOT_PREVENTED: &str = "# Made by `provisioner destroy --delete-data`, which also removes it.
resource \"aws_ebs_volume\" \"data\" {
  lifecycle {
    prevent_destroy = false
  }
}

resource \"aws_ebs_volume\" \"commitlog\" {
  lifecycle {
    prevent_destroy = false
  }
}
";

/// `provisioner destroy`.
#[derive(Debug, clap::Args)]
pub(crate) struct DestroyFlags {
    /// Delete the data, too: the environment's name, as prefix-environment
    #[arg(long, value_name = "NAME", conflicts_with = "keep_data")]
    delete_data: Option<String>,
    /// Leave volumes with data in AWS; Terraform lets go of them
    #[arg(long)]
    keep_data: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// What is going on goes to standard error
    #[arg(long)]
    json: bool,
}

impl DestroyFlags {
    /// Everything of an environment that was made to be thrown away.
    pub(crate) const fn all(name: String) -> Self {
        Self {
            delete_data: Some(name),
            keep_data: false,
            yes: true,
            json: false,
        }
    }
}

/// A volume of the state.
#[derive(Debug, PartialEq, Eq)]
struct Volume {
    address: String,
    id: String,
}

/// Destroys, with the data or but for it.
pub(crate) fn destroy(folder: &Path, flags: &DestroyFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let part = |key| network.config.text(key).unwrap_or_default();
    let name = format!("{}-{}", part("prefix"), part("environment"));
    if let Some(typed) = flags.delete_data.as_ref().filter(|it| **it != name) {
        bail!("this environment is {name}, not {typed}: --delete-data wants its name");
    }
    let _lock = Lock::take(folder, "destroy")?;
    let progress = Progress::new(flags.json);
    let session = Session::new(&progress)?;
    let override_file = Override(folder.join(OVERRIDE));
    session.runtime.block_on(async {
        let interrupt = session.listen()?;
        let workspace = session.workspace(&network, &interrupt).await?;
        let volumes = volumes(&workspace.asks(&["show", "-json", "-no-color"]).await?)?;
        let listed = || {
            let all = volumes.iter().map(|it| format!("{} ({})", it.address, it.id));
            all.collect::<Vec<_>>().join("\n  ")
        };
        let journal = Journal::new(folder, "destroy");
        if !volumes.is_empty() && !flags.keep_data && flags.delete_data.is_none() {
            bail!(
                "there are volumes with data, so nothing was done: --keep-data leaves them in AWS, --delete-data {name} deletes them:\n  {}",
                listed()
            );
        }
        if flags.keep_data && !volumes.is_empty() {
            progress.say(format!("these volumes stay in AWS:\n  {}", listed()));
            if !flags.yes {
                ask(&format!("destroy all else of {name}?"))?;
            }
            journal.note(None, &format!("kept {}", output::one_line(&listed())))?;
            let addresses = volumes.iter().map(|it| it.address.as_str());
            let forget: Vec<_> = ["state", "rm"].into_iter().chain(addresses).collect();
            workspace.asks(&forget).await?;
        }
        if flags.delete_data.is_some() {
            fs::write(&override_file.0, NOT_PREVENTED)
                .with_context(|| format!("cannot write {}", override_file.0.display()))?;
        }
        let wanted = Wanted {
            is_destruction: true,
            ..Wanted::default()
        };
        let plan = workspace.plan(&wanted).await?;
        show(&plan, &progress);
        let lost = plan.lost_volumes();
        if flags.delete_data.is_none() && !lost.is_empty() {
            workspace.drop_plan()?;
            bail!("this would delete data, so nothing was done: {}", lost.join(", "));
        }
        if plan.changes.is_empty() {
            workspace.refresh().await?;
            return Ok(());
        }
        if !flags.yes && !flags.keep_data {
            ask(&format!("destroy {name} ({})?", plan.sums()))
                .inspect_err(|_| drop(workspace.drop_plan()))?;
        }
        journal.note(None, &format!("begin: {}", plan.sums()))?;
        let done = workspace.apply().await;
        journal.note(None, if done.is_ok() { "destroyed" } else { "stopped" })?;
        done?;
        for volume in volumes.iter().filter(|_| flags.keep_data) {
            let (address, id, terraform) = (&volume.address, &volume.id, &session.program.name);
            progress.say(format!("`{terraform} import '{address}' {id}` takes it back"));
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A file that goes when this is dropped.
struct Override(PathBuf);

impl Drop for Override {
    fn drop(&mut self) {
        // Mostly there is none.
        drop(fs::remove_file(&self.0));
    }
}

#[derive(Debug, Deserialize)]
struct Shown {
    values: Option<Values>,
}

#[derive(Debug, Deserialize)]
struct Values {
    root_module: Module,
}

#[derive(Debug, Deserialize)]
struct Module {
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    child_modules: Vec<Self>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    address: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    values: serde_json::Value,
}

/// Volumes of a state, as `show -json` has it.
fn volumes(shown: &str) -> anyhow::Result<Vec<Volume>> {
    let shown: Shown =
        serde_json::from_str(shown).context("cannot read what `terraform show` says")?;
    let mut modules: Vec<_> = shown.values.into_iter().map(|it| it.root_module).collect();
    let mut found = Vec::new();
    while let Some(module) = modules.pop() {
        modules.extend(module.child_modules);
        let volumes = module
            .resources
            .into_iter()
            .filter(|it| it.kind == "aws_ebs_volume");
        found.extend(volumes.map(|it| {
            Volume {
                id: it
                    .values
                    .get("id")
                    .and_then(|it| it.as_str())
                    .unwrap_or("no id")
                    .to_owned(),
                address: it.address,
            }
        }));
    }
    found.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::volumes;

    #[test]
    fn of_a_state() {
        let text = r#"{"format_version": "1.0", "values": {"root_module": {"child_modules": [
            {"resources": [{"address": "b", "type": "aws_ebs_volume", "values": {"id": "vol-2"}}, {"address": "c", "type": "aws_eip"}]},
            {"child_modules": [{"resources": [{"address": "a", "type": "aws_ebs_volume", "values": {}}]}]}
        ]}}}"#;
        let found = volumes(text).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.address.as_str(), it.id.as_str()))
            .collect();
        assert_eq!(found, [("a", "no id"), ("b", "vol-2")]);
        assert!(volumes(r#"{"format_version": "1.0"}"#).unwrap().is_empty());
        assert!(volumes("").is_err());
    }
}
