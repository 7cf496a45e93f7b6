//! `provisioner state unlock`: who holds the state's lock, and whether they still work; the lock is lifted when they are gone.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use serde_json::Value;

use super::{Session, ask, files, program::Program, said::Held, workspace::Workspace};
use crate::{
    lock::{self, Journal, Lock},
    network::Network,
    output,
    progress::Progress,
};

/// No lock has it: asked to lift this one, Terraform says which there is, and lifts none.
const NONE: &str = "00000000-0000-0000-0000-000000000000";
/// What stands in Terraform's answer when there is no lock: in the folder itself, and in a bucket.
const NOT_LOCKED: [&str; 4] = ["not locked", "NoSuchKey", "StatusCode: 404", "no lock"];

/// `provisioner state unlock`.
#[derive(Debug, clap::Args)]
pub(crate) struct UnlockFlags {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// A process of Terraform's on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    id: u32,
    /// Where it works; None when it is another user's, which is not shown.
    folder: Option<PathBuf>,
}

/// Whether whoever holds a lock still works.
#[derive(Debug, PartialEq, Eq)]
enum Holder<'a> {
    Alive(&'a Process),
    /// Its machine is this one, and no process there works on this state.
    Gone,
    /// Processes of other users, any of which may be it.
    Hidden(Vec<u32>),
    /// It is on another machine.
    Elsewhere,
}

/// Shows who holds the lock, refuses when they are known to work, asks and lifts it.
pub(super) fn unlock(folder: &Path, flags: &UnlockFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    // A run of ours in this folder has it, and is named.
    let _lock = Lock::take(folder, "state unlock")?;
    let progress = Progress::new(false);
    let session = Session::new(&progress)?;
    session.runtime.block_on(async {
        let interrupt = session.listen()?;
        let workspace = session.workspace(&network, &interrupt).await?;
        let own = place(folder);
        let is_same = |it: &Path| is_same_state(folder, own.as_ref(), it);
        let processes = processes(&session.program);
        let Some(held) = held(&workspace).await? else {
            if let Holder::Alive(process) = holder(&lock::host(), &lock::host(), &processes, is_same) {
                bail!("{}", at_work(process));
            }
            output::say("the state is not locked");
            return Ok(ExitCode::SUCCESS);
        };
        output::note(format!("the state is locked by {held}"));
        let (_, host) = held.who.rsplit_once('@').unwrap_or_default();
        match holder(host, &lock::host(), &processes, is_same) {
            Holder::Alive(process) => bail!("{}", at_work(process)),
            Holder::Gone => output::note("that is this machine, and no process here works on this state: the lock was left behind"),
            Holder::Hidden(ids) => output::warn(format!(
                "that is this machine, where other users' Terraform runs (process {}): whether it works on this state, only they and root can see",
                ids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
            )),
            Holder::Elsewhere => output::warn(format!(
                "whether they still work can be seen on {} alone: `pgrep -af 'terraform|tofu'` there must find none that works on this environment",
                if host.is_empty() { "their machine" } else { host }
            )),
        }
        if !flags.yes {
            ask("lift it? Two who change one state at a time spoil it.")?;
        }
        // By its id: when another has taken its place meanwhile, that one stays.
        workspace.asks(&["force-unlock", "-force", "-no-color", &held.id]).await?;
        Journal::new(folder, "state unlock").note(None, &format!("lifted {} of {held}", held.id))?;
        output::say(format!(
            "the lock of {held} is lifted; `provisioner plan` says what the one who held it has left undone"
        ));
        Ok(ExitCode::SUCCESS)
    })
}

/// Asks Terraform for the lock.
async fn held(workspace: &Workspace<'_>) -> anyhow::Result<Option<Held>> {
    let arguments = ["force-unlock", "-force", "-no-color", NONE];
    let ended = workspace.tries(&arguments).await?;
    let said = format!("{}\n{}", ended.stdout, ended.stderr);
    if let Some(held) = Held::parse(&said) {
        return Ok(Some(held));
    }
    if NOT_LOCKED.iter().any(|it| said.contains(it)) {
        return Ok(None);
    }
    let why = super::said::plain(&ended.stderr, &ended.stdout);
    bail!("Terraform does not say whether the state is locked: {why}");
}

