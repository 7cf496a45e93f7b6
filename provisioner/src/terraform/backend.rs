//! `provisioner state init-backend`: the state moves into a bucket, where there is one copy of it, and a lock. What lies there is not written over.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::{
    Session,
    run::Runner,
    s3::{Bucket, Credentials},
    unlock::{UnlockFlags, unlock},
    workspace::{SHORT, Workspace},
};
use crate::{
    lock::{Journal, Lock},
    network::Network,
    output,
    progress::Progress,
};

const FILE: &str = "backend.tf";

/// What has to do with Terraform's state.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StateCommand {
    /// Move the state into a bucket of S3, with a lock: all who work on the environment then see the same
    InitBackend(BackendFlags),
    /// Show who holds the state's lock and whether they still work, and lift it when they are gone
    Unlock(UnlockFlags),
}

/// `provisioner state init-backend`.
#[derive(Debug, clap::Args)]
pub(crate) struct BackendFlags {
    /// A bucket that is there, keeps older versions and encrypts
    #[arg(long)]
    bucket: String,
    /// Of the state in it, such as scalardl/production/terraform.tfstate
    #[arg(long)]
    key: String,
    /// Of the bucket
    #[arg(long)]
    region: String,
    /// For stores that are like S3: the bucket stands in the path, not in the host
    #[arg(long)]
    path_style: bool,
}

/// What tells states apart.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct State {
    lineage: String,
    serial: u64,
    #[serde(default)]
    resources: Vec<serde_json::Value>,
}

/// Runs one of the commands.
pub(crate) fn state(folder: &Path, command: &StateCommand) -> anyhow::Result<ExitCode> {
    match command {
        StateCommand::InitBackend(flags) => init_backend(folder, flags),
        StateCommand::Unlock(flags) => unlock(folder, flags),
    }
}

fn init_backend(folder: &Path, flags: &BackendFlags) -> anyhow::Result<ExitCode> {
    let text = text(flags)?;
    let network = Network::load(folder)?;
    let _lock = Lock::take(folder, "state init-backend")?;
    let progress = Progress::new(false);
    let path = folder.join(FILE);
    let is_there = path.exists();
    if is_there && fs::read_to_string(&path).ok().as_ref() != Some(&text) {
        bail!(
            "{} is there already, and says something else: when the state is to move, look what lies at both places first, and move that file away",
            path.display()
        );
    }
    let session = Session::new(&progress)?;
    session.runtime.block_on(async {
        let interrupt = session.listen()?;
        let program = &session.program;
        let workspace = Workspace::open(folder, &network.config, program, &interrupt, &progress, false)?;
        look_at_bucket(flags).await?;

        // What lies there, by a folder that has nothing but this backend.
        let elsewhere = tempfile::tempdir().context("cannot make a folder")?;
        fs::write(elsewhere.path().join(FILE), &text).context("cannot write into it")?;
        let runner = Runner { program, folder: elsewhere.path(), withheld: Vec::new(), interrupt: &interrupt };
        runner.asks(&["init", "-input=false", "-no-color"], SHORT).await?;
        let there = parse(&runner.asks(&["state", "pull"], SHORT).await?)?;
        let here = if is_there {
            None
        } else {
            workspace.ready().await?;
            parse(&workspace.asks(&["state", "pull"]).await?)?
        };
        check(here.as_ref(), there.as_ref()).with_context(|| format!("s3://{}/{}", flags.bucket, flags.key))?;

        fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        let moved = workspace.init(&["-migrate-state", "-force-copy"]).await;
        let moved = match moved {
            Ok(()) => parse(&workspace.asks(&["state", "pull"]).await?),
            Err(error) => Err(error),
        };
        match (&here, moved) {
            // Terraform gives it another lineage on its way into an empty place.
            (Some(here), Ok(Some(now))) if now.resources == here.resources => {}
            (None, Ok(_)) => {}
            (_, Ok(_)) => bail!(
                "the state is not whole at its new place: terraform.tfstate.backup has it; look there before anything else"
            ),
            (_, Err(error)) => {
                if !is_there {
                    drop(fs::remove_file(&path));
                }
                return Err(error);
            }
        }
        workspace.refresh().await?;
        let place = format!("s3://{}/{}", flags.bucket, flags.key);
        Journal::new(folder, "state init-backend").note(None, &place)?;
        output::say(format!(
            "the state is in {place}, locked while somebody works on it. Share {FILE} with the team, by git as well; never a state: every branch \
             would have another one, and what Terraform does not find in its state it makes again"
        ));
        Ok(ExitCode::SUCCESS)
    })
}