/// `host` is the holder's machine.
fn holder<'a>(
    host: &str,
    here: &str,
    processes: &'a [Process],
    is_same: impl Fn(&Path) -> bool,
) -> Holder<'a> {
    if host != here {
        return Holder::Elsewhere;
    }
    let works = |it: &&Process| it.folder.as_deref().is_some_and(&is_same);
    if let Some(process) = processes.iter().find(works) {
        return Holder::Alive(process);
    }
    let hidden = processes.iter().filter(|it| it.folder.is_none());
    let hidden: Vec<_> = hidden.map(|it| it.id).collect();
    if hidden.is_empty() {
        Holder::Gone
    } else {
        Holder::Hidden(hidden)
    }
}

fn at_work(process: &Process) -> String {
    let folder = process.folder.as_deref().unwrap_or(Path::new("?"));
    format!(
        "Terraform (process {0}, in {1}) works on this state, so nothing was done: wait until it has ended; `kill -INT {0}` has it end what it has \
         begun, and let go of the lock",
        process.id,
        folder.display()
    )
}

/// Where a folder's state is, when that is a bucket.
fn place(folder: &Path) -> Option<(String, String)> {
    let text = files::read(&folder.join(".terraform/terraform.tfstate")).ok()??;
    let its: Value = serde_json::from_str(&text).ok()?;
    let config = its.get("backend")?.get("config")?;
    let part = |name: &str| config.get(name)?.as_str().map(str::to_owned);
    Some((part("bucket")?, part("key")?))
}

fn is_same_state(folder: &Path, own: Option<&(String, String)>, other: &Path) -> bool {
    let whole = |it: &Path| fs::canonicalize(it).ok();
    let is_here = whole(folder).is_some_and(|it| whole(other).as_ref() == Some(&it));
    is_here || own.is_some_and(|own| place(other).as_ref() == Some(own))
}

/// Processes of Terraform's and OpenTofu's.
fn processes(program: &Program) -> Vec<Process> {
    let own = program.path.file_name().unwrap_or_default();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        // Cut off at 15 bytes.
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        let name = name.trim_end();
        let is_it = matches!(name, "terraform" | "tofu")
            || (!name.is_empty()
                && own
                    .to_string_lossy()
                    .get(..15)
                    .unwrap_or(&own.to_string_lossy())
                    == name);
        if !is_it {
            return None;
        }
        let folder = match fs::read_link(entry.path().join("cwd")) {
            Ok(folder) => Some(folder),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
            // It has just ended.
            Err(_) => return None,
        };
        Some(Process { id, folder })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{Holder, Process, holder, is_same_state, place};

    #[test]
    fn holders() {
        let process = |id, folder: Option<&str>| Process {
            id,
            folder: folder.map(Into::into),
        };
        let all = [
            process(1, Some("/other")),
            process(2, None),
            process(3, Some("/own")),
        ];
        let is_same = |it: &Path| it == Path::new("/own");
        for (host, processes, expect) in [
            ("desk", &all[..], Holder::Alive(&all[2])),
            ("desk", &all[..2], Holder::Hidden(vec![2])),
            ("desk", &all[..1], Holder::Gone),
            ("desk", &[], Holder::Gone),
            ("tower", &all[..], Holder::Elsewhere),
            ("", &all[..], Holder::Elsewhere),
        ] {
            assert_eq!(holder(host, "desk", processes, is_same), expect, "{host}");
        }
    }

    #[test]
    fn states() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str| {
            let folder = folder.path().join(name);
            fs::create_dir_all(folder.join(".terraform")).unwrap();
            fs::write(folder.join(".terraform/terraform.tfstate"), text).unwrap();
            folder
        };
        let s3 = |key: &str| {
            format!(
                r#"{{"backend": {{"type": "s3", "config": {{"bucket": "b", "key": "{key}", "acl": null}}}}}}"#
            )
        };
        let own = at("own", &s3("k"));
        let its = place(&own).unwrap();
        for (name, text, expect) in [
            ("same", s3("k"), true),
            ("other", s3("l"), false),
            ("broken", "{".to_owned(), false),
            (
                "local",
                r#"{"backend": {"type": "local", "config": {}}}"#.to_owned(),
                false,
            ),
        ] {
            let found = is_same_state(&own, Some(&its), &at(name, &text));
            assert_eq!(found, expect, "{name}");
        }
        assert!(!is_same_state(
            &own,
            Some(&its),
            &folder.path().join("none")
        ));
        assert!(is_same_state(&own, None, &own.join(".")));
    }
}