/// Says what is wrong with the bucket, or why that is not known.
async fn look_at_bucket(flags: &BackendFlags) -> anyhow::Result<()> {
    let Some(credentials) = Credentials::find()? else {
        output::warn(format!(
            "whether {0} keeps older versions and encrypts was not looked at: there are no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and no such \
             profile in ~/.aws/credentials. `aws s3api get-bucket-versioning --bucket {0}` must say Enabled",
            flags.bucket
        ));
        return Ok(());
    };
    let bucket = Bucket {
        name: &flags.bucket,
        region: &flags.region,
        credentials,
    };
    let problems = bucket.problems().await?;
    if !problems.is_empty() {
        bail!(
            "the bucket {} is not fit for a state:\n  {}",
            flags.bucket,
            problems.join("\n  ")
        );
    }
    Ok(())
}

/// `backend.tf`.
fn text(flags: &BackendFlags) -> anyhow::Result<String> {
    let is_plain = |it: &str| {
        !it.is_empty()
            && it
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || "-._/".contains(it))
    };
    for (name, value) in [
        ("bucket", &flags.bucket),
        ("key", &flags.key),
        ("region", &flags.region),
    ] {
        if !is_plain(value) || (name != "key" && value.contains('/')) || value.starts_with('/') {
            bail!("--{name} {value:?}: letters, digits, hyphens, dots and, in the key, slashes");
        }
    }
    let (bucket, key, region) = (&flags.bucket, &flags.key, &flags.region);
    let style = if flags.path_style {
        "    use_path_style = true\n"
    } else {
        ""
    };
    Ok(format!(
        "# Where the state is. Written by `provisioner state init-backend`; Terraform's variables cannot be used here.
terraform {{
  backend \"s3\" {{
    bucket       = \"{bucket}\"
    key          = \"{key}\"
    region       = \"{region}\"
    encrypt      = true
    use_lockfile = true
{style}  }}
}}
"
    ))
}

/// None of nothing.
fn parse(text: &str) -> anyhow::Result<Option<State>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let state: State =
        serde_json::from_str(text).context("cannot read what `terraform state pull` says")?;
    Ok(Some(state).filter(|it| !it.lineage.is_empty()))
}

/// Whether the one here may take the place of the one there.
fn check(here: Option<&State>, there: Option<&State>) -> anyhow::Result<()> {
    match (here, there) {
        (Some(here), Some(there)) if here.lineage != there.lineage => bail!(
            "the state of another environment lies there ({}, and this one is {}), so nothing was done: choose another key",
            there.lineage,
            here.lineage
        ),
        (Some(here), Some(there)) if there.serial > here.serial => bail!(
            "a newer state of this environment lies there (serial {}, and the one here has {}), so nothing was done: move terraform.tfstate away, and \
             this command takes the one there",
            there.serial,
            here.serial
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{BackendFlags, State, check, parse, text};

    #[test]
    fn which_state_wins() {
        let state = |lineage: &str, serial| {
            Some(State {
                lineage: lineage.to_owned(),
                serial,
                resources: Vec::new(),
            })
        };
        for (here, there, expect) in [
            (None, None, None),
            (None, state("a", 1), None),
            (state("a", 1), None, None),
            (state("a", 2), state("a", 1), None),
            (state("a", 2), state("a", 2), None),
            (state("a", 1), state("a", 2), Some("a newer state")),
            (state("a", 3), state("b", 1), Some("another environment")),
        ] {
            let found = check(here.as_ref(), there.as_ref())
                .err()
                .map(|it| it.to_string());
            match expect {
                None => assert_eq!(found, None),
                Some(expect) => assert!(found.unwrap().contains(expect), "{here:?} {there:?}"),
            }
        }
        assert_eq!(parse("\n").unwrap(), None);
        assert_eq!(
            parse(r#"{"lineage": "a", "serial": 7, "version": 4}"#).unwrap(),
            state("a", 7)
        );
        assert!(parse("<html>").is_err());
    }

    #[test]
    fn words() {
        let flags = |bucket: &str, key: &str| BackendFlags {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            region: "eu-west-1".to_owned(),
            path_style: true,
        };
        let written = text(&flags("b", "a/b.tfstate")).unwrap();
        assert!(
            written.contains("use_lockfile = true\n    use_path_style = true\n  }"),
            "{written}"
        );
        for (bucket, key) in [
            ("", "k"),
            ("a/b", "k"),
            ("a\"", "k"),
            ("a", "/k"),
            ("a", "${x}"),
        ] {
            assert!(text(&flags(bucket, key)).is_err(), "{bucket} {key}");
        }
    }
}
